/*
 * SipHash-1-3 over bytes: a keyed hash for tables that a remote can fill. Not for signatures.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <base/bytes.h>

struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_bytes(const struct hash_key *key, struct view v);

#endif
