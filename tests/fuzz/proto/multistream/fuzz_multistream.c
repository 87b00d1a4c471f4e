/* Any bytes in any cut, as dialer and as listener: the cut changes neither the answer, nor what is
 * said, nor what is left; and only an offered protocol is ever agreed on. */
#include "play_ms.h"

#include <assert.h>

static const struct view protocols[] = {{(const uint8_t *)"/tls/1.0.0", 10},
                                        {(const uint8_t *)"/noise", 6}};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct ms_end whole, cut;

    if (n < 2) {
        return 0;
    }
    struct view bytes = view_of(p + 2, n - 2);
    ms_end_start(&whole, (p[0] & 1) != 0, protocols, ARRAY_LEN(protocols));
    ms_end_start(&cut, (p[0] & 1) != 0, protocols, ARRAY_LEN(protocols));
    whole.ms.curious = cut.ms.curious = (p[0] & 2) != 0;
    ms_end_feed(&whole, bytes, SIZE_MAX);
    ms_end_feed(&cut, bytes, 1 + p[1] % 32u);
    assert(whole.result == cut.result && whole.index == cut.index);
    assert(view_eq(buf_view(&whole.out), buf_view(&cut.out)));
    assert(view_eq(buf_view(&whole.rest), buf_view(&cut.rest)));
    assert(strcmp(whole.ms.refused, cut.ms.refused) == 0);
    assert(whole.result != E_OK || whole.index < ARRAY_LEN(protocols));
    ms_end_done(&whole);
    ms_end_done(&cut);
    return 0;
}
