#include <crypto/random.h>

#include <sodium.h>

static void system_fill(struct rng *self, void *p, size_t n)
{
    (void)self;
    randombytes_buf(p, n);
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
