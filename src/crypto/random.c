#include <crypto/random.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include <sodium.h>

#define AHEAD 2048u /* bytes drawn at once: a system call a packet costs as much as its cipher */
#define LARGE 64u   /* drawn directly */

/* Bytes of the kernel's generator that nobody has had yet; wiped as they are handed out. */
struct ahead {
    uint8_t b[AHEAD];
    size_t left;
};

/* libsodium asks for 256 bytes a call. */
static void draw(uint8_t *p, size_t n)
{
    ssize_t got;

    for (; n != 0; p += got, n -= (size_t)got) {
        got = getrandom(p, n, 0);
        if (got < 0) { /* a signal, or a kernel that lacks it */
            randombytes_buf(p, n);
            return;
        }
    }
}

static void system_fill(struct rng *self, void *p, size_t n)
{
    static _Thread_local struct ahead ahead;

    (void)self;
    if (n > LARGE) {
        randombytes_buf(p, n);
        return;
    }
    if (ahead.left < n) {
        draw(ahead.b, sizeof ahead.b);
        ahead.left = sizeof ahead.b;
    }
    ahead.left -= n;
    if (n != 0) {
        memcpy(p, ahead.b + ahead.left, n);
        sodium_memzero(ahead.b + ahead.left, n);
    }
}

enum err crypto_start(void)
{
    return sodium_init() < 0 ? E_IO : E_OK;
}

struct rng *random_system(void)
{
    static struct rng system = {.fill = system_fill};

    return &system;
}
