/* Hex for tests. What does not parse ends the test: the vectors are ours. */
#ifndef TESTS_LIB_HEX_H
#define TESTS_LIB_HEX_H

#include <base/blob.h>

/* Bytes of hex text, any case, "0x" and blanks allowed; "-" and "" are no bytes. Unref it. */
struct blob *hex_blob(const char *text);
/* As above into fixed space; exactly `n` bytes. */
void hex_into(const char *text, void *out, size_t n);
/* Lower case without "0x"; freed with mem_free(). */
char *hex_text(struct view v);

#endif
