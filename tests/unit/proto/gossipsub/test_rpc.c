/* The protobuf of an RPC, against vectors of another implementation. */
#include "play_gossip.h"

#include <codec/pb.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void PRINTF_LIKE(2, 3) add(struct buf *b, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert_in_range(n, 0, sizeof text - 1);
    assert_int_equal(buf_append(b, text, (size_t)n), E_OK);
}

static void add_view(struct buf *b, struct view v, bool hex)
{
    if (!hex) {
        assert_int_equal(buf_append_view(b, v), E_OK);
    }
    for (size_t i = 0; hex && i < v.n; i++) {
        add(b, "%02x", v.p[i]);
    }
}

static void add_ids(struct buf *b, const struct gossip_item *it)
{
    struct rd r = rd_of(it->body);
    struct view id;
    const char *comma = "";

    add(b, "[");
    while (gossip_next_id(&r, it->kind, &id)) {
        add(b, "%s\"", comma);
        add_view(b, id, true);
        add(b, "\"");
        comma = ",";
    }
    add(b, "]");
}

/* The peers of a PRUNE: PeerInfo { 1 peerID, 2 signedPeerRecord }. */
static void add_px(struct buf *b, const struct gossip_item *it)
{
    struct rd r = rd_of(it->body);
    struct pb_field f, id;
    uint32_t n = 0;
    bool more;

    while (pb_next(&r, &f, &more) == E_OK && more) {
        if (f.number != GF_PRUNE_PEERS) {
            continue;
        }
        struct rd info = rd_of(f.bytes);
        assert_int_equal(pb_next(&info, &id, &more), E_OK);
        add(b, "%s\"", n++ == 0 ? "" : ",");
        add_view(b, id.bytes, true);
        add(b, "\"");
    }
    assert_int_equal(n, it->n_px);
}

static const char *group_of(enum gossip_item_kind kind)
{
    static const char *const groups[] = {
        [ITEM_END] = "",
        [ITEM_SUB] = "subscriptions",
        [ITEM_UNSUB] = "subscriptions",
        [ITEM_MESSAGE] = "publish",
        [ITEM_IHAVE] = "ihave",
        [ITEM_IWANT] = "iwant",
        [ITEM_GRAFT] = "graft",
        [ITEM_PRUNE] = "prune",
        [ITEM_IDONTWANT] = "idontwant",
        [ITEM_EXTENSIONS] = "extensions",
        [ITEM_PARTIAL] = "partial",
    };

    return groups[kind];
}

/* One item in the way the table writes it. */
static void add_item(struct buf *b, const struct gossip_item *it)
{
    bool brackets = it->kind != ITEM_IWANT && it->kind != ITEM_IDONTWANT && it->kind != ITEM_GRAFT;

    add(b, brackets ? "[" : "");
    if (it->kind == ITEM_SUB || it->kind == ITEM_UNSUB) {
        add(b, "%d,", it->kind == ITEM_SUB);
    }
    if (it->kind != ITEM_IWANT && it->kind != ITEM_IDONTWANT) {
        add(b, "\"");
        add_view(b, it->topic, false);
        add(b, "\"");
    }
    switch (it->kind) {
    case ITEM_MESSAGE:
        add(b, ",\"");
        add_view(b, it->data, true);
        add(b, "\"");
        break;
    case ITEM_IHAVE:
        add(b, ",");
        add_ids(b, it);
        break;
    case ITEM_IWANT:
    case ITEM_IDONTWANT:
        add_ids(b, it);
        break;
    case ITEM_PRUNE:
        add(b, ",%llu,[", (unsigned long long)it->backoff_s);
        add_px(b, it);
        add(b, "]");
        break;
    case ITEM_END:
    case ITEM_SUB:
    case ITEM_UNSUB:
    case ITEM_GRAFT:
    case ITEM_EXTENSIONS:
    case ITEM_PARTIAL:
        break;
    }
    add(b, brackets ? "]" : "");
}

static enum err describe(struct view rpc, struct buf *out)
{
    struct gossip_reader r;
    struct gossip_item it;
    const char *group = "";

    gossip_reader_init(&r, rpc);
    add(out, "{");
    for (;;) {
        TRY(gossip_next_item(&r, &it));
        if (it.kind == ITEM_END) {
            add(out, "%s}", group[0] == '\0' ? "\"control\":\"empty\"" : "]");
            return E_OK;
        }
        if (strcmp(group, group_of(it.kind)) != 0) {
            add(out, "%s\"%s\":[", group[0] == '\0' ? "" : "],", group_of(it.kind));
            group = group_of(it.kind);
        } else {
            add(out, ",");
        }
        add_item(out, &it);
    }
}

static void rpcs_of_the_vectors_are_read(void **state)
{
    struct table *t = table_open_any("libp2p/protobuf.tsv");
    unsigned n = 0;
    (void)state;

    while (table_next(t)) {
        struct buf out;

        if (strcmp(table_text(t, "message"), "RPC") != 0) {
            continue;
        }
        buf_init(&out, 4 * MIB);
        assert_int_equal(describe(table_hex(t, "bytes"), &out), E_OK);
        bool is_signed = strstr(table_text(t, "fields_json"), "publish_signed") != NULL;
        if (is_signed) {
            struct gossip_reader r;
            struct gossip_item it;

            gossip_reader_init(&r, table_hex(t, "bytes"));
            assert_int_equal(gossip_next_item(&r, &it), E_OK);
            assert_true(it.has_from && it.has_seqno && it.has_signature);
        }
        /* Some rows say something about themselves instead of their items. */
        const char *want = table_text(t, "fields_json");
        bool empty = is_signed || strcmp(want, "{}") == 0 || strcmp(want, "{\"unknown\":1}") == 0;
        if (!empty && !view_eq(buf_view(&out), view_str(want))) {
            fail_msg("%s\n  %s\n  %.*s", table_where(t), want, (int)out.n, (const char *)out.p);
        }
        buf_done(&out);
        n++;
    }
    assert_true(n > 20);
    table_close(t);
}

static void broken_rpcs_of_the_vectors_are_refused(void **state)
{
    struct table *t = table_open_any("libp2p/protobuf_bad.tsv");
    (void)state;

    while (table_next(t)) {
        struct buf out;

        buf_init(&out, 1 * MIB);
        if (describe(table_hex(t, "bytes"), &out) != E_GOSSIP_RPC) {
            fail_msg("%s: %s", table_where(t), table_text(t, "why"));
        }
        buf_done(&out);
    }
    table_close(t);
}

static void reads_or_refuses(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    struct gossip_reader r;
    struct gossip_item it = {.kind = ITEM_SUB};
    size_t bytes = 0;
    (void)self;
    (void)kind;
    (void)at;

    for (gossip_reader_init(&r, v); gossip_next_item(&r, &it) == E_OK && it.kind != ITEM_END;) {
        bytes += it.topic.n + it.data.n;
    }
    assert_true(bytes <= v.n);
}

static void every_change_of_an_rpc_is_read_or_refused(void **state)
{
    struct table *t = table_open_any("libp2p/protobuf.tsv");
    (void)state;

    while (table_next(t)) {
        mutate_each(table_hex(t, "bytes"), 500, reads_or_refuses, NULL);
    }
    table_close(t);
}

static void what_is_written_is_read(void **state)
{
    struct buf b, control;
    char text[256];
    (void)state;

    buf_init(&b, 1000);
    buf_init(&control, 1000);
    assert_int_equal(gossip_put_sub(&b, view_str("t"), true, NULL), E_OK);
    assert_int_equal(gossip_put_sub(&b, view_str("u"), false, NULL), E_OK);
    assert_int_equal(gossip_put_graft(&control, view_str("t")), E_OK);
    assert_int_equal(gossip_put_prune(&control, view_str("t"), 60, view_of(NULL, 0)), E_OK);
    assert_int_equal(gossip_put_prune(&control, view_str("u"), 0, view_of(NULL, 0)), E_OK);
    assert_int_equal(gossip_put_ids_head(&control, ITEM_IHAVE, view_str("t"), 2 * 6), E_OK);
    assert_int_equal(gossip_id_size(view_str("abcd")), 6);
    assert_int_equal(gossip_put_id(&control, ITEM_IHAVE, view_str("abcd")), E_OK);
    assert_int_equal(gossip_put_id(&control, ITEM_IHAVE, view_str("efgh")), E_OK);
    assert_int_equal(gossip_put_head(&b, GF_CONTROL, control.n), E_OK);
    assert_int_equal(buf_append_view(&b, buf_view(&control)), E_OK);
    struct blob *rpc = blob_new(b.n + 1);
    rpc->b[0] = (uint8_t)b.n;
    memcpy(rpc->b + 1, b.p, b.n);
    assert_string_equal(rpc_say(rpc, text, sizeof text),
                        "sub t, unsub u, graft t, prune t 60, prune u 0, ihave t 2");
    blob_unref(rpc);
    buf_done(&b);
    buf_done(&control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rpcs_of_the_vectors_are_read),
        cmocka_unit_test(broken_rpcs_of_the_vectors_are_refused),
        cmocka_unit_test(every_change_of_an_rpc_is_read_or_refused),
        cmocka_unit_test(what_is_written_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
