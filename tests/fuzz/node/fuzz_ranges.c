/* Any script of holes, liars and orders of answers: the chain comes whole, no true peer is blamed.
 */
#include "play_ranges.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    play_ranges(view_of(p, n));
    return 0;
}
