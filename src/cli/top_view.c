/* The views of `beacon-p2pd top`. */
#include "top.h"

#include <base/mem.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE_TEXT      32u
#define STRIP_CELLS    32u   /* of a block's deliveries */
#define KINDS_MAX      64u   /* of topics */
#define LINE_MAX_BYTES 2048u /* of the log; a terminal shows far fewer */

/* ---- reading ---- */

static double num(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static unsigned long long whole(const json_t *o, const char *key)
{
    double x = num(o, key);

    return x < 0 ? 0 : (unsigned long long)x;
}

static const char *str(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s == NULL ? "" : s;
}

static const char *tail(const char *s, size_t n)
{
    size_t len = strlen(s);

    return len > n ? s + len - n : s;
}

static const char *size_text(double bytes, char out[static SIZE_TEXT])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t i = 0;

    while (bytes >= 1000 && i + 1 < ARRAY_LEN(units)) {
        bytes /= 1000;
        i++;
    }
    snprintf(out, SIZE_TEXT, i == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[i]);
    return out;
}

static const char *span_text(double seconds, char out[static SIZE_TEXT])
{
    unsigned long s = seconds < 0 ? 0 : (unsigned long)seconds;

    if (s < 60) {
        snprintf(out, SIZE_TEXT, "%lu s", s);
    } else if (s < 3600) {
        snprintf(out, SIZE_TEXT, "%lu min", s / 60);
    } else if (s < 86400) {
        snprintf(out, SIZE_TEXT, "%lu h %lu min", s / 3600, s % 3600 / 60);
    } else {
        snprintf(out, SIZE_TEXT, "%lu d %lu h", s / 86400, s % 86400 / 3600);
    }
    return out;
}

static double sum_of(const json_t *o)
{
    double sum = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)o, key, value)
    {
        sum += json_number_value(value);
    }
    return sum;
}

/* ---- the head ---- */

static void draw_progress(const json_t *chain, struct canvas *c)
{
    double left = num(chain, "slots_left"), head = num(chain, "head_slot");
    double total = head + num(chain, "sync_distance") - num(chain, "earliest_slot");
    char text[SIZE_TEXT];

    if (left <= 0 || total <= 0) {
        return;
    }
    double done = 1 - left / (left > total ? left : total);

    canvas_put(c, INK_PLAIN, "sync ");
    canvas_bar(c, 40, done);
    canvas_put(c, INK_PLAIN, " %3.0f %%, %.0f slots left", 100 * done, left);
    if (num(chain, "seconds_left") > 0) {
        canvas_put(c, INK_PLAIN, ", %s", span_text(num(chain, "seconds_left"), text));
    }
    canvas_end(c);
}

void top_draw_head(const struct top *t, struct canvas *c)
{
    const json_t *o = t->docs[TOP_OVERVIEW], *chain = json_object_get(o, "chain");
    const json_t *peers = json_object_get(o, "peers"), *d = json_object_get(o, "discovery");
    bool behind = json_is_true(json_object_get(chain, "syncing"));
    char up[SIZE_TEXT], in[SIZE_TEXT], out[SIZE_TEXT];

    canvas_put(c, INK_BOLD, "%s", str(o, "version"));
    canvas_put(c, INK_PLAIN, "  %s  up %s  ", str(o, "network"), span_text(num(o, "uptime_s"), up));
    canvas_put(c, INK_QUIET, "%s", str(o, "peer_id"));
    canvas_end(c);
    canvas_put(c, INK_PLAIN, "slot %llu  head %llu ", whole(chain, "slot"),
               whole(chain, "head_slot"));
    if (behind) {
        canvas_put(c, INK_BAD, "%llu behind", whole(chain, "sync_distance"));
    } else if (whole(peers, "connected") == 0) {
        canvas_put(c, INK_PLAIN, "no peer to compare with");
    } else {
        canvas_put(c, INK_GOOD, "in sync");
    }
    canvas_put(c, INK_PLAIN, "  peers %llu (%llu in, %llu out)  ", whole(peers, "connected"),
               whole(peers, "inbound"), whole(peers, "outbound"));
    if (t->has_rates) {
        canvas_put(c, INK_PLAIN, "in %s/s  out %s/s  loop %.1f %%", size_text(t->in_rate, in),
                   size_text(t->out_rate, out), 100 * t->busy);
    } else {
        canvas_put(c, INK_PLAIN, "in %s  out %s so far", size_text((double)t->bytes_in, in),
                   size_text((double)t->bytes_out, out));
    }
    canvas_put(c, INK_PLAIN, "  discv5 %llu live", whole(d, "live"));
    canvas_end(c);
    draw_progress(chain, c);
}

/* ---- views: each draws line `i`, false behind its last one ---- */

typedef bool draw_line(const struct top *t, struct canvas *c, size_t i);

static bool draw_peers(const struct top *t, struct canvas *c, size_t i)
{
    const json_t *list = json_object_get(t->docs[TOP_PEERS], "peers");
    const json_t *p = json_array_get(list, i == 0 ? 0 : i - 1);
    const json_t *rating = json_object_get(p, "rating"), *parts = json_object_get(rating, "parts");
    char in[SIZE_TEXT], out[SIZE_TEXT], since[SIZE_TEXT], rtt[SIZE_TEXT] = "-";

    if (i == 0) {
        canvas_put(c, INK_QUIET, "%-8s %-12s %-3s %-4s %8s %7s", "PEER", "CLIENT", "DIR", "BY",
                   "RTT MS", "RATING");
        for (size_t k = 0; k < json_array_size(parts); k++) {
            canvas_put(c, INK_QUIET, " %9.9s", str(json_array_get(parts, k), "name"));
        }
        canvas_put(c, INK_QUIET, " %9s %9s %12s  %s", "IN", "OUT", "SINCE", "AGENT");
        return true;
    }
    if (i > json_array_size(list)) {
        return false;
    }
    if (json_is_number(json_object_get(p, "rtt_ms"))) {
        snprintf(rtt, sizeof rtt, "%.1f", num(p, "rtt_ms"));
    }
    double total = num(rating, "total");

    canvas_put(c, INK_ACCENT, "%-8s", tail(str(p, "peer_id"), 8));
    canvas_put(c, INK_PLAIN, " %-12.12s %-3.3s %-4s %8s ", str(p, "client"), str(p, "direction"),
               str(p, "transport"), rtt);
    canvas_put(c, total < 0 ? INK_BAD : INK_GOOD, "%7.1f", total);
    for (size_t k = 0; k < json_array_size(parts); k++) {
        canvas_put(c, INK_PLAIN, " %9.1f", num(json_array_get(parts, k), "value"));
    }
    canvas_put(c, INK_PLAIN, " %9s %9s %12s  ", size_text(num(p, "bytes_in"), in),
               size_text(num(p, "bytes_out"), out), span_text(num(p, "since_s"), since));
    canvas_put(c, INK_QUIET, "%s", str(p, "agent"));
    return true;
}

static bool draw_topics(const struct top *t, struct canvas *c, size_t i)
{
    const json_t *list = json_object_get(t->docs[TOP_TOPICS], "topics");
    const json_t *x = json_array_get(list, i == 0 ? 0 : i - 1);
    char in[SIZE_TEXT], out[SIZE_TEXT];

    if (i == 0) {
        canvas_put(c, INK_QUIET, "%-40s %-6s %5s %5s %9s %9s %9s %9s", "TOPIC", "FORK", "MESH",
                   "PEERS", "NEW", "COPIES", "IN", "OUT");
        return true;
    }
    if (i > json_array_size(list)) {
        return false;
    }
    size_t mesh = json_array_size(json_object_get(x, "mesh"));

    canvas_put(c, INK_ACCENT, "%-40s", str(x, "name"));
    canvas_put(c, INK_PLAIN, " %-6s %5zu %5llu %9llu %9llu %9s %9s", str(x, "fork"), mesh,
               whole(x, "subscribers"), whole(x, "messages"), whole(x, "duplicates"),
               size_text(sum_of(json_object_get(x, "in")), in),
               size_text(sum_of(json_object_get(x, "out")), out));
    return true;
}

/* Rows of 32; a digit is the number of peers, + more than nine. */
#define ACROSS 32u

static bool draw_coverage(const struct top *t, struct canvas *c, size_t i)
{
    static const struct {
        const char *key, *title;
        size_t lines;
    } maps[] = {{"columns", "data columns", 4},
                {"attestation", "attestation subnets", 2},
                {"sync", "sync committee subnets", 1}};

    for (size_t m = 0; m < ARRAY_LEN(maps); m++) {
        const json_t *list = json_object_get(t->docs[TOP_COVERAGE], maps[m].key);

        if (i == 0) {
            canvas_put(c, INK_BOLD, "%s", maps[m].title);
            canvas_put(c, INK_QUIET, "  peers that serve each; () ours, '' sampled, ! too few");
            return true;
        }
        if (i <= maps[m].lines) {
            canvas_put(c, INK_QUIET, "%4zu ", (i - 1) * ACROSS);
            for (size_t k = (i - 1) * ACROSS; k < i * ACROSS && k < json_array_size(list); k++) {
                const json_t *cell = json_array_get(list, k);
                unsigned long long n = whole(cell, "peers");
                bool ours = strcmp(str(cell, "own"), "custody") == 0;
                bool sampled = strcmp(str(cell, "own"), "sampled") == 0;
                bool lacks = json_is_true(json_object_get(cell, "lacking"));

                canvas_put(c,
                           lacks    ? INK_BAD
                           : n == 0 ? INK_QUIET
                                    : INK_GOOD,
                           "%c%c%c",
                           ours      ? '('
                           : sampled ? '\''
                                     : ' ',
                           n > 9 ? '+' : (char)('0' + n),
                           lacks     ? '!'
                           : ours    ? ')'
                           : sampled ? '\''
                                     : ' ');
            }
            return true;
        }
        i -= maps[m].lines + 1;
    }
    return false;
}

struct kind {
    const char *name;
    double in, out, first, duplicate, control;
};

static int by_bytes(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;
    double d = y->in + y->out - x->in - x->out;

    return d > 0 ? 1 : d < 0 ? -1 : strcmp(x->name, y->name);
}

static size_t kinds_of(const struct top *t, struct kind kinds[static KINDS_MAX])
{
    const json_t *list = json_object_get(t->docs[TOP_TOPICS], "topics");
    size_t n = 0, k;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i), *in = json_object_get(x, "in");

        for (k = 0; k < n && strcmp(kinds[k].name, str(x, "kind")) != 0; k++) {
        }
        if (k == KINDS_MAX) {
            continue;
        }
        if (k == n) {
            kinds[n++] = (struct kind){.name = str(x, "kind")};
        }
        kinds[k].in += sum_of(in);
        kinds[k].out += sum_of(json_object_get(x, "out"));
        kinds[k].first += num(in, "first");
        kinds[k].duplicate += num(in, "duplicate");
        kinds[k].control += num(in, "control") + num(in, "ihave");
    }
    qsort(kinds, n, sizeof kinds[0], by_bytes);
    return n;
}

static bool draw_bandwidth(const struct top *t, struct canvas *c, size_t i)
{
    struct kind kinds[KINDS_MAX];
    size_t n = kinds_of(t, kinds);
    char text[5][SIZE_TEXT];

    if (i == 0) {
        canvas_put(c, INK_QUIET, "%-38s %9s %9s %9s %9s %9s  SHARE OF IN AND OUT", "TOPICS", "IN",
                   "FIRST", "COPIES", "CONTROL", "OUT");
        return true;
    }
    if (i > n) {
        return false;
    }
    const struct kind *k = &kinds[i - 1];
    double most = kinds[0].in + kinds[0].out;

    canvas_put(c, INK_ACCENT, "%-38s", k->name);
    canvas_put(c, INK_PLAIN, " %9s %9s %9s %9s %9s  ", size_text(k->in, text[0]),
               size_text(k->first, text[1]), size_text(k->duplicate, text[2]),
               size_text(k->control, text[3]), size_text(k->out, text[4]));
    canvas_bar(c, 24, most > 0 ? (k->in + k->out) / most : 0);
    return true;
}

static void draw_strip(struct canvas *c, const json_t *carriers, double scale)
{
    char strip[STRIP_CELLS + 1];

    memset(strip, '.', STRIP_CELLS);
    strip[STRIP_CELLS] = '\0';
    for (size_t k = json_array_size(carriers); k-- > 0;) { /* the first one on top */
        double delay = num(json_array_get(carriers, k), "delay_ms");
        double at = delay < 0 ? 0 : delay / scale * (STRIP_CELLS - 1);

        strip[at > STRIP_CELLS - 1 ? STRIP_CELLS - 1 : (size_t)at] = k == 0 ? '#' : '|';
    }
    canvas_put(c, INK_ACCENT, "%s", strip);
}

static double block_scale(const json_t *list)
{
    double most = 50;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *carriers = json_object_get(json_array_get(list, i), "carriers");
        double last = num(json_array_get(carriers, json_array_size(carriers) - 1), "delay_ms");

        most = last > most ? last : most;
    }
    return most;
}

static bool draw_blocks(const struct top *t, struct canvas *c, size_t i)
{
    const json_t *list = json_object_get(t->docs[TOP_BLOCKS], "blocks");
    const json_t *b = json_array_get(list, i == 0 ? 0 : i - 1);
    const json_t *carriers = json_object_get(b, "carriers"), *first = json_array_get(carriers, 0);
    double scale = block_scale(list);
    char size[SIZE_TEXT];

    if (i == 0) {
        canvas_put(c, INK_QUIET, "%10s %-12s %9s %9s %7s %-9s  0 TO %.0f MS AFTER THE SLOT'S BEGIN",
                   "SLOT", "ROOT", "SIZE", "FIRST MS", "COPIES", "FROM", scale);
        return true;
    }
    if (i > json_array_size(list)) {
        return false;
    }
    canvas_put(c, INK_BOLD, "%10llu", whole(b, "slot"));
    canvas_put(c, INK_PLAIN, " %-12.12s %9s %9.1f %7llu %-9s  ", str(b, "root"),
               size_text(num(b, "bytes"), size), num(first, "delay_ms"), whole(b, "copies"),
               tail(str(first, "peer_id"), 8));
    draw_strip(c, carriers, scale);
    return true;
}

static bool draw_log(const struct top *t, struct canvas *c, size_t i)
{
    size_t kept = t->n_lines < TOP_LOG_LINES ? t->n_lines : TOP_LOG_LINES;

    if (i >= kept) {
        return false;
    }
    canvas_put(c, INK_PLAIN, "%s", t->lines[(t->n_lines - kept + i) % TOP_LOG_LINES]);
    return true;
}

static const struct {
    const char *name;
    draw_line *draw;
} views[TOP_VIEWS] = {
    [VIEW_PEERS] = {"peers", draw_peers},          [VIEW_TOPICS] = {"topics", draw_topics},
    [VIEW_COVERAGE] = {"coverage", draw_coverage}, [VIEW_BANDWIDTH] = {"bandwidth", draw_bandwidth},
    [VIEW_BLOCKS] = {"blocks", draw_blocks},       [VIEW_LOG] = {"log", draw_log},
};

const char *top_view_name(enum top_view v)
{
    return views[v].name;
}

bool top_view_by_name(const char *name, enum top_view *ret)
{
    for (unsigned v = 0; v < TOP_VIEWS; v++) {
        if (strcmp(views[v].name, name) == 0) {
            *ret = (enum top_view)v;
            return true;
        }
    }
    return false;
}

void top_draw_view(const struct top *t, struct canvas *c, enum top_view v, size_t rows)
{
    size_t kept = t->n_lines < TOP_LOG_LINES ? t->n_lines : TOP_LOG_LINES;
    size_t from = v == VIEW_LOG && kept > rows ? kept - rows : 0; /* the log's end */

    from += v == VIEW_LOG ? 0 : t->scroll;
    for (size_t i = 0; i < rows; i++) {
        /* the line of titles stays */
        if (!views[v].draw(t, c, i == 0 && v != VIEW_LOG ? 0 : from + i)) {
            break;
        }
        canvas_end(c);
    }
}

/* ---- taking ---- */

/* A log line of --log-format json as the text format has it: the caller's to free. */
static char *line_text(const char *line)
{
    json_t *o = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;
    char text[LINE_MAX_BYTES];
    const char *key;
    json_t *value;

    if (!json_is_object(o)) {
        json_decref(o);
        return mem_strdup(line);
    }
    int n = snprintf(text, sizeof text, "%s %-5s %-8s %s", str(o, "time"), str(o, "level"),
                     str(o, "module"), str(o, "msg"));

    json_object_foreach(o, key, value)
    {
        bool head = strcmp(key, "time") == 0 || strcmp(key, "level") == 0 ||
                    strcmp(key, "module") == 0 || strcmp(key, "msg") == 0;
        char v[LINE_MAX_BYTES];
        size_t v_n = head ? 0 : json_dumpb(value, v, sizeof v, JSON_ENCODE_ANY | JSON_COMPACT);

        if (v_n != 0 && v_n < sizeof v && n > 0 && (size_t)n < sizeof text) {
            n += snprintf(text + n, sizeof text - (size_t)n, " %s=%.*s", key, (int)v_n, v);
        }
    }
    json_decref(o);
    return mem_strdup(text);
}

void top_take(struct top *t)
{
    const json_t *o = t->docs[TOP_OVERVIEW], *bytes = json_object_get(o, "bytes");
    const json_t *lines = json_object_get(t->docs[TOP_LOG], "lines");
    uint64_t time_ms = whole(o, "time_ms"), in = whole(bytes, "in") + whole(bytes, "udp_in");
    uint64_t out = whole(bytes, "out") + whole(bytes, "udp_out");
    uint64_t busy = (uint64_t)(1000 * num(json_object_get(o, "loop"), "busy_ms"));

    if (t->time_ms != 0 && time_ms > t->time_ms && in >= t->bytes_in && out >= t->bytes_out) {
        double s = (double)(time_ms - t->time_ms) / 1000;

        t->in_rate = (double)(in - t->bytes_in) / s;
        t->out_rate = (double)(out - t->bytes_out) / s;
        t->busy = (double)(busy - t->busy_us) / 1e6 / s;
        t->has_rates = true;
    }
    t->time_ms = time_ms;
    t->bytes_in = in;
    t->bytes_out = out;
    t->busy_us = busy;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        char **place = &t->lines[t->n_lines++ % TOP_LOG_LINES];

        mem_free(*place);
        *place = line_text(str(json_array_get(lines, i), "text"));
    }
}

void top_done(struct top *t)
{
    for (size_t i = 0; i < TOP_DOCS; i++) {
        json_decref(t->docs[i]);
    }
    for (size_t i = 0; i < TOP_LOG_LINES; i++) {
        mem_free(t->lines[i]);
    }
}
