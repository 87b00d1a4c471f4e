/* A progress bar on the last line of a terminal, and nothing where there is none. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <base/err.h>
#include <stdio.h>

#define PROGRESS_TEXT 160u

struct progress {
    FILE *to;                 /* NULL: no terminal */
    bool coloured;            /* NO_COLOR is not set */
    char line[PROGRESS_TEXT]; /* drawn; "": none */
};

void progress_init(struct progress *p, FILE *to); /* a bar is drawn where `to` is a terminal */
bool progress_is_on(const struct progress *p);
/* share: 0 to 1. The text comes behind the bar. */
PRINTF_LIKE(3, 4) void progress_set(struct progress *p, double share, const char *format, ...);
void progress_end(struct progress *p); /* the line is empty again */
/* Around other writing to the same terminal: the bar goes, and comes back below it. */
void progress_hide(const struct progress *p);
void progress_show(const struct progress *p);

#endif
