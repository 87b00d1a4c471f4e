/* What `beacon-p2pd top` draws: documents of the API (docs/api.md "Views") as lines of a terminal.
 * Private to src/cli. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include <base/buf.h>

#include <jansson.h>

enum top_doc { TOP_OVERVIEW, TOP_PEERS, TOP_TOPICS, TOP_COVERAGE, TOP_BLOCKS, TOP_LOG, TOP_DOCS };

enum top_view {
    VIEW_PEERS,
    VIEW_TOPICS,
    VIEW_COVERAGE,
    VIEW_BANDWIDTH,
    VIEW_BLOCKS,
    VIEW_LOG,
    TOP_VIEWS
};

#define TOP_LOG_LINES 256u /* kept; no terminal is higher */

struct top {
    json_t *docs[TOP_DOCS]; /* "data" of each; NULL: not there yet */
    char *lines[TOP_LOG_LINES];
    size_t n_lines; /* ever; line i is at i % TOP_LOG_LINES */
    /* of the two last overviews, by their own clock */
    uint64_t time_ms, bytes_in, bytes_out, busy_us;
    double in_rate, out_rate, busy; /* bytes a second; share of a processor */
    bool has_rates;                 /* there were two */
    enum top_view view;
    size_t scroll; /* lines of the view above its first one shown */
};

/* Where lines go: cut at `width`, colours only when wanted. */
struct canvas {
    struct buf *out;
    unsigned width, column;
    bool colour, live; /* live: drawn over the last screen */
};

enum ink { INK_PLAIN, INK_BOLD, INK_QUIET, INK_GOOD, INK_BAD, INK_ACCENT, INK_REVERSE };

/* What a remote has said is cleaned: only printable ASCII reaches the terminal. */
PRINTF_LIKE(3, 4) void canvas_put(struct canvas *c, enum ink ink, const char *format, ...);
void canvas_end(struct canvas *c);                               /* of the line */
void canvas_bar(struct canvas *c, unsigned cells, double share); /* [####----] */
const char *top_view_name(enum top_view v);
bool top_view_by_name(const char *name, enum top_view *ret);

/* The vital signs, two lines or three; then a view's lines from `top->scroll` on, `rows` at most.
 */
void top_draw_head(const struct top *t, struct canvas *c);
void top_draw_view(const struct top *t, struct canvas *c, enum top_view v, size_t rows);
/* After new documents: rates, and lines of the log. */
void top_take(struct top *t);
void top_done(struct top *t);

#endif
