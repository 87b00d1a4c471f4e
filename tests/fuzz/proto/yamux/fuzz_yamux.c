/* Any bytes in any cut, under any user: no crash, the invariants hold after every event, and the
 * cut changes nothing that happens or is sent. */
#include <assert.h>
#include <lib/mux_play.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct mux_play whole, cut;

    if (n < 2) {
        return 0;
    }
    const struct mux_config cfg = {
        .initiator = (p[0] & 1) != 0, .streams_max = 3, .window_max = 1u << 19};
    struct mux_play *const plays[] = {&whole, &cut};
    for (size_t i = 0; i < ARRAY_LEN(plays); i++) {
        uint32_t own;

        plays[i]->user = (enum mux_play_user)(p[0] >> 1 & 3);
        mux_play_start(plays[i], &yamux_ops, &cfg, yamux_verify);
        assert(yamux_ops.open(plays[i]->mux, &own) == E_OK);
        yamux_ops.ping(plays[i]->mux, 1);
        mux_play_feed(plays[i], view_of(p + 2, n - 2), i == 0 ? SIZE_MAX : 1 + p[1] % 64u);
        mux_play_flush(plays[i]);
        assert(plays[i]->mux->n_streams <= cfg.streams_max + 1);
    }
    assert(mux_play_same(&whole, &cut));
    mux_play_done(&whole);
    mux_play_done(&cut);
    return 0;
}
