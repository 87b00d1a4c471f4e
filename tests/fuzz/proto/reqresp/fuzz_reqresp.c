#include "play_reqresp.h"

#include <assert.h>
#include <string.h>

/* Any bytes in any cut: no crash, no more chunks than allowed, and the cut changes nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct transcript whole, cut;

    if (n < 2) {
        return 0;
    }
    struct reqresp_config cfg = {
        .is_request = (p[0] & 1) != 0,
        .has_context = (p[0] & 2) != 0,
        .empty_request = (p[0] & 4) != 0,
        .min = p[0] >> 5,
        .max = 100000,
        .chunks_max = 5,
    };
    reqresp_play(&whole, &cfg, NULL, view_of(p + 2, n - 2), SIZE_MAX);
    reqresp_play(&cut, &cfg, NULL, view_of(p + 2, n - 2), 1u + p[1] % 64u);
    assert(strcmp(whole.text, cut.text) == 0);
    assert(whole.chunks <= cfg.chunks_max);
    transcript_done(&whole);
    transcript_done(&cut);
    return 0;
}
