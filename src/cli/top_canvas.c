/* Lines of a terminal: cut at its width, coloured or not. */
#include "top.h"

#include <stdarg.h>
#include <stdio.h>

#define PIECE_MAX 1024u

static void raw(struct canvas *c, const char *text)
{
    IGNORE(buf_append(c->out, text, strlen(text)), "a screen has far fewer bytes than its maximum");
}

static const char *const codes[] = {
    [INK_PLAIN] = "",          [INK_BOLD] = "\033[1m", [INK_QUIET] = "\033[2m",
    [INK_GOOD] = "\033[32m",   [INK_BAD] = "\033[31m", [INK_ACCENT] = "\033[36m",
    [INK_REVERSE] = "\033[7m",
};

void canvas_put(struct canvas *c, enum ink ink, const char *format, ...)
{
    char text[PIECE_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;

    len = len < c->width - c->column ? len : c->width - c->column;
    for (size_t i = 0; i < len; i++) {
        text[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
    }
    text[len] = '\0';
    raw(c, c->colour ? codes[ink] : "");
    raw(c, text);
    raw(c, c->colour && ink != INK_PLAIN ? "\033[0m" : "");
    c->column += (unsigned)len;
}

void canvas_end(struct canvas *c)
{
    raw(c, c->live ? "\033[K\n" : "\n");
    c->column = 0;
}

void canvas_bar(struct canvas *c, unsigned cells, double share)
{
    unsigned full = (unsigned)((share < 0 ? 0 : share > 1 ? 1 : share) * cells + 0.5);

    canvas_put(c, INK_QUIET, "[");
    for (unsigned i = 0; i < cells; i++) {
        canvas_put(c, i < full ? INK_ACCENT : INK_QUIET, "%s", i < full ? "#" : "-");
    }
    canvas_put(c, INK_QUIET, "]");
}
