/* Any bytes as frames, from either side: what is taken is written again as the same bytes, what is
 * not whole is not taken, and verdicts come back as they were. First byte: the side. */
#include <assert.h>
#include <proto/control.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void judgements(struct view data)
{
    struct view all = data;
    struct control_judgement j;
    size_t at = 0;
    enum err e;

    while ((e = control_next_judgement(&data, &j)) == E_OK) {
        uint8_t again[CONTROL_JUDGEMENT_BYTES];

        control_put_judgement(&j, again);
        assert(memcmp(again, all.p + at, sizeof again) == 0);
        at += sizeof again;
    }
    assert(e == E_INVALID || at == all.n);
}

static void one(struct view frame, bool from_client)
{
    struct control_frame f;
    struct buf again;

    (void)control_tag_of(frame);
    if (control_decode(frame, from_client, &f) != E_OK) {
        return;
    }
    buf_init(&again, SIZE_MAX);
    enum err e = control_encode(&f, &again);
    assert(e == E_OK && again.n == CONTROL_HEAD + frame.n);
    assert(load_le32(again.p) == frame.n);
    assert(memcmp(again.p + CONTROL_HEAD, frame.p, frame.n) == 0);
    buf_done(&again);
    if (f.kind == CONTROL_VERDICTS) {
        judgements(f.data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct view in, frame;

    if (n == 0) {
        return 0;
    }
    in = view_of(p + 1, n - 1);
    for (;;) {
        struct view before = in;
        enum err e = control_split(&in, &frame);

        if (e != E_OK) {
            assert(view_eq(in, before));
            return 0;
        }
        assert(in.n + CONTROL_HEAD + frame.n == before.n);
        one(frame, (p[0] & 1) != 0);
    }
}
