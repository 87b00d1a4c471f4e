#include <base/mem.h>
#include <lib/hex.h>
#include <stdio.h>
#include <stdlib.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

struct blob *hex_blob(const char *text)
{
    const char *at = strncmp(text, "0x", 2) == 0 ? text + 2 : text;
    struct blob *b = blob_new(strlen(at) / 2);
    size_t digits = 0;

    if (strcmp(at, "-") == 0) {
        return b;
    }
    for (; *at != 0; at++) {
        if (is_blank(*at)) {
            continue;
        }
        if (digit(*at) < 0) {
            fprintf(stderr, "not hex: \"%s\"\n", text);
            abort();
        }
        unsigned high = digits % 2 == 0 ? 0 : b->b[digits / 2];
        if (digits / 2 < b->n) {
            b->b[digits / 2] = (uint8_t)(high << 4 | (unsigned)digit(*at));
        }
        digits++;
    }
    if (digits % 2 != 0) {
        fprintf(stderr, "half a byte of hex: \"%s\"\n", text);
        abort();
    }
    b->n = (uint32_t)(digits / 2);
    return b;
}

void hex_into(const char *text, void *out, size_t n)
{
    struct blob *b = hex_blob(text);

    if (b->n != n) {
        fprintf(stderr, "%u bytes of hex, want %zu: \"%s\"\n", b->n, n, text);
        abort();
    }
    if (n != 0) {
        memcpy(out, b->b, n);
    }
    blob_unref(b);
}

char *hex_text(struct view v)
{
    static const char digits[] = "0123456789abcdef";
    char *text = mem_alloc(v.n * 2 + 1);

    for (size_t i = 0; i < v.n; i++) {
        text[2 * i] = digits[v.p[i] >> 4];
        text[2 * i + 1] = digits[v.p[i] & 15];
    }
    text[2 * v.n] = 0;
    return text;
}
