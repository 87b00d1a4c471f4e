/*
 * Logging, for net, node, store, api and cli only; engines return errors and events instead.
 *
 * A line is a level, a module, a fixed message and typed fields, written as text or ndjson to a
 * sink function. The log is handed down from the node: a simulated node has its own.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <base/bytes.h>
#include <base/clock.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

enum log_format { LOG_TEXT, LOG_JSON };

struct log;

struct log_field {
    const char *key;

    enum { LOG_STR, LOG_U64, LOG_I64, LOG_HEX, LOG_VIEW, LOG_MS } kind;

    union {
        const char *str; /* LOG_STR */
        uint64_t u64;    /* LOG_U64; LOG_MS: nanoseconds, printed as milliseconds */
        int64_t i64;
        struct view view; /* LOG_HEX: printed 0x...; LOG_VIEW: as escaped text */
    };
};

/* Receives one finished line, newline included. */
typedef void log_sink(void *self, enum log_level level, struct view line);

struct log *log_new(log_sink *sink, void *self, enum log_format format, enum log_level level);
void log_free(struct log *l);
/* "info" or "info,gossip=debug,discv5=trace"; false names a bad word in ret_bad (may be NULL). */
bool log_set_levels(struct log *l, const char *spec, struct view *ret_bad);
/* The levels as log_set_levels() takes them, cut at `cap`. */
const char *log_levels(const struct log *l, char *out, size_t cap);
const char *log_level_name(enum log_level level);
/* The wall clock that lines carry; set by the world each turn. */
void log_set_time(struct log *l, uint64_t wall_ns);
bool log_on(const struct log *l, enum log_level level, const char *module);
void log_write(struct log *l, enum log_level level, const char *module, const char *msg,
               const struct log_field *fields, size_t n);

#define L_STR(k, v)  ((struct log_field){.key = (k), .kind = LOG_STR, .str = (v)})
#define L_U64(k, v)  ((struct log_field){.key = (k), .kind = LOG_U64, .u64 = (v)})
#define L_I64(k, v)  ((struct log_field){.key = (k), .kind = LOG_I64, .i64 = (v)})
#define L_HEX(k, v)  ((struct log_field){.key = (k), .kind = LOG_HEX, .view = (v)})
#define L_VIEW(k, v) ((struct log_field){.key = (k), .kind = LOG_VIEW, .view = (v)})
#define L_MS(k, v)   ((struct log_field){.key = (k), .kind = LOG_MS, .u64 = (v)})

/* LOG(log, LOG_WARN, "net", "peer broke the window", L_U64("allowed", w)); log may be NULL. */
#define LOG(l, level, module, msg, ...)                                                  \
    do {                                                                                 \
        if (log_on((l), (level), (module))) {                                            \
            const struct log_field log_f_[] = {{.key = NULL}, ##__VA_ARGS__};            \
            log_write((l), (level), (module), (msg), log_f_ + 1, ARRAY_LEN(log_f_) - 1); \
        }                                                                                \
    } while (0)

#endif
