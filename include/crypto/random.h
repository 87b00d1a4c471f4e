/* The process's own randomness (libsodium). crypto_start() must run once before anything here. */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <base/err.h>
#include <base/rng.h>

CHECKED enum err crypto_start(void); /* E_IO: the machine has no randomness */
struct rng *random_system(void);

#endif
