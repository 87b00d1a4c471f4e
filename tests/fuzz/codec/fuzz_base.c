/* Any text: what is read, written again, is the same text (hex: but for case and prefix). */
#include <assert.h>
#include <codec/base.h>
#include <stdlib.h>

typedef enum err get_fn(struct view, uint8_t *, size_t, size_t *);
typedef enum err put_fn(struct view, char *, size_t);

static const struct {
    get_fn *get;
    put_fn *put;
} encodings[] = {
    {base58_get, base58_put}, {base32_get, base32_put}, {base64url_get, base64url_put}};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t *bytes = malloc(n + 1);
    char *text = malloc(2 * n + 1);
    size_t size;

    for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
        if (encodings[i].get(view_of(p, n), bytes, n + 1, &size) == E_OK) {
            assert(encodings[i].put(view_of(bytes, size), text, n + 1) == E_OK);
            assert(view_eq(view_str(text), view_of(p, n)));
        }
    }
    if (hex_get(view_of(p, n), bytes, n + 1, &size) == E_OK) {
        uint8_t *again = malloc(n + 1);
        size_t size_again;

        hex_put(view_of(bytes, size), text);
        assert(hex_get(view_str(text), again, n + 1, &size_again) == E_OK);
        assert(view_eq(view_of(bytes, size), view_of(again, size_again)));
        free(again);
    }
    free(bytes);
    free(text);
    return 0;
}
