/*
 * What a peer is worth: one number, made of named parts, one a protocol. docs/internals/peers.md
 *
 * Each part is bounded and forgets: half of it in the half-life of its row (rating.def), towards
 * 0. The rating is their sum. Points are those of err.def's penalties.
 *
 * Memory   a struct in each peer's entry
 * Time     monotonic, handed in; decay is worked out when it is read
 */
#ifndef NODE_RATING_H
#define NODE_RATING_H

#include <base/clock.h>
#include <stdbool.h>

/* From here on it is first choice; stays; goes; goes, and is not let in again for a while. */
#define RATING_PREFER     5.0
#define RATING_KEEP       (-20.0) /* below: not dialled, and not let in */
#define RATING_DISCONNECT (-50.0) /* five answers of no use */
#define RATING_BAN        (-100.0)

enum rating_part {

#define PART(id, name, half_life_s, least, most, text) id,
#include <node/rating.def>
#undef PART
    RATING_PARTS
};

struct rating_row {
    const char *name, *text;
    uint64_t half_life_ns; /* NEVER: measured anew */
    double least, most;
};

extern const struct rating_row rating_rows[RATING_PARTS];

enum rating_verdict { RATED_BAN, RATED_DISCONNECT, RATED_LOW, RATED_KEEP, RATED_PREFER };

struct rating {
    double part[RATING_PARTS]; /* as of at_ns */
    uint64_t at_ns;
};

/* Decay up to now; the other functions do it by themselves. */
void rating_age(struct rating *r, struct now now);
/* Returns by how much the part has changed, after its bounds. */
double rating_add(struct rating *r, enum rating_part p, double points, struct now now);
double rating_set(struct rating *r, enum rating_part p, double points, struct now now);
/* As of now, without changing it. */
double rating_part_at(const struct rating *r, enum rating_part p, struct now now);
double rating_at(const struct rating *r, struct now now);
enum rating_verdict rating_judge(double rating);
/* When it will be above `above` if nothing happens; now if it is. */
uint64_t rating_clears_ns(const struct rating *r, double above, struct now now);

/* Gossipsub's points. Its own score (without P5) as the part; our other parts, from RATING_KEEP
 * downward, and the custom one as P5; a change of P5
 * asked for in its points, as a change of the custom part. */
double rating_of_gossip(double score);
double rating_app_score(const struct rating *r, struct now now);
double rating_add_app(struct rating *r, double points, struct now now);

#endif
