/* Plays a script of bytes on a map and on a plain array, and aborts when they differ. */
#ifndef TESTS_UNIT_BASE_PLAY_MAP_H
#define TESTS_UNIT_BASE_PLAY_MAP_H

#include <base/bytes.h>

void play_map(struct view script);

#endif
