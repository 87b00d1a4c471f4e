#include "chain_options.h"

#include <string.h>

#define SEMI_SUPERNODE_GROUPS 64u /* half of the columns: enough to rebuild the rest from */

static bool read_serve(const struct options *o, struct node_config *cfg, char *fault)
{
    static const struct {
        const char *name;
        enum node_serve mode;
    } modes[] = {{"window", SERVE_WINDOW}, {"none", SERVE_NONE}, {"full", SERVE_FULL}};

    const char *mode = option_text(o, OPT_SERVE);

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(mode, modes[i].name) == 0) {
            cfg->serve = modes[i].mode;
            return true;
        }
    }
    (void)snprintf(fault, CHECKPOINT_FAULT_MAX, "--serve %.40s: none, window or full is wanted",
                   mode);
    return false;
}

static bool read_custody(const struct options *o, struct node_config *cfg, char *fault)
{
    const struct network_config *net = &cfg->network->config;
    bool given = option_given(o, OPT_CUSTODY_GROUPS), semi = option_bool(o, OPT_SEMI_SUPERNODE);
    bool super = option_bool(o, OPT_SUPERNODE);

    if (given + semi + super > 1) {
        (void)snprintf(fault, CHECKPOINT_FAULT_MAX,
                       "--custody-groups, --semi-supernode and --supernode exclude each other");
        return false;
    }
    uint64_t groups = super   ? net->NUMBER_OF_CUSTODY_GROUPS
                      : semi  ? SEMI_SUPERNODE_GROUPS
                      : given ? option_u64(o, OPT_CUSTODY_GROUPS)
                              : net->CUSTODY_REQUIREMENT;
    if (groups < net->CUSTODY_REQUIREMENT || groups > net->NUMBER_OF_CUSTODY_GROUPS) {
        (void)snprintf(fault, CHECKPOINT_FAULT_MAX,
                       "--custody-groups %llu: network %s asks for %llu to %llu",
                       (unsigned long long)groups, cfg->network->name,
                       (unsigned long long)net->CUSTODY_REQUIREMENT,
                       (unsigned long long)net->NUMBER_OF_CUSTODY_GROUPS);
        return false;
    }
    cfg->custody_groups = (unsigned)groups;
    return true;
}

bool chain_options_read(const struct options *o, struct node_config *cfg,
                        char fault[static CHECKPOINT_FAULT_MAX])
{
    cfg->retain_epochs = option_given(o, OPT_RETAIN_EPOCHS) ? option_u64(o, OPT_RETAIN_EPOCHS) : 0;
    cfg->backfill_slots = (unsigned)option_u64(o, OPT_BACKFILL_RATE);
    if (option_bool(o, OPT_RECONSTRUCT)) {
        (void)snprintf(fault, CHECKPOINT_FAULT_MAX,
                       "--reconstruct-columns: columns cannot be rebuilt here yet (it needs KZG); "
                       "--supernode keeps those that come by gossip and request");
        return false;
    }
    return read_serve(o, cfg, fault) && read_custody(o, cfg, fault);
}

bool chain_options_checkpoint(const struct options *o, struct node_config *cfg,
                              struct node_checkpoint *ret, char fault[static CHECKPOINT_FAULT_MAX])
{
    struct checkpoint_options c = {
        .root = option_text(o, OPT_CHECKPOINT_ROOT),
        .block_file = option_text(o, OPT_CHECKPOINT_BLOCK),
        .state_file = option_text(o, OPT_CHECKPOINT_STATE),
        .url = option_text(o, OPT_CHECKPOINT_URL),
    };

    if (c.url != NULL && c.root == NULL && c.state_file == NULL && node_chain_kept(cfg->store)) {
        LOG(cfg->log, LOG_INFO, "chain",
            "a chain is kept here already: --checkpoint-sync-url is not asked");
        c.url = NULL;
    }
    if (c.root == NULL && c.block_file == NULL && c.url == NULL && c.state_file == NULL) {
        return true;
    }
    if (!checkpoint_read(cfg->network, &c, ret, fault)) {
        return false;
    }
    cfg->checkpoint = ret;
    return true;
}
