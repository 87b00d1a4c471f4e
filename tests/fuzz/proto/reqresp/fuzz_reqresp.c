#include "play_reqresp.h"

#include <assert.h>
#include <string.h>

/* What is written is read, as request and as chunk, cut anywhere. */
static void write_and_read(struct view ssz, size_t piece)
{
    static struct transcript got;
    static const uint8_t context[4] = {1, 2, 3, 4};
    struct buf out;

    for (int request = 0; request < 2; request++) {
        struct reqresp_config cfg = {
            .is_request = request != 0, .has_context = request == 0, .max = ssz.n, .chunks_max = 1};

        buf_init(&out, SIZE_MAX);
        enum err e =
            request != 0 ? reqresp_put_request(ssz, &out) : reqresp_put_chunk(context, ssz, &out);
        assert(e == E_OK);
        reqresp_play(&got, &cfg, NULL, buf_view(&out), piece);
        assert(got.error == E_OK && view_eq(buf_view(&got.last), ssz));
        transcript_done(&got);
        buf_done(&out);
    }
}

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
    write_and_read(view_of(p + 2, n - 2), 1u + p[1] % 64u);
    return 0;
}
