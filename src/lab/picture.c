/* The run as an SVG: for each block, which share of the nodes had it after how long. */
#include "lab.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define WIDTH      800u
#define HEIGHT     440u
#define LEFT       60u
#define TOP        40u
#define PLOT_W     (WIDTH - LEFT - 30)
#define PLOT_H     (HEIGHT - TOP - 60)
#define CURVES_MAX 200u  /* more lie on each other */
#define POINTS_MAX 1000u /* of a curve: more than pixels */
#define GRID       5u

static const char *const style =
    "text{font:13px sans-serif;fill:#333}.g{stroke:#ddd}.c{fill:none;stroke:#1565c0;"
    "stroke-opacity:.45;stroke-width:1.5}.k1{fill:none;stroke:#c62828;stroke-width:2.5}"
    ".k2{fill:none;stroke:#2e7d32;stroke-width:2.5}";

PRINTF_LIKE(2, 3) static enum err put(struct buf *out, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return n < 0 || (size_t)n >= sizeof text ? E_RANGE : buf_append(out, text, (size_t)n);
}

/* The slowest arrival, rounded up to a number that divides well. */
static uint64_t span_ms(const struct lab *l)
{
    uint64_t slowest = 0, span = 100;

    MAP_EACH(&l->blocks, struct block_seen, b) {
        uint64_t last = b->reached == 0 ? 0 : b->delays[b->reached - 1] / MILLIS(1);

        slowest = last > slowest ? last : slowest;
    }
    for (unsigned t = 0; t < LAB_TOPICS; t++) {
        uint64_t last = l->spreads[t].reached == 0 ? 0 : spread_share_ms(&l->spreads[t], 100);

        slowest = last > slowest ? last : slowest;
    }
    for (uint64_t step = 100; span < slowest; step = span >= step * 10 ? step * 10 : step) {
        span += step;
    }
    return span;
}

static enum err put_frame(struct buf *out, const struct lab *l, uint64_t span)
{
    TRY(put(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\"><style>%s</style>"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, HEIGHT, style));
    TRY(put(out,
            "<text x=\"%u\" y=\"24\">%" PRIu32 " blocks to %" PRIu32 " nodes, seed %" PRIu64
            "</text>\n",
            LEFT, l->blocks.n, l->sc.nodes, l->sc.sim.seed));
    for (unsigned i = 0; i <= GRID; i++) {
        unsigned x = LEFT + PLOT_W * i / GRID, y = TOP + PLOT_H - PLOT_H * i / GRID;

        TRY(put(out,
                "<path class=\"g\" d=\"M%u %uV%uM%u %uH%u\"/><text x=\"%u\" y=\"%u\" "
                "text-anchor=\"middle\">%" PRIu64 "</text><text x=\"%u\" y=\"%u\" "
                "text-anchor=\"end\">%u%%</text>\n",
                x, TOP, TOP + PLOT_H, LEFT, y, LEFT + PLOT_W, x, TOP + PLOT_H + 20, span * i / GRID,
                LEFT - 8, y + 4, 100 * i / GRID));
    }
    return put(out, "<text x=\"%u\" y=\"%u\" text-anchor=\"middle\">ms after publishing</text>\n",
               LEFT + PLOT_W / 2, HEIGHT - 15);
}

static enum err put_curve(struct buf *out, const struct block_seen *b, uint64_t span)
{
    uint32_t step = b->reached / POINTS_MAX + 1;

    TRY(put(out, "<path class=\"c\" d=\"M%u %u", LEFT, TOP + PLOT_H));
    for (uint32_t i = 0; i < b->reached; i += step) {
        uint64_t x = LEFT + PLOT_W * (b->delays[i] / MILLIS(1)) / span;
        uint64_t y = TOP + PLOT_H - (uint64_t)PLOT_H * (i + 1) / (b->running == 0 ? 1 : b->running);

        TRY(put(out, "H%" PRIu64 "V%" PRIu64, x, y > TOP ? y : TOP));
    }
    return put(out, "\"/>\n");
}

/* All messages of a kind in one curve: of those wanted, how many had arrived. */
static enum err put_spread(struct buf *out, const struct lab *l, unsigned t, uint64_t span,
                           unsigned *y_legend)
{
    const struct spread *s = &l->spreads[t];
    uint64_t sum = 0, at_y = TOP + PLOT_H;

    if (s->wanted == 0) {
        return E_OK;
    }
    *y_legend += 18;
    TRY(put(out, "<text x=\"%u\" y=\"%u\" text-anchor=\"end\">%" PRIu64 " of %s</text>",
            LEFT + PLOT_W - 40, *y_legend, s->messages, lab_topic_name((enum lab_topic)t)));
    TRY(put(out, "<path class=\"k%u\" d=\"M%u %uh30M%u %u", t, LEFT + PLOT_W - 32, *y_legend - 4,
            LEFT, TOP + PLOT_H));
    for (uint64_t ms = 0; ms < DELAY_MS_MAX && ms <= span; ms++) {
        sum += s->by_ms[ms];
        uint64_t y = TOP + PLOT_H - PLOT_H * sum / s->wanted;

        if (y != at_y) {
            TRY(put(out, "H%" PRIu64 "V%" PRIu64, LEFT + PLOT_W * ms / span, y));
            at_y = y;
        }
    }
    return put(out, "\"/>\n");
}

enum err lab_picture(const struct lab *l, struct buf *out)
{
    uint64_t span = span_ms(l);
    uint32_t curves = 0;
    unsigned y_legend = TOP + PLOT_H / 2;

    TRY(put_frame(out, l, span));
    MAP_EACH(&l->blocks, struct block_seen, b) {
        if (curves++ < CURVES_MAX) {
            TRY(put_curve(out, b, span));
        }
    }
    for (unsigned t = 0; t < LAB_TOPICS; t++) {
        TRY(put_spread(out, l, t, span, &y_legend));
    }
    return put(out, "</svg>\n");
}
