/* A peer's rating: parts, decay, bounds. No pow(): half-lives are halvings and a table. */
#include <node/rating.h>

/* Gossipsub's graylist threshold (-16,000) as its part is the disconnect threshold. As P5, of a
 * program's points it is the ban threshold; our own parts begin to count where a peer is not let in
 * any more (any P5 below 0 costs it our meshes), and are -16,000 at the ban threshold. */
#define GOSSIP_PER_POINT 320.0
#define APP_PER_POINT    160.0
#define OWN_PER_POINT    200.0
#define GOSSIP_BEST      2.7  /* points of gossipsub for one: its cap of 53.75 is the part's 20 */
#define APP_BEST         10.0 /* the largest P5 that a program can give is 100 */
#define HALVINGS_MAX     32u  /* then nothing is left */
#define STEPS            16u  /* of a half-life: the error of a step is under 5 % of the part */

const struct rating_row rating_rows[RATING_PARTS] = {
#define PART(id, name, half_life_s, least, most, text) \
    [id] = {name, text, (half_life_s) == 0 ? NEVER : SECONDS(half_life_s), least, most},
#include <node/rating.def>
#undef PART
};

/* 2^(-i/16) */
static const double steps[STEPS] = {
    1.0,      0.957603, 0.917004, 0.878126, 0.840896, 0.805245, 0.771105, 0.738413,
    0.707107, 0.677128, 0.648420, 0.620929, 0.594604, 0.569394, 0.545254, 0.522137,
};

static double decayed(double x, uint64_t half_life_ns, uint64_t passed_ns)
{
    if (half_life_ns == NEVER || x == 0) {
        return x;
    }
    uint64_t halvings = passed_ns / half_life_ns;
    uint64_t rest = passed_ns % half_life_ns;

    if (halvings >= HALVINGS_MAX) {
        return 0;
    }
    /* between two steps a straight line is near enough, and never jumps */
    uint64_t step_ns = half_life_ns / STEPS, step = rest / step_ns;
    step = step < STEPS ? step : STEPS - 1;
    double from = steps[step], to = step + 1 < STEPS ? steps[step + 1] : 0.5;
    double way = (double)(rest - step * step_ns) / (double)step_ns;
    return x * (from + (to - from) * (way < 1 ? way : 1)) / (double)(UINT64_C(1) << halvings);
}

static uint64_t passed(const struct rating *r, struct now now)
{
    return now.mono_ns > r->at_ns ? now.mono_ns - r->at_ns : 0;
}

double rating_part_at(const struct rating *r, enum rating_part p, struct now now)
{
    return decayed(r->part[p], rating_rows[p].half_life_ns, passed(r, now));
}

double rating_at(const struct rating *r, struct now now)
{
    double sum = 0;

    for (unsigned p = 0; p < RATING_PARTS; p++) {
        sum += rating_part_at(r, (enum rating_part)p, now);
    }
    return sum;
}

void rating_age(struct rating *r, struct now now)
{
    for (unsigned p = 0; p < RATING_PARTS; p++) {
        r->part[p] = rating_part_at(r, (enum rating_part)p, now);
    }
    r->at_ns = now.mono_ns;
}

double rating_set(struct rating *r, enum rating_part p, double points, struct now now)
{
    const struct rating_row *row = &rating_rows[p];

    rating_age(r, now);
    double was = r->part[p];
    points = points < row->least ? row->least : points;
    r->part[p] = points > row->most ? row->most : points;
    return r->part[p] - was;
}

double rating_add(struct rating *r, enum rating_part p, double points, struct now now)
{
    return rating_set(r, p, rating_part_at(r, p, now) + points, now);
}

enum rating_verdict rating_judge(double rating)
{
    return rating <= RATING_BAN          ? RATED_BAN
           : rating <= RATING_DISCONNECT ? RATED_DISCONNECT
           : rating <= RATING_KEEP       ? RATED_LOW
           : rating < RATING_PREFER      ? RATED_KEEP
                                         : RATED_PREFER;
}

/* By doubling, then halving, of the time: the sum of decaying parts has no simple inverse. */
uint64_t rating_clears_ns(const struct rating *r, double above, struct now now)
{
    struct now at = now;
    uint64_t step_ns = SECONDS(1), low_ns = now.mono_ns;

    while (rating_at(r, at) <= above) {
        low_ns = at.mono_ns;
        at.mono_ns += step_ns;
        step_ns *= 2;
        if (step_ns > SECONDS(1000000)) {
            return NEVER; /* a part that does not decay holds it down */
        }
    }
    uint64_t high_ns = at.mono_ns;
    while (high_ns - low_ns > SECONDS(1)) {
        at.mono_ns = low_ns + (high_ns - low_ns) / 2;
        if (rating_at(r, at) <= above) {
            low_ns = at.mono_ns;
        } else {
            high_ns = at.mono_ns;
        }
    }
    return high_ns;
}

/* ---- gossipsub ---- */

double rating_of_gossip(double score)
{
    return score < 0 ? score / GOSSIP_PER_POINT : score / GOSSIP_BEST;
}

static double app_of(double points)
{
    return points < 0 ? points * APP_PER_POINT : points * APP_BEST;
}

double rating_app_score(const struct rating *r, struct now now)
{
    double sum = -RATING_KEEP;

    for (unsigned p = 0; p < RATING_PARTS; p++) {
        bool own = p != RATING_GOSSIP && p != RATING_CUSTOM;

        sum += own ? rating_part_at(r, (enum rating_part)p, now) : 0;
    }
    return app_of(rating_part_at(r, RATING_CUSTOM, now)) + (sum < 0 ? sum * OWN_PER_POINT : 0);
}

double rating_add_app(struct rating *r, double points, struct now now)
{
    double app = app_of(rating_part_at(r, RATING_CUSTOM, now)) + points;

    return rating_set(r, RATING_CUSTOM, app < 0 ? app / APP_PER_POINT : app / APP_BEST, now);
}
