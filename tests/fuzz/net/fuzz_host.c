/*
 * A remote that says anything to a host, before or after the upgrade: memory stays under its bound,
 * each end has a name, and nothing is left when the connection is gone.
 *
 * First byte: how far the upgrade goes (2 bits), the muxer (1 bit), cut bytes (1 bit). Then pieces:
 * a byte of what to do (0: seconds go by; else: bytes are said), two bytes of how much, the bytes.
 */
#include "play_puppet.h"

#include <assert.h>
#include <base/mem.h>

#define SECONDS_MAX 40u /* of one step: past each deadline */
#define STEPS_MAX   64u /* longer stories find nothing new and take long */

static size_t put_host(struct play *p)
{
    struct host_config cfg;

    host_config_default(&cfg);
    cfg.memory_per_conn_max = 2 * MIB;
    play_host(p, cfg);
    return cfg.memory_per_conn_max;
}

static void step(struct play *p, struct puppet *x, struct rd *r)
{
    uint8_t what = rd_u8(r);
    uint16_t n = rd_be16(r);

    if (what == 0) {
        play_wait(p, SECONDS(n % SECONDS_MAX));
        return;
    }
    size_t have = rd_left(r);
    struct view bytes = rd_take(r, n < have ? n : have);
    if (x->step == PUPPET_UP && what != 1) {
        puppet_say(x, bytes);
    } else {
        puppet_raw(x, bytes);
    }
    play_settle(p);
}

static void check_end(const struct play_node *n)
{
    const struct host_event *ev = NULL;
    size_t ends = play_count(n, HOST_DISCONNECTED, &ev) + play_count(n, HOST_INBOUND_FAILED, &ev);

    assert(ends == 1 && ev->error != E_OK && ev->error != E_MORE && ev->error < ERR_COUNT);
    assert(metric_get(n->metrics, M_FAULTS, (unsigned)ev->error) >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *b, size_t size)
{
    struct rd r = rd_of(view_of(b, size));
    uint8_t first = rd_u8(&r);
    struct play *p = mem_zalloc(sizeof *p);
    struct puppet x;

    play_init(p, 1);
    p->cut_max = (first & 8) != 0 ? 3 : 0;
    size_t max = put_host(p);
    puppet_start(&x, p, 0, (first & 4) != 0 ? "/mplex/6.7.0" : "/yamux/1.0.0",
                 (enum puppet_step)((first & 3) % 3));
    struct budget *mem = host_budget(p->nodes[0]->host, 0);
    for (unsigned i = 0; i < STEPS_MAX && rd_left(&r) >= 3 && !x.closed; i++) {
        step(p, &x, &r);
        assert(mem->used <= max);
    }
    x.node->port.ops->close(&x.node->port, x.conn, true);
    play_wait(p, SECONDS(1));
    assert(host_conn_count(p->nodes[0]->host) == 0);
    assert(mem->used == 0);
    check_end(p->nodes[0]);
    puppet_done(&x);
    play_done(p);
    mem_free(p);
    return 0;
}
