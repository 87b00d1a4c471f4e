/* beacon-p2pd replay FILE: a rejected message to the same checks again. */
#include "replay_message.h"

#include "files.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <errno.h>
#include <inttypes.h>
#include <node/rejected.h>
#include <stdio.h>

#define FILE_MAX (32 * MIB)

static bool read_file(const char *path, struct buf *ret)
{
    FILE *f = fopen(path, "rb");
    bool ok = f != NULL;
    char piece[4096];

    for (size_t n; ok && (n = fread(piece, 1, sizeof piece, f)) > 0;) {
        ok = buf_append(ret, piece, n) == E_OK;
    }
    ok = ok && !ferror(f);
    if (f != NULL) {
        fclose(f);
    }
    return ok;
}

/* What is given; else the built-in one that the file is of. */
static bool find_network(struct view file, const char *name, const char *dir, struct network **ret)
{
    static const char *const built_in[] = {"mainnet", "hoodi", "sepolia"};
    char fault[NETWORK_FAULT_MAX] = "";
    uint8_t root[32];

    if (name != NULL || dir != NULL) {
        enum err e =
            dir != NULL ? network_load_dir(dir, ret, fault) : network_builtin(name, ret, fault);
        if (e != E_OK) {
            fprintf(stderr, "beacon-p2pd replay: %s\n", fault);
        }
        return e == E_OK;
    }
    for (size_t i = 0; rejected_network(file, root) == E_OK && i < ARRAY_LEN(built_in); i++) {
        if (network_builtin(built_in[i], ret, fault) != E_OK) {
            continue;
        }
        if (memcmp((*ret)->genesis_validators_root, root, 32) == 0) {
            return true;
        }
        network_free(*ret);
    }
    fprintf(stderr, "beacon-p2pd replay: the file is of no built-in network, or of no rejected "
                    "message; give its --testnet-dir\n");
    return false;
}

static bool same_end(const struct rejected_judged *j)
{
    return j->is == j->was && strcmp(j->is_reason, j->was_reason) == 0;
}

static void tell(const char *path, const struct rejected_judged *j)
{
    printf("%s: %zu bytes on %s from %s at %" PRIu64 ".%09" PRIu64 "\n", path, j->bytes, j->topic,
           j->peer, j->wall_ns / 1000000000, j->wall_ns % 1000000000);
    printf("  was rejected: %s: %s\n", err_table[j->was].name, j->was_reason);
    if (same_end(j)) {
        puts("  now the same");
    } else if (j->is == E_OK) {
        printf("  now it is not rejected%s%s\n",
               j->is_reason[0] == '\0' ? "" : ", but ignored: ", j->is_reason);
    } else {
        printf("  now rejected: %s: %s\n", err_table[j->is].name, j->is_reason);
    }
}

int replay_message(const char *path, const char *network, const char *testnet_dir)
{
    struct rejected_judged j;
    struct network *net = NULL;
    char fault[REJECTED_FAULT_MAX];
    struct buf file;
    int code = 1;

    buf_init(&file, FILE_MAX);
    if (!read_file(path, &file)) {
        fprintf(stderr, "beacon-p2pd replay: %s cannot be read, or is over 32 MiB\n", path);
    } else if (find_network(buf_view(&file), network, testnet_dir, &net)) {
        if (rejected_judge(net, buf_view(&file), random_system(), &j, fault) != E_OK) {
            fprintf(stderr, "beacon-p2pd replay: %s: %s\n", path, fault);
        } else {
            tell(path, &j);
            code = same_end(&j) ? 0 : 1;
        }
    }
    network_free(net);
    buf_done(&file);
    return code;
}
