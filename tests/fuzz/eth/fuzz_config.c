/*
 * Any config.yaml and boot list: no crash; what is taken has a sound schedule.
 *
 * The first zero byte parts the config from the boot list.
 */
#include <assert.h>
#include <eth/enr_keys.h>
#include <eth/network.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void verify(const struct network *n)
{
    assert(n->n_spans >= 1 && n->n_spans <= FORK_SPANS_MAX);
    assert(n->spans[0].from == 0 && n->spans[n->n_spans - 1].to == FAR_FUTURE_EPOCH);
    for (size_t i = 0; i < n->n_spans; i++) {
        const struct fork_span *s = &n->spans[i];
        struct enr_fork_id id, back;
        uint8_t bytes[ENR_FORK_ID_SIZE];

        assert(s->from < s->to && s->at == i);
        assert(i == 0 || (n->spans[i - 1].to == s->from && n->spans[i - 1].fork <= s->fork));
        assert(network_span_at(n, s->from) == s && network_span_at(n, s->to - 1) == s);
        enr_fork_id_at(n, s->from, &id);
        enr_fork_id_encode(&id, bytes);
        assert(enr_fork_id_decode(view_of(bytes, sizeof bytes), &back));
        assert(back.next_epoch == s->to);
    }
    for (size_t i = 0; i < n->n_bootnodes; i++) {
        assert(n->bootnodes[i][0] == '/' || strncmp(n->bootnodes[i], "enr:", 4) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const uint8_t root[32] = {7};
    const uint8_t *zero = n == 0 ? NULL : memchr(p, 0, n);
    size_t config = zero == NULL ? n : (size_t)(zero - p);
    struct view boot = zero == NULL ? view_of(NULL, 0) : view_of(zero + 1, n - config - 1);
    char fault[NETWORK_FAULT_MAX] = "";
    struct network *net = NULL;
    enum err e = network_parse(view_of(p, config), boot, "fuzz", root, &net, fault);

    if (e == E_OK) {
        verify(net);
        network_free(net);
    } else {
        assert(e == E_CONFIG && fault[0] != '\0');
    }
    return 0;
}
