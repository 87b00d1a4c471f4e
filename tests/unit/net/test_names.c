/* Names by a port whose answers are written here. */
#include <base/mem.h>
#include <net/names.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ASKED_MAX 256u
#define PEER_A    "16Uiu2HAm2dURtGp7heu8bvWP2oKJEgHTsabTPtzGa2sVT9h9JEUJ"
#define PEER_B    "16Uiu2HAkzcG6tV2jSYbVjUVgLXfFaR58VP51UBR7yZxc1Lr2DkzL"

struct zone { /* what the world answers */
    const char *name;
    enum port_names kind;
    const char *texts[8]; /* addresses or TXT; none: E_NOT_FOUND */
};

struct play {
    struct port port; /* first */
    char asked[ASKED_MAX][300];
    enum port_names kinds[ASKED_MAX];
    size_t n_asked, n_answered, most_at_once;
    enum err refuse;
};

static enum err resolve(struct port *p, const char *name, enum port_names kind, uint64_t *ret)
{
    struct play *w = (struct play *)p;

    if (w->refuse != E_OK) {
        return w->refuse;
    }
    assert_true(w->n_asked < ASKED_MAX);
    snprintf(w->asked[w->n_asked], sizeof w->asked[0], "%s", name);
    w->kinds[w->n_asked] = kind;
    *ret = ++w->n_asked;
    if (w->n_asked - w->n_answered > w->most_at_once) {
        w->most_at_once = w->n_asked - w->n_answered;
    }
    return E_OK;
}

static const struct port_ops play_ops = {.resolve = resolve};

static struct names *begin(struct play *w)
{
    *w = (struct play){.port = {.ops = &play_ops}};
    return names_new(&w->port);
}

static void put_answer(struct names *n, const struct zone *z, uint64_t request)
{
    uint8_t texts[2048];
    struct wr out = wr_of(texts, sizeof texts);
    struct addr addrs[8];
    struct port_event ev = {.kind = PORT_NAMES, .request = request, .addrs = addrs};

    for (size_t i = 0; z != NULL && i < ARRAY_LEN(z->texts) && z->texts[i] != NULL; i++) {
        if (z->kind == NAMES_TEXT) {
            wr_be16(&out, (uint16_t)strlen(z->texts[i]));
            wr_view_bytes(&out, view_str(z->texts[i]));
        } else {
            assert_int_equal(addr_parse(z->texts[i], &addrs[ev.n_addrs++]), E_OK);
        }
    }
    assert_false(out.bad);
    ev.bytes = texts;
    ev.n = wr_len(&out);
    ev.error = ev.n == 0 && ev.n_addrs == 0 ? E_NOT_FOUND : E_OK;
    assert_true(names_on_port(n, &ev));
    assert_false(names_on_port(n, &ev)); /* once */
}

/* Answer until nothing is asked any more. */
static void answer_all(struct names *n, struct play *w, const struct zone *zones, size_t n_zones)
{
    while (w->n_answered < w->n_asked) {
        const struct zone *found = NULL;
        size_t at = w->n_answered++;

        for (size_t i = 0; i < n_zones; i++) {
            if (strcmp(zones[i].name, w->asked[at]) == 0 && zones[i].kind == w->kinds[at]) {
                found = &zones[i];
            }
        }
        put_answer(n, found, at + 1);
    }
}

static void parts_of(const char *text, struct multiaddr_parts *ret)
{
    struct multiaddr m;

    assert_int_equal(multiaddr_parse(view_str(text), &m), E_OK);
    assert_int_equal(multiaddr_split(&m, ret), E_OK);
}

/* The addresses found, in order, as text. */
static const char *find(const char *of, const struct zone *zones, size_t n_zones, char out[1024])
{
    static struct play w;
    struct names *n = begin(&w);
    struct multiaddr_parts parts;
    struct names_event ev;
    uint64_t task;
    size_t at = 0;
    char addr[ADDR_TEXT_MAX];

    parts_of(of, &parts);
    assert_int_equal(names_start(n, &parts, &task), E_OK);
    answer_all(n, &w, zones, n_zones);
    assert_true(names_next(n, &ev));
    assert_int_equal(ev.task, task);
    assert_true((ev.n_found == 0) == (ev.error != E_OK));
    out[0] = '\0';
    for (size_t i = 0; i < ev.n_found; i++) {
        assert_int_equal(ev.found[i].name[0], 0);
        at += (size_t)snprintf(out + at, 1024 - at, "%s%s", i == 0 ? "" : " ",
                               addr_text(&ev.found[i].addr, addr));
    }
    if (ev.n_found == 0) {
        snprintf(out, 1024, "%s", ev.text);
    }
    assert_false(names_next(n, &ev));
    assert_true(w.most_at_once <= NAMES_AT_ONCE);
    assert_true(w.n_asked <= NAMES_LOOKUPS_MAX);
    names_free(n);
    return out;
}

static const struct zone zones[] = {
    {"a.test", NAMES_IP4, {"1.2.3.4", "1.2.3.5"}},
    {"a.test", NAMES_IP6, {"2001:db8::1"}},
    {"a.test", NAMES_IP, {"2001:db8::1", "1.2.3.4"}},
    {"_dnsaddr.boot.test",
     NAMES_TEXT,
     {"dnsaddr=/ip4/5.6.7.8/tcp/4001/p2p/" PEER_A, "dnsaddr=/ip4/5.6.7.9/tcp/4001/p2p/" PEER_B,
      "not for us", "dnsaddr=/ip4/5.6.7/tcp/1", "dnsaddr=/dns4/a.test/tcp/7/p2p/" PEER_A,
      "dnsaddr=/ip4/9.9.9.9/tcp/1/p2p/" PEER_A "/p2p-circuit"}},
    {"_dnsaddr.up.test", NAMES_TEXT, {"dnsaddr=/dnsaddr/boot.test/p2p/" PEER_A}},
    {"_dnsaddr.up2.test", NAMES_TEXT, {"dnsaddr=/dnsaddr/up.test/p2p/" PEER_A}},
    {"_dnsaddr.up3.test", NAMES_TEXT, {"dnsaddr=/dnsaddr/up2.test/p2p/" PEER_A}},
    {"_dnsaddr.up4.test", NAMES_TEXT, {"dnsaddr=/dnsaddr/up3.test/p2p/" PEER_A}},
    {"_dnsaddr.loop.test",
     NAMES_TEXT,
     {"dnsaddr=/dnsaddr/loop.test", "dnsaddr=/dnsaddr/loop.test", "dnsaddr=/dnsaddr/loop.test"}},
};

static const struct found {
    const char *of, *want;
} founds[] = {
    {"/ip4/1.1.1.1/tcp/9", "1.1.1.1:9"},
    {"/dns4/a.test/tcp/9", "1.2.3.4:9 1.2.3.5:9"},
    {"/dns6/a.test/tcp/9", "[2001:db8::1]:9"},
    {"/dns/a.test/tcp/9", "[2001:db8::1]:9 1.2.3.4:9"},
    {"/dnsaddr/boot.test", "5.6.7.8:4001 5.6.7.9:4001 1.2.3.4:7 1.2.3.5:7"},
    {"/dnsaddr/boot.test/p2p/" PEER_B, "5.6.7.9:4001"},
    {"/dnsaddr/up3.test/p2p/" PEER_A, "5.6.7.8:4001 1.2.3.4:7 1.2.3.5:7"},
    {"/dnsaddr/up4.test/p2p/" PEER_A, "no address that can be dialled"},
    {"/dnsaddr/loop.test", "no address that can be dialled"},
    {"/dns4/none.test/tcp/9", "none.test: not found"},
};

/* Spec: multiformats/multiaddr protocols/DNSADDR.md */
static void each_form_of_name_gives_its_addresses(void **state)
{
    char out[1024];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(founds); i++) {
        assert_string_equal(find(founds[i].of, zones, ARRAY_LEN(zones), out), founds[i].want);
    }
}

static void many_tasks_take_turns_and_each_ends(void **state)
{
    static struct play w;
    struct names *n = begin(&w);
    struct multiaddr_parts parts;
    struct names_event ev;
    uint64_t task, ended = 0;

    (void)state;
    parts_of("/dns4/a.test/tcp/9", &parts);
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(names_start(n, &parts, &task), E_OK);
        assert_int_equal(task, i);
    }
    assert_false(names_next(n, &ev));
    answer_all(n, &w, zones, ARRAY_LEN(zones));
    while (names_next(n, &ev)) {
        assert_int_equal(ev.task, ++ended);
        assert_int_equal(ev.n_found, 2);
    }
    assert_int_equal(ended, 100);
    assert_int_equal(w.most_at_once, NAMES_AT_ONCE);
    assert_int_equal(names_start(n, &parts, &task), E_OK); /* one is left under way at the end */
    names_free(n);
}

static void a_port_that_refuses_ends_the_task_with_a_reason(void **state)
{
    static struct play w;
    struct names *n = begin(&w);
    struct multiaddr_parts parts, none = {.transport = TRANSPORT_TCP};
    struct names_event ev;
    uint64_t task;

    (void)state;
    w.refuse = E_LIMIT;
    parts_of("/dnsaddr/boot.test", &parts);
    assert_int_equal(names_start(n, &none, &task), E_ADDRESS);
    assert_int_equal(names_start(n, &parts, &task), E_OK);
    assert_true(names_next(n, &ev));
    assert_int_equal(ev.error, E_LIMIT);
    assert_string_equal(ev.text, "boot.test: limit reached");
    names_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_of_name_gives_its_addresses),
        cmocka_unit_test(many_tasks_take_turns_and_each_ends),
        cmocka_unit_test(a_port_that_refuses_ends_the_task_with_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
