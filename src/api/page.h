/* The dashboard's files as they are built in: src/api/page, by cmake/Embed.cmake. */
#ifndef API_PAGE_H
#define API_PAGE_H

#include <stddef.h>

struct embedded {
    const char *name;
    const unsigned char *bytes;
    size_t n;
};

extern const struct embedded embedded_page[];
extern const size_t embedded_page_count;

#endif
