/*
 * Errors: one table (err.def) says whose fault an error is, what it closes, what it costs the
 * peer, and the text that logs and docs print.
 *
 * E_OK is 0. A function that can fail returns enum err and is CHECKED; outputs named ret_* are
 * written on E_OK only.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#define CHECKED                __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err_fault { FAULT_NONE, FAULT_OURS, FAULT_REMOTE, FAULT_MACHINE };

/* What an error ends, smallest first: a message, its stream, the whole connection. */
enum err_unit { UNIT_NONE, UNIT_MESSAGE, UNIT_STREAM, UNIT_CONN };

enum err {

#define E(name, fault, unit, penalty, text) name,
#include <base/err.def>
#undef E
    ERR_COUNT
};

struct err_row {
    const char *name; /* "E_YAMUX_WINDOW" */
    const char *text; /* one line, lower case, no full stop */
    enum err_fault fault;
    enum err_unit unit;
    unsigned penalty; /* points taken from the peer's rating; 0: none */
};

extern const struct err_row err_table[ERR_COUNT];

/* The text of `e`; never NULL, also for numbers out of range. */
const char *err_text(enum err e);

/* Leave the function with the error of `call`, if it has one. */
#define TRY(call)                   \
    do {                            \
        enum err try_err_ = (call); \
        if (try_err_ != E_OK) {     \
            return try_err_;        \
        }                           \
    } while (0)

/* Drop a CHECKED result on purpose; `reason` is for the reader. */
#define IGNORE(call, reason) \
    do {                     \
        if (call) {          \
            (void)(reason);  \
        }                    \
    } while (0)

#endif
