/* Forks and presets: rows in eth/fork.def, eth/preset.def. */
#ifndef ETH_FORK_H
#define ETH_FORK_H

#include <base/bytes.h>

enum fork { PHASE0, ALTAIR, BELLATRIX, CAPELLA, DENEB, ELECTRA, FULU, GLOAS, HEZE, FORK_COUNT };

enum preset { PRESET_MAINNET, PRESET_MINIMAL, PRESET_COUNT };

#define FAR_FUTURE_EPOCH UINT64_MAX

const char *fork_name(enum fork f); /* "phase0" */
bool fork_by_name(struct view name, enum fork *ret);
const char *preset_name(enum preset p);

#endif
