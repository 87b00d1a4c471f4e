/* What must hold for any bytes and any type. */
#ifndef PLAY_SSZ_H
#define PLAY_SSZ_H

#include <ssz/ssz.h>

/*
 * False when the bytes are refused. Else they come back the same from JSON, every proof tried
 * verifies against the root, and each list's elements lie side by side without gaps; a broken
 * property ends the process. `seed` picks the proofs.
 */
bool play_ssz(const struct ssz_type *t, struct view v, uint64_t seed);
/* The same through the builder: fields are taken out by path, set one by one, and compared. */
void play_ssz_rebuild(const struct ssz_type *t, struct view v);

#endif
