#include <assert.h>
#include <proto/gossip_rpc.h>

/* An RPC written from what was read is read the same again. */
static size_t rewrite(struct view rpc, struct buf *subs, struct buf *control, enum err *ret)
{
    struct gossip_reader r;
    struct gossip_item it;
    size_t n = 0;

    gossip_reader_init(&r, rpc);
    for (;;) {
        *ret = gossip_next_item(&r, &it);
        if (*ret != E_OK || it.kind == ITEM_END) {
            return n;
        }
        enum err e = E_OK;
        if (it.kind == ITEM_SUB || it.kind == ITEM_UNSUB) {
            e = gossip_put_sub(subs, it.topic, it.kind == ITEM_SUB, &it.wish);
            n++;
        } else if (it.kind == ITEM_GRAFT) {
            e = gossip_put_graft(control, it.topic);
            n++;
        } else if (it.kind == ITEM_PRUNE) {
            e = gossip_put_prune(control, it.topic, it.backoff_s, view_of(NULL, 0));
            n++;
        } else if (it.kind == ITEM_IHAVE || it.kind == ITEM_IWANT || it.kind == ITEM_IDONTWANT) {
            struct rd ids = rd_of(it.body);
            struct buf body;
            struct view id;

            buf_init(&body, SIZE_MAX);
            while (gossip_next_id(&ids, it.kind, &id)) {
                size_t before = body.n;
                e = gossip_put_id(&body, it.kind, id);
                assert(e == E_OK && body.n - before == gossip_id_size(id));
                n++;
            }
            e = gossip_put_ids_head(control, it.kind, it.topic, body.n);
            assert(e == E_OK);
            e = buf_append_view(control, buf_view(&body));
            buf_done(&body);
        }
        assert(e == E_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct buf subs, control, more_subs, more_control;
    enum err e, again;

    buf_init(&subs, SIZE_MAX);
    buf_init(&control, SIZE_MAX);
    buf_init(&more_subs, SIZE_MAX);
    buf_init(&more_control, SIZE_MAX);
    size_t items = rewrite(view_of(p, n), &subs, &control, &e);
    if (e == E_OK) {
        enum err put = gossip_put_head(&subs, GF_CONTROL, control.n);
        assert(put == E_OK);
        put = buf_append_view(&subs, buf_view(&control));
        assert(put == E_OK);
        size_t same = rewrite(buf_view(&subs), &more_subs, &more_control, &again);
        assert(again == E_OK && same == items);
        assert(view_eq(buf_view(&control), buf_view(&more_control)));
    }
    buf_done(&subs);
    buf_done(&control);
    buf_done(&more_subs);
    buf_done(&more_control);
    return 0;
}
