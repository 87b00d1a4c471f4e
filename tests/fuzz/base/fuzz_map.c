/* Any script of puts and removals: the map agrees with a plain array, order included. */
#include "play_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    play_map(view_of(p, n));
    return 0;
}
