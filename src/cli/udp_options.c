#include "udp_options.h"

#include <eth/network.h>
#include <stdio.h>

void udp_options_init(struct udp_options *o, const char *command)
{
    *o = (struct udp_options){.node = {.name = command}};
    discv5_config_default(&o->node.engine);
}

static int wrong(const struct udp_options *o, const char *option, const char *value,
                 const char *why)
{
    fprintf(stderr, "beacon-p2pd %s: %s %s: %s\n", o->node.name, option, value, why);
    return 2;
}

static int add_boot(struct udp_options *o, struct view text)
{
    struct enr e;
    enum err why = enr_parse(text, &e);

    if (why != E_OK) {
        fprintf(stderr, "beacon-p2pd %s: boot node %.*s: %s\n", o->node.name, (int)text.n,
                (const char *)text.p, err_text(why));
        return 2;
    }
    if (o->boots_n < UDP_BOOTS_MAX) {
        o->boots[o->boots_n++] = e;
    }
    return 0;
}

static int take_boots(struct udp_options *o, const char *list)
{
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        int code = n == 0 ? 0 : add_boot(o, view_of(list, n));

        if (code != 0) {
            return code;
        }
        list += n + (list[n] == ',' ? 1 : 0);
    }
    return 0;
}

static int take_network(struct udp_options *o, const char *name)
{
    char fault[NETWORK_FAULT_MAX];
    struct network *network;

    if (network_builtin(name, &network, fault) != E_OK) {
        return wrong(o, "--network", name, fault);
    }
    for (size_t i = 0; i < network->n_bootnodes; i++) {
        if (strncmp(network->bootnodes[i], "enr:", 4) == 0) { /* multiaddrs have no UDP node */
            IGNORE(add_boot(o, view_str(network->bootnodes[i])), "built in and tested");
        }
    }
    network_free(network);
    return 0;
}

static int take_address(struct udp_options *o, const char *option, const char *value)
{
    bool listen = strcmp(option, "--listen") == 0;
    struct addr a, *to;

    if (addr_parse(value, &a) != E_OK) {
        return wrong(o, option, value, "is no address");
    }
    if (listen) {
        to = a.family == 4 ? &o->node.udp4 : &o->node.udp6;
    } else {
        to = a.family == 4 ? &o->node.own4 : &o->node.own6;
    }
    *to = a;
    return 0;
}

int udp_options_take(struct udp_options *o, int argc, char **argv, int *i)
{
    static const char *const known[] = {"--network", "--boot-nodes", "--listen", "--ip", "--key"};
    const char *option = argv[*i], *value;
    bool ours = false;

    if (strcmp(option, "--private") == 0) {
        discv5_config_local(&o->node.engine);
        return 0;
    }
    for (size_t k = 0; k < ARRAY_LEN(known); k++) {
        ours = ours || strcmp(option, known[k]) == 0;
    }
    if (!ours) {
        return 1;
    }
    if (*i + 1 == argc) {
        return wrong(o, option, "", "needs a value");
    }
    value = argv[++*i];
    if (strcmp(option, "--network") == 0) {
        return take_network(o, value);
    }
    if (strcmp(option, "--boot-nodes") == 0) {
        return take_boots(o, value);
    }
    if (strcmp(option, "--key") == 0) {
        o->node.key_file = value;
        return 0;
    }
    return take_address(o, option, value);
}

void udp_options_done(struct udp_options *o, uint16_t port)
{
    if (o->node.udp4.family == 0 && o->node.udp6.family == 0) {
        o->node.udp4 = (struct addr){.family = 4, .port = port};
    }
}
