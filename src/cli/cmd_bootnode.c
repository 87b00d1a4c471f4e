/* beacon-p2pd bootnode: a discv5 node and nothing else, for others to begin at. */
#include "commands.h"
#include "udp_options.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <stdio.h>

#define DEFAULT_PORT 9000u
#define LOOK_EVERY   SECONDS(60) /* a random lookup keeps the table a sample of the whole network */
#define TELL_EVERY   SECONDS(300)

struct bootnode {
    struct udp_node *udp;
    struct addr voted;
    uint64_t look_ns, tell_ns;
};

static void say_record(const struct bootnode *b)
{
    char text[ENR_TEXT_MAX];

    puts(enr_text(discv5_record(udp_node_engine(b->udp)), text));
    fflush(stdout);
}

static void on_event(void *self, const struct discv5_event *ev, struct now now)
{
    struct bootnode *b = self;

    (void)now;
    if (ev->kind == DISCV5_ADDRESS && !addr_eq(&ev->from, &b->voted)) {
        b->voted = ev->from;
        udp_node_set_address(b->udp, &ev->from);
        say_record(b);
    }
}

static uint64_t on_turn(void *self, struct now now)
{
    struct bootnode *b = self;
    struct discv5 *d = udp_node_engine(b->udp);
    struct node_id target;
    uint32_t lookup;

    if (now.mono_ns >= b->look_ns) {
        rng_fill(random_system(), target.b, sizeof target.b);
        IGNORE(discv5_lookup(d, &target, now, &lookup), "the next one comes");
        b->look_ns = now.mono_ns + LOOK_EVERY;
    }
    if (now.mono_ns >= b->tell_ns) {
        fprintf(stderr, "%zu nodes in the table, %zu live, %zu sessions\n", discv5_table_size(d),
                discv5_live_count(d), discv5_session_count(d));
        b->tell_ns = now.mono_ns + TELL_EVERY;
    }
    return earlier(b->look_ns, b->tell_ns);
}

static int run(const struct udp_options *o)
{
    struct bootnode b = {.udp = udp_node_new(&o->node)};
    bool good;

    if (b.udp == NULL) {
        return 1;
    }
    udp_node_set_self(b.udp, &b);
    for (size_t i = 0; i < o->boots_n; i++) {
        discv5_add_boot(udp_node_engine(b.udp), &o->boots[i], udp_node_now(b.udp));
    }
    say_record(&b);
    good = udp_node_run(b.udp);
    udp_node_free(b.udp);
    return good ? 0 : 1;
}

int cmd_bootnode(int argc, char **argv)
{
    struct udp_options *o = mem_zalloc(sizeof *o);
    int code = 0;

    udp_options_init(o, "bootnode");
    o->node.event = on_event;
    o->node.turn = on_turn;
    for (int i = 1; i < argc && code == 0; i++) {
        code = udp_options_take(o, argc, argv, &i);
        if (code == 1) {
            fprintf(stderr, "beacon-p2pd bootnode: %s is not known; see --help\n", argv[i]);
            code = 2;
        }
    }
    if (code == 0) {
        udp_options_done(o, DEFAULT_PORT);
        code = run(o);
    }
    mem_free(o);
    return code;
}
