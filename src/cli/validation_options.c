#include "validation_options.h"

#include <stdio.h>
#include <string.h>

/* A mode; not given: what is right for the network. docs/control.md says why. */
static bool read_mode(const struct options *o, enum option id, enum node_validation *ret,
                      char fault[static VALIDATION_FAULT_MAX])
{
    static const char *const modes[] = {
        [VALIDATE_STRUCTURAL] = "structural",
        [VALIDATE_OBSERVE] = "observe",
        [VALIDATE_EXTERNAL] = "external",
        [VALIDATE_QUORUM] = "quorum",
    };
    const char *mode = option_text(o, id);

    if (mode == NULL) {
        bool private = option_text(o, OPT_TESTNET_DIR) != NULL;

        *ret = private ? VALIDATE_STRUCTURAL : VALIDATE_OBSERVE;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (strcmp(mode, modes[i]) == 0) {
            *ret = (enum node_validation)i;
            return true;
        }
    }
    snprintf(fault, VALIDATION_FAULT_MAX,
             "--%s %s: structural, observe, external or quorum is wanted", option_name(id), mode);
    return false;
}

bool validation_options(const struct options *o, struct node_config *cfg,
                        char fault[static VALIDATION_FAULT_MAX])
{
    if (!read_mode(o, OPT_VALIDATION, &cfg->validation, fault) ||
        !read_mode(o, OPT_FALLBACK, &cfg->fallback, fault)) {
        return false;
    }
    if (cfg->fallback == VALIDATE_EXTERNAL) {
        snprintf(fault, VALIDATION_FAULT_MAX,
                 "--validation-fallback external: it is what to do without a program; structural, "
                 "observe or quorum is wanted");
        return false;
    }
    if (cfg->validation == VALIDATE_EXTERNAL && option_bool(o, OPT_NO_CONTROL)) {
        snprintf(fault, VALIDATION_FAULT_MAX,
                 "--validation external waits for a program on the control socket: leave out "
                 "--disable-control-socket");
        return false;
    }
    cfg->partial_columns = option_bool(o, OPT_PARTIAL_COLUMNS);
    if (cfg->partial_columns && cfg->validation != VALIDATE_STRUCTURAL) {
        snprintf(fault, VALIDATION_FAULT_MAX,
                 "--partial-columns: cells are given on as they come, and nobody judges them: only "
                 "with --validation structural, on private networks");
        return false;
    }
    cfg->verdict_wait_ns = MILLIS(option_u64(o, OPT_VERDICT_WAIT));
    cfg->quorum = (unsigned)option_u64(o, OPT_QUORUM);
    return true;
}
