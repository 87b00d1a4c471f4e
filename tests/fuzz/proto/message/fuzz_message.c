/* Any bytes as a stream of messages: nothing beyond the maximum is taken, and what is taken is
 * written again as the same bytes. */
#include <assert.h>
#include <proto/message.h>

#define MAX 300u

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct view in = view_of(p, n), before = in, frame;
    struct message m;

    for (; message_split(&in, MAX, &frame) == E_OK; before = in) {
        size_t size = before.n - in.n;
        assert(frame.n <= MAX && frame.p + frame.n == in.p);
        struct blob *again = message_decode(frame, &m) == E_OK ? message_encode(&m) : NULL;
        struct blob *framed = message_frame(frame);
        assert(view_eq(blob_view(framed), view_of(before.p, size)));
        assert(again == NULL || view_eq(blob_view(again), blob_view(framed)));
        blob_unref(again);
        blob_unref(framed);
    }
    assert(view_eq(in, before));
    return 0;
}
