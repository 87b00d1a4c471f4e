#define _GNU_SOURCE
#include "progress.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CELLS 30u

void progress_init(struct progress *p, FILE *to)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

    *p = (struct progress){.to = NULL};
    if (isatty(fileno(to)) && term != NULL && strcmp(term, "dumb") != 0) {
        p->to = to;
        p->coloured = no == NULL || no[0] == '\0';
    }
}

bool progress_is_on(const struct progress *p)
{
    return p->to != NULL;
}

/* Of the terminal; a longer line would wrap, and could not be taken back. */
static unsigned columns(const struct progress *p)
{
    struct winsize w;

    return ioctl(fileno(p->to), TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1u : 79u;
}

void progress_show(const struct progress *p)
{
    if (p->to != NULL && p->line[0] != '\0') {
        fprintf(p->to, "\r%s%.*s%s\033[K", p->coloured ? "\033[36m" : "", (int)columns(p), p->line,
                p->coloured ? "\033[0m" : "");
        fflush(p->to);
    }
}

void progress_hide(const struct progress *p)
{
    if (p->to != NULL && p->line[0] != '\0') {
        fputs("\r\033[K", p->to);
        fflush(p->to);
    }
}

void progress_set(struct progress *p, double share, const char *format, ...)
{
    char bar[CELLS + 1], text[PROGRESS_TEXT - CELLS - 16];
    va_list args;

    if (p->to == NULL) {
        return;
    }
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    for (unsigned i = 0; i < CELLS; i++) {
        bar[i] = i < share * CELLS ? '#' : '-';
    }
    bar[CELLS] = '\0';
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(p->line, sizeof p->line, "[%s] %3.0f %% %s", bar, 100 * share, text);
    progress_show(p);
}

void progress_end(struct progress *p)
{
    progress_hide(p);
    p->line[0] = '\0';
}
