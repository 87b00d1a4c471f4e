/* Ranges against a world of liars: aborts when a promise does not hold. */
#ifndef PLAY_RANGES_H
#define PLAY_RANGES_H

#include <base/bytes.h>

void play_ranges(struct view script);

#endif
