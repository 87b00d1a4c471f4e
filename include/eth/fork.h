/* Forks and presets: rows in eth/fork.def, eth/preset.def. */
#ifndef ETH_FORK_H
#define ETH_FORK_H

#include <base/bytes.h>

enum fork {

#define FORK(id, name) id,
#include <eth/fork.def>
#undef FORK
    FORK_COUNT
};

enum preset { PRESET_MAINNET, PRESET_MINIMAL, PRESET_COUNT };

/* PRESET_NUMBER_SLOTS_PER_EPOCH, ... */
enum preset_number {

#define PRESET(name, mainnet, minimal) PRESET_NUMBER_##name,
#include <eth/preset.def>
#undef PRESET
    PRESET_NUMBER_COUNT
};

#define FAR_FUTURE_EPOCH UINT64_MAX

const char *fork_name(enum fork f); /* "phase0" */
bool fork_by_name(struct view name, enum fork *ret);
const char *preset_name(enum preset p); /* "mainnet" */
bool preset_by_name(struct view name, enum preset *ret);
uint64_t preset_number(enum preset p, enum preset_number x);
/* All numbers of a preset, indexed by enum preset_number. */
const uint64_t *preset_numbers(enum preset p);

#endif
