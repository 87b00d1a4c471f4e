/* The ring of events, as its readers see it. Private to src/api. */
#ifndef API_EVENTS_INTERNAL_H
#define API_EVENTS_INTERNAL_H

#include <api/events.h>
#include <base/buf.h>
#include <base/log.h>

enum event_id {

#define EVENT(id, name, whose) id,
#include "events.def"
#undef EVENT
    EVENT_COUNT
};

enum event_whose { STANDARD, OWN };

struct event_row {
    const char *name;
    enum event_whose whose;
};

extern const struct event_row event_rows[EVENT_COUNT];
uint32_t event_bits(enum event_whose whose); /* all of them */

/* ---- ring.c ---- */

struct ring {
    uint8_t *bytes;
    size_t size;         /* a power of two */
    uint64_t begin, end; /* of what is kept: positions that only grow */
    uint64_t written[2]; /* events ever, by whose they are */
};

/* Where a reader is. */
struct ring_place {
    uint64_t at;
    size_t done; /* bytes of the frame there that were taken */
};

struct ring_event {
    enum event_id id;
    uint64_t number; /* among those that are whose it is; from 0, without gaps */
    struct view text;
};

void ring_init(struct ring *r, size_t size);
void ring_done(struct ring *r);
/* The oldest go. A text over a quarter of the ring is not taken: false. */
bool ring_put(struct ring *r, enum event_id id, struct view text);
/* False: the ring has overtaken the reader. */
bool ring_holds(const struct ring *r, const struct ring_place *p);
/* The event at the place or the first one of `kinds` behind it, which becomes the place: false at
 * the end. The text holds until the next ring_put(). */
bool ring_at(const struct ring *r, struct ring_place *p, uint32_t kinds, struct ring_event *ret);
void ring_pass(const struct ring *r, struct ring_place *p); /* the event at the place */
/* Server-sent events of `kinds`, up to `max` bytes, cut anywhere; 0 when there are none. */
size_t ring_read(const struct ring *r, struct ring_place *p, uint32_t kinds, char *to, size_t max);

/* ---- event_text.c ---- */

struct event_names; /* texts of peer ids by connection */
struct event_names *event_names_new(void);
void event_names_free(struct event_names *ns);

struct event_writer {
    const struct node *node;
    struct event_names *names;
    struct ring *ring;
    struct buf scratch;
    uint32_t wanted; /* kinds that somebody reads */
};

/* What is to be told for these kinds. */
void event_wishes(uint32_t wanted, struct node_watcher *ret);
/* As many events as follow from it. */
void event_write(struct event_writer *w, const struct node_event *e);

/* ---- events.c ---- */

struct event_reader { /* a stream */
    struct event_reader *prev, *next;
    struct ring_place place;
    uint32_t kinds;
    bool over; /* it was told so */
    void *self;
    void (*wake)(void *self);      /* there is something to read */
    void (*overtaken)(void *self); /* it was too slow */
};

const struct ring *events_ring(const struct events *e);
/* From now on; false: EVENT_READERS_MAX are there. */
bool events_join(struct events *e, struct event_reader *r);
void events_leave(struct events *e, struct event_reader *r);

#define EVENT_READERS_MAX 96u /* of API_CONNECTIONS_MAX: others must come through */

/* ---- event_file.c ---- */

struct event_file;

struct event_file *event_file_open(const char *path, struct io *io, struct log *log,
                                   struct metrics *metrics, char error[static EVENTS_ERROR_MAX]);
void event_file_close(struct event_file *f, const struct ring *r); /* writes what is left */
/* Take what is new; the loop never waits for the disk. True: call again soon. */
bool event_file_turn(struct event_file *f, const struct ring *r);

#endif
