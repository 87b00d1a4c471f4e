/*
 * A line is put together in fixed space on the stack. What a remote chose (names, agent strings)
 * is escaped to printable ASCII, so that it can neither end a line nor break the JSON. A field
 * that does not fit is left out whole, and the line says so.
 */
#include <base/err.h>
#include <base/log.h>
#include <base/mem.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX   2048u /* bytes of a line; longer ones lose their last fields */
#define LOG_TAIL       32u   /* kept free for the mark of a shortened line, and the end */
#define LOG_RULES_MAX  32u   /* modules with a level of their own: there are fewer modules */
#define LOG_MODULE_MAX 24u   /* bytes of a module's name */

struct rule {
    char module[LOG_MODULE_MAX];
    enum log_level level;
};

struct log {
    log_sink *sink;
    void *self;
    enum log_format format;
    enum log_level level;
    enum log_level most; /* of all modules: most calls end here */
    struct rule rules[LOG_RULES_MAX];
    size_t n_rules;
    uint64_t wall_ns;
};

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};

struct log *log_new(log_sink *sink, void *self, enum log_format format, enum log_level level)
{
    struct log *l = mem_zalloc(sizeof *l);

    l->sink = sink;
    l->self = self;
    l->format = format;
    l->level = l->most = level;
    return l;
}

void log_free(struct log *l)
{
    mem_free(l);
}

void log_set_time(struct log *l, uint64_t wall_ns)
{
    if (l != NULL) {
        l->wall_ns = wall_ns;
    }
}

static bool level_parse(struct view word, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (view_eq(word, view_str(level_names[i]))) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* One word: "level" or "module=level". */
static bool apply_word(struct log *l, struct view word)
{
    const uint8_t *eq = word.n == 0 ? NULL : memchr(word.p, '=', word.n);

    if (eq == NULL) {
        return level_parse(word, &l->level);
    }
    size_t n = (size_t)(eq - word.p);
    struct rule *r = &l->rules[l->n_rules];

    if (n == 0 || n >= LOG_MODULE_MAX || l->n_rules == LOG_RULES_MAX ||
        !level_parse(view_skip(word, n + 1), &r->level)) {
        return false;
    }
    memcpy(r->module, word.p, n);
    r->module[n] = 0;
    l->n_rules++;
    return true;
}

bool log_set_levels(struct log *l, const char *spec, struct view *ret_bad)
{
    struct log wanted = *l;

    wanted.n_rules = 0;
    for (struct view rest = view_str(spec);;) {
        const uint8_t *comma = rest.n == 0 ? NULL : memchr(rest.p, ',', rest.n);
        struct view word = {rest.p, comma == NULL ? rest.n : (size_t)(comma - rest.p)};

        if (!apply_word(&wanted, word)) {
            if (ret_bad != NULL) {
                *ret_bad = word;
            }
            return false;
        }
        if (comma == NULL) {
            break;
        }
        rest = view_skip(rest, word.n + 1);
    }
    wanted.most = wanted.level;
    for (size_t i = 0; i < wanted.n_rules; i++) {
        wanted.most = wanted.rules[i].level > wanted.most ? wanted.rules[i].level : wanted.most;
    }
    *l = wanted;
    return true;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

const char *log_levels(const struct log *l, char *out, size_t cap)
{
    int n = snprintf(out, cap, "%s", level_names[l->level]);

    for (size_t i = 0; i < l->n_rules && n >= 0 && (size_t)n < cap; i++) {
        n += snprintf(out + n, cap - (size_t)n, ",%s=%s", l->rules[i].module,
                      level_names[l->rules[i].level]);
    }
    return out;
}

bool log_on(const struct log *l, enum log_level level, const char *module)
{
    if (l == NULL || level > l->most) {
        return false;
    }
    for (size_t i = 0; i < l->n_rules; i++) {
        if (strcmp(l->rules[i].module, module) == 0) {
            return level <= l->rules[i].level;
        }
    }
    return level <= l->level;
}

static void put_str(struct wr *w, const char *s)
{
    wr_bytes(w, s, strlen(s));
}

PRINTF_LIKE(2, 3)

static void put_fmt(struct wr *w, const char *fmt, ...)
{
    char text[96];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    wr_bytes(w, text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void put_escaped(struct wr *w, struct view v, enum log_format format)
{
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i];

        if (c == '"' || c == '\\') {
            put_fmt(w, "\\%c", c);
        } else if (c >= 0x20 && c < 0x7f) {
            wr_u8(w, c);
        } else {
            put_fmt(w, format == LOG_JSON ? "\\u%04x" : "\\x%02x", c);
        }
    }
}

static bool is_plain(struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] <= ' ' || v.p[i] >= 0x7f || strchr("\"\\=", v.p[i]) != NULL) {
            return false;
        }
    }
    return v.n != 0;
}

/* Text: quoted where a reader could take it for more than one word. */
static void put_text(struct wr *w, struct view v, enum log_format format)
{
    bool quote = format == LOG_JSON || !is_plain(v);

    put_str(w, quote ? "\"" : "");
    put_escaped(w, v, format);
    put_str(w, quote ? "\"" : "");
}

static void put_value(struct wr *w, const struct log_field *f, enum log_format format)
{
    switch (f->kind) {
    case LOG_STR:
        put_text(w, view_str(f->str == NULL ? "" : f->str), format);
        break;
    case LOG_VIEW:
        put_text(w, f->view, format);
        break;
    case LOG_U64:
        put_fmt(w, "%" PRIu64, f->u64);
        break;
    case LOG_I64:
        put_fmt(w, "%" PRId64, f->i64);
        break;
    case LOG_MS:
        put_fmt(w, "%" PRIu64 ".%03" PRIu64, f->u64 / 1000000, f->u64 / 1000 % 1000);
        break;
    case LOG_HEX:
        put_str(w, format == LOG_JSON ? "\"0x" : "0x");
        for (size_t i = 0; i < f->view.n; i++) {
            put_fmt(w, "%02x", f->view.p[i]);
        }
        put_str(w, format == LOG_JSON ? "\"" : "");
        break;
    }
}

static void put_field(struct wr *w, const struct log_field *f, enum log_format format)
{
    put_fmt(w, format == LOG_JSON ? ",\"%s%s\":" : " %s%s=", f->key,
            f->kind == LOG_MS ? "_ms" : "");
    put_value(w, f, format);
}

void log_write(struct log *l, enum log_level level, const char *module, const char *msg,
               const struct log_field *fields, size_t n)
{
    char space[LOG_LINE_MAX];
    struct wr w = wr_of(space, sizeof space - LOG_TAIL);
    bool json = l->format == LOG_JSON;

    put_str(&w, json ? "{\"time\":\"" : "");
    wr_wall_time(&w, l->wall_ns);
    if (json) {
        put_fmt(&w, "\",\"level\":\"%s\",\"module\":\"%s\",\"msg\":", level_names[level], module);
        put_text(&w, view_str(msg), LOG_JSON);
    } else {
        put_fmt(&w, " %-5s %-8s ", level_names[level], module);
        put_escaped(&w, view_str(msg), LOG_TEXT);
    }
    bool cut = false;

    for (size_t i = 0; i < n; i++) {
        struct wr before = w;

        put_field(&w, &fields[i], l->format);
        if (w.bad) {
            w = before;
            cut = true;
        }
    }
    w.bad = false; /* the tail has its own room */
    w.end += LOG_TAIL;
    put_str(&w, cut ? json ? ",\"cut\":true" : " cut=true" : "");
    put_str(&w, json ? "}\n" : "\n");
    l->sink(l->self, level, wr_view(&w));
}
