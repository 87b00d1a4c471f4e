/* Requests between two hosts over links in memory. */
#include "play_net.h"

#include <base/mem.h>
#include <net/rpc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ECHO, LIST, EMPTY, HIDDEN, N_METHODS };

#define ID(s)                               \
    {                                       \
        (const uint8_t *)(s), sizeof(s) - 1 \
    }

static const struct rpc_method methods[N_METHODS] = {
    [ECHO] = {.id = ID("/req/echo/1/ssz_snappy"),
              .request_min = 0,
              .request_max = 2000000,
              .chunk_max = 2000000,
              .chunks_max = 1,
              .klass = SEND_BULK,
              .accept = true},
    [LIST] = {.id = ID("/req/list/1/ssz_snappy"),
              .has_context = true,
              .request_min = 8,
              .request_max = 8,
              .chunk_max = 3000000,
              .chunks_max = 100,
              .klass = SEND_BULK,
              .accept = true},
    [EMPTY] = {.id = ID("/req/empty/1/ssz_snappy"),
               .empty_request = true,
               .chunk_min = 16,
               .chunk_max = 16,
               .chunks_max = 1,
               .klass = SEND_CONTROL,
               .accept = true},
    [HIDDEN] = {.id = ID("/req/hidden/1/ssz_snappy"), .request_max = 8, .chunks_max = 1},
};

/* One side: answers calls, books what its own requests got. */
struct side {
    struct rpc *rpc;
    struct play_node *node;
    size_t called, chunks, bytes, done, failed, dropped, refused, writable;
    enum err last_error;
    uint8_t last_code;
    char last_text[64];
    uint32_t last_count;
    bool mute;      /* does not answer */
    size_t to_send; /* chunks of LIST */
    uint64_t serving;
    size_t full;
};

static const uint8_t context[4] = {1, 2, 3, 4};

static void serve(struct side *s)
{
    static uint8_t chunk[300000];

    while (s->to_send != 0) {
        rng_fill(&s->node->rng.base, chunk, sizeof chunk); /* does not compress */
        enum err e = rpc_reply_chunk(s->rpc, s->serving, context, view_of(chunk, sizeof chunk));
        if (e == E_FULL) {
            s->full++;
            return;
        }
        assert_int_equal(e, E_OK);
        s->to_send--;
    }
    rpc_reply_end(s->rpc, s->serving);
}

static void on_call(struct side *s, const struct rpc_event *ev)
{
    static const uint8_t sixteen[16];

    s->called++;
    s->serving = ev->call;
    if (s->mute) {
        return;
    }
    switch (ev->method) {
    case ECHO:
        if (ev->data.n == 3) {
            rpc_reply_error(s->rpc, ev->call, 3, "not three");
            return;
        }
        assert_int_equal(rpc_reply_chunk(s->rpc, ev->call, NULL, ev->data), E_OK);
        rpc_reply_end(s->rpc, ev->call);
        break;
    case LIST:
        serve(s);
        break;
    default:
        assert_int_equal(ev->data.n, 0);
        assert_int_equal(rpc_reply_chunk(s->rpc, ev->call, NULL, view_of(sixteen, 16)), E_OK);
        rpc_reply_end(s->rpc, ev->call);
        break;
    }
}

static void pull(struct play_node *n, struct now now)
{
    struct side *s = n->user;
    struct rpc_event ev;

    (void)now;
    while (rpc_next(s->rpc, &ev)) {
        switch (ev.kind) {
        case RPC_CALLED:
            on_call(s, &ev);
            break;
        case RPC_WRITABLE:
            s->writable++;
            if (s->to_send != 0 && ev.call == s->serving) {
                serve(s);
            }
            break;
        case RPC_DROPPED:
            s->dropped++;
            s->last_error = ev.error;
            break;
        case RPC_REFUSED:
            s->refused++;
            s->last_error = ev.error;
            break;
        case RPC_CHUNK:
            s->chunks++;
            s->bytes += ev.data.n;
            if (ev.method == LIST) {
                assert_memory_equal(ev.context, context, 4);
            }
            break;
        case RPC_DONE:
            s->done++;
            s->last_count = ev.count;
            break;
        case RPC_FAILED:
            s->failed++;
            s->last_error = ev.error;
            s->last_code = ev.code;
            memcpy(s->last_text, ev.data.p, ev.data.n);
            s->last_text[ev.data.n] = '\0';
            break;
        case RPC_NONE:
            fail();
        }
    }
}

struct pair {
    struct play play;
    struct side a, b;
    conn_id conn;
};

static struct pair *pair_up(uint64_t seed)
{
    struct pair *p = mem_zalloc(sizeof *p);
    struct host_config cfg;
    struct side *sides[] = {&p->a, &p->b};
    struct addr to = play_addr(1);
    struct rpc_method mine[N_METHODS];

    host_config_default(&cfg);
    play_init(&p->play, seed);
    p->play.cut_max = seed % 2 == 0 ? 0 : 3000;
    memcpy(mine, methods, sizeof mine);
    for (unsigned i = 0; i < 2; i++) {
        sides[i]->node = play_host(&p->play, cfg);
        sides[i]->node->user = sides[i];
        sides[i]->node->after = pull;
        sides[i]->rpc = rpc_new(sides[i]->node->host, mine, N_METHODS, &sides[i]->node->rng.base);
    }
    assert_int_equal(host_dial(p->a.node->host, &to, NULL, p->play.now, &p->conn), E_OK);
    play_settle(&p->play);
    assert_int_equal(play_count(p->a.node, HOST_CONNECTED, NULL), 1);
    return p;
}

static void pair_free(struct pair *p)
{
    rpc_free(p->a.rpc);
    rpc_free(p->b.rpc);
    play_done(&p->play);
    mem_free(p);
}

static enum err ask(struct pair *p, size_t method, const char *text, size_t n, uint64_t *ret)
{
    return rpc_request(p->a.rpc, p->conn, method, view_of(text, n), 100, SECONDS(10), NULL,
                       p->play.now, ret);
}

static void requests_of_each_kind_are_answered(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct pair *p = pair_up(seed);
        uint64_t r;

        p->b.to_send = 20;
        assert_int_equal(ask(p, ECHO, "12345678", 8, &r), E_OK);
        assert_int_equal(ask(p, EMPTY, "", 0, &r), E_OK);
        assert_int_equal(ask(p, LIST, "12345678", 8, &r), E_OK);
        play_settle(&p->play);
        assert_int_equal(p->b.called, 3);
        assert_int_equal(p->a.done, 3);
        assert_int_equal(p->a.failed, 0);
        assert_int_equal(p->a.chunks, 22);
        assert_int_equal(p->a.bytes, 8 + 16 + 20 * 300000);
        assert_true(p->b.full != 0); /* the server waited for its reader */
        pair_free(p);
    }
}

static void an_error_answer_is_told_with_its_code_and_text(void **state)
{
    struct pair *p = pair_up(2);
    uint64_t r;

    (void)state;
    assert_int_equal(ask(p, ECHO, "123", 3, &r), E_OK);
    play_settle(&p->play);
    assert_int_equal(p->a.failed, 1);
    assert_int_equal(p->a.last_error, E_REQRESP_CODE);
    assert_int_equal(p->a.last_code, 3);
    assert_string_equal(p->a.last_text, "not three");
    pair_free(p);
}

static void a_method_the_remote_does_not_speak_fails_alone(void **state)
{
    struct pair *p = pair_up(3);
    uint64_t r;

    (void)state;
    assert_int_equal(ask(p, HIDDEN, "12", 2, &r), E_OK);
    play_settle(&p->play);
    assert_int_equal(p->a.failed, 1);
    assert_int_equal(p->a.last_error, E_MULTISTREAM_NONE);
    assert_int_equal(host_conn_count(p->a.node->host), 1);
    pair_free(p);
}

static void a_malformed_request_is_answered_and_told(void **state)
{
    struct pair *p = pair_up(4);
    uint64_t r;

    (void)state;
    assert_int_equal(ask(p, LIST, "1234567", 7, &r), E_OK); /* its length must be 8 */
    play_settle(&p->play);
    assert_int_equal(p->b.refused, 1);
    assert_int_equal(p->b.last_error, E_REQRESP_LENGTH);
    assert_int_equal(p->a.failed, 1);
    assert_int_equal(p->a.last_error, E_REQRESP_CODE);
    assert_int_equal(p->a.last_code, 1);
    pair_free(p);
}

/* The remote's end may come late or never: the answer is here. */
static void an_answer_is_complete_with_its_last_chunk(void **state)
{
    static uint8_t chunk[1000];
    uint64_t id;

    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        struct pair *p = pair_up(13 + extra);
        p->b.mute = true; /* it answers by hand, and does not end */
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(rpc_request(p->a.rpc, p->conn, LIST, view_of("12345678", 8), 3,
                                         SECONDS(10), NULL, p->play.now, &id),
                             E_OK);
        }
        play_settle(&p->play);
        assert_int_equal(p->b.called, 2);
        for (unsigned i = 0; i < 3 + extra; i++) {
            assert_int_equal(p->a.done, i == 3);
            assert_int_equal(
                rpc_reply_chunk(p->b.rpc, p->b.serving, context, view_of(chunk, sizeof chunk)),
                E_OK);
            play_settle(&p->play);
        }
        assert_int_equal(p->a.done, 1);
        assert_int_equal(p->a.chunks, 3);
        assert_int_equal(p->a.last_count, 3);
        /* More than was asked for resets that stream; an end that never comes, a little later. */
        assert_int_equal(p->b.dropped, extra);
        assert_int_equal(metric_get(p->a.node->metrics, M_FAULTS, E_REQRESP_EXTRA), extra);
        play_wait(&p->play, SECONDS(6));
        assert_int_equal(p->b.dropped, 1);
        assert_int_equal(p->a.failed, extra); /* who asked hears of it */
        assert_true(!extra || p->a.last_error == E_REQRESP_EXTRA);
        /* It does not count as under way any more. */
        assert_int_equal(rpc_request(p->a.rpc, p->conn, LIST, view_of("12345678", 8), 3,
                                     SECONDS(10), NULL, p->play.now, &id),
                         E_OK);
        pair_free(p);
    }
}

static void two_requests_of_a_method_are_the_most_at_once(void **state)
{
    struct pair *p = pair_up(5);
    uint64_t r;

    (void)state;
    assert_int_equal(ask(p, ECHO, "a", 1, &r), E_OK);
    assert_int_equal(ask(p, ECHO, "b", 1, &r), E_OK);
    assert_int_equal(ask(p, ECHO, "c", 1, &r), E_LIMIT);
    assert_int_equal(ask(p, EMPTY, "", 0, &r), E_OK);
    play_settle(&p->play);
    assert_int_equal(ask(p, ECHO, "c", 1, &r), E_OK);
    play_settle(&p->play);
    assert_int_equal(p->a.done, 4);
    pair_free(p);
}

static void no_answer_in_time_fails_the_request_and_drops_the_call(void **state)
{
    struct pair *p = pair_up(6);
    uint64_t r;

    (void)state;
    p->b.mute = true;
    assert_int_equal(ask(p, ECHO, "a", 1, &r), E_OK);
    play_wait(&p->play, SECONDS(11));
    assert_int_equal(p->a.failed, 1);
    assert_int_equal(p->a.last_error, E_TIMEOUT);
    assert_int_equal(p->b.dropped, 1);
    assert_int_equal(rpc_reply_chunk(p->b.rpc, p->b.serving, NULL, view_of("x", 1)), E_CLOSED);
    pair_free(p);
}

static void a_cancelled_request_tells_nothing_more(void **state)
{
    struct pair *p = pair_up(7);
    uint64_t r;

    (void)state;
    assert_int_equal(ask(p, ECHO, "abcd", 4, &r), E_OK);
    rpc_cancel(p->a.rpc, r, p->play.now);
    play_settle(&p->play);
    assert_int_equal(p->a.done + p->a.failed + p->a.chunks, 0);
    pair_free(p);
}

static void the_end_of_the_connection_fails_what_is_under_way(void **state)
{
    struct pair *p = pair_up(8);
    uint64_t r;

    (void)state;
    p->b.mute = true;
    assert_int_equal(ask(p, ECHO, "abcd", 4, &r), E_OK);
    play_settle(&p->play);
    host_close(p->a.node->host, p->conn, E_SHUTDOWN, p->play.now);
    play_settle(&p->play);
    assert_int_equal(p->a.failed, 1);
    assert_int_equal(p->a.last_error, E_SHUTDOWN);
    assert_int_equal(p->b.dropped, 1);
    assert_int_equal(ask(p, ECHO, "abcd", 4, &r), E_CLOSED);
    pair_free(p);
}

static void a_request_and_a_close_in_one_go_still_arrive(void **state)
{
    struct pair *p = pair_up(9);
    uint64_t r;

    (void)state;
    assert_int_equal(ask(p, ECHO, "bye", 3, &r), E_OK);
    host_close(p->a.node->host, p->conn, E_TOO_MANY_PEERS, p->play.now);
    play_settle(&p->play);
    assert_int_equal(p->b.called, 1);
    assert_int_equal(host_conn_count(p->b.node->host), 0);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_each_kind_are_answered),
        cmocka_unit_test(an_error_answer_is_told_with_its_code_and_text),
        cmocka_unit_test(a_method_the_remote_does_not_speak_fails_alone),
        cmocka_unit_test(a_malformed_request_is_answered_and_told),
        cmocka_unit_test(an_answer_is_complete_with_its_last_chunk),
        cmocka_unit_test(two_requests_of_a_method_are_the_most_at_once),
        cmocka_unit_test(no_answer_in_time_fails_the_request_and_drops_the_call),
        cmocka_unit_test(a_cancelled_request_tells_nothing_more),
        cmocka_unit_test(the_end_of_the_connection_fails_what_is_under_way),
        cmocka_unit_test(a_request_and_a_close_in_one_go_still_arrive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
