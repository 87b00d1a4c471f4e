#include <crypto/random.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#define AHEAD \
    512u          /* bytes drawn at once: a system call a packet would cost as much as its cipher */
#define LARGE 64u /* drawn directly */

/* Bytes of the kernel's generator that nobody has had yet; wiped as they are handed out. */
struct ahead {
    uint8_t b[AHEAD];
    size_t left;
};

static void system_fill(struct rng *self, void *p, size_t n)
{
    static _Thread_local struct ahead ahead;

    (void)self;
    if (n > LARGE) {
        randombytes_buf(p, n);
        return;
    }
    if (ahead.left < n) {
        randombytes_buf(ahead.b, sizeof ahead.b);
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
