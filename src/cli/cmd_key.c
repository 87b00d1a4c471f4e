/* beacon-p2pd key: the node's identity looked at, taken away and brought in. */
#define _GNU_SOURCE
#include "commands.h"
#include "files.h"
#include "run.h"

#include <base/mem.h>
#include <codec/base.h>
#include <codec/peer_id.h>
#include <crypto/aead.h>
#include <crypto/ident.h>
#include <errno.h>
#include <proto/enr.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET 32u
#define PROTO_BYTES \
    36u /* 08 02 12 20 and the secret. Spec: libp2p/specs peer-ids/peer-ids.md "Keys" */
#define TEXT_MAX 4096u /* a JSON file of a peer id is 1 KiB */

static const uint8_t proto_head[4] = {0x08, 0x02, 0x12, SECRET};

struct key_args {
    const char *verb, *datadir, *network, *format, *file;
    bool force;
    char folder[PATH_BYTES], path[PATH_BYTES];
};

static int wrong(const char *what, const char *why)
{
    fprintf(stderr, "beacon-p2pd key: %s: %s\n", what, why);
    return EXIT_USAGE;
}

static int failed(const char *what, const char *why)
{
    fprintf(stderr, "beacon-p2pd key: %s: %s\n", what, why);
    return EXIT_FAILED;
}

static int read_args(struct key_args *a, int argc, char **argv)
{
    if (argc < 2) {
        return command_usage("key", stderr);
    }
    *a = (struct key_args){.verb = argv[1], .network = "mainnet", .format = "hex"};
    for (int i = 2; i < argc; i++) {
        const char **to = strcmp(argv[i], "--datadir") == 0   ? &a->datadir
                          : strcmp(argv[i], "--network") == 0 ? &a->network
                          : strcmp(argv[i], "--format") == 0  ? &a->format
                                                              : NULL;

        if (strcmp(argv[i], "--force") == 0) {
            a->force = true;
        } else if (to != NULL && i + 1 < argc) {
            *to = argv[++i];
        } else if (argv[i][0] == '-' || a->file != NULL) {
            return wrong(argv[i],
                         "not understood, or without its value; see beacon-p2pd key --help");
        } else {
            a->file = argv[i];
        }
    }
    const char *home = getenv("HOME");
    int n = a->datadir != NULL ? snprintf(a->folder, sizeof a->folder, "%s", a->datadir)
            : home == NULL     ? -1
                           : snprintf(a->folder, sizeof a->folder, "%s/.local/share/beacon-p2pd/%s",
                                      home, a->network);
    if (n <= 0 || (size_t)n + sizeof "/key.old" > sizeof a->path) {
        return wrong("--datadir", "give one: HOME is not set, or the path is too long");
    }
    (void)snprintf(a->path, sizeof a->path, "%.700s/key", a->folder);
    return 0;
}

static int load(const struct key_args *a, struct ident *ret)
{
    enum err e = ident_load(a->path, ret);

    return e == E_OK           ? 0
           : e == E_NOT_FOUND  ? failed(a->path, "there is none: the first run makes it, or import")
           : e == E_CRYPTO_KEY ? failed(a->path, "is damaged: not 32 bytes of a secp256k1 key")
                               : failed(a->path, strerror(errno));
}

/* Base64's two alphabets differ in two letters. */
static void swap(char *text, const char *from, const char *to)
{
    for (; *text != '\0'; text++) {
        const char *found = strchr(from, *text);

        *text = found == NULL ? *text : to[found - from];
    }
}

/* ---- show ---- */

static int show(const struct key_args *a)
{
    struct ident id;
    struct peer_id peer;
    struct node_id node;
    char text[PEER_ID_TEXT_MAX], hex[2 * SECP_PUBLIC + 1];
    int code = load(a, &id);

    if (code != 0) {
        return code;
    }
    peer_id_from_secp(id.public, &peer);
    if (node_id_from_public(id.public, &node) != E_OK) {
        return failed(a->path, "has no node id");
    }
    printf("peer id     %s\n", peer_id_text(&peer, text));
    hex_put(view_of(node.b, sizeof node.b), hex);
    printf("node id     0x%s\n", hex);
    hex_put(view_of(id.public, SECP_PUBLIC), hex);
    printf("public key  0x%s\nfile        %s\n", hex, a->path);
    secret_wipe(&id, sizeof id);
    return 0;
}

/* ---- export ---- */

/* There is room for it: see the array's size. */
static size_t with_newline(char *text)
{
    size_t n = strlen(text);

    text[n] = '\n';
    text[n + 1] = '\0';
    return n + 1;
}

static int export_key(const struct key_args *a)
{
    uint8_t proto[PROTO_BYTES];
    char text[2 * PROTO_BYTES + 2]; /* hex, a newline and the end */
    struct ident id;
    int code = load(a, &id);

    if (code != 0) {
        return code;
    }
    struct view out = view_of(text, 0);
    memcpy(proto, proto_head, sizeof proto_head);
    memcpy(proto + sizeof proto_head, id.secret, SECRET);
    if (strcmp(a->format, "hex") == 0) {
        hex_put(view_of(id.secret, SECRET), text);
        out.n = with_newline(text);
    } else if (strcmp(a->format, "protobuf") == 0) {
        IGNORE(base64url_put(view_of(proto, sizeof proto), text, sizeof text - 1), "there is room");
        swap(text, "-_", "+/"); /* 36 bytes need no padding */
        out.n = with_newline(text);
    } else if (strcmp(a->format, "raw") == 0) {
        out = view_of(id.secret, SECRET);
    } else {
        code = wrong(a->format, "hex, protobuf or raw is wanted");
    }
    if (code == 0 && a->file == NULL) {
        code = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0 ? 0 : EXIT_FAILED;
    } else if (code == 0 && access(a->file, F_OK) == 0) {
        code = failed(a->file, "is there already; it is not replaced");
    } else if (code == 0 && !file_write(a->file, out)) {
        code = failed(a->file, strerror(errno));
    }
    secret_wipe(&id, sizeof id);
    secret_wipe(proto, sizeof proto);
    secret_wipe(text, sizeof text);
    return code;
}

/* ---- import ---- */

/* The secret in whatever form: false when it is none that we know. */
static bool find_secret(struct view in, uint8_t ret[static SECRET])
{
    uint8_t bytes[PROTO_BYTES + 1];
    char text[2 * PROTO_BYTES];
    size_t n = 0;

    if (in.n == SECRET) {
        memcpy(ret, in.p, SECRET);
        return true;
    }
    while (in.n > 0 &&
           (in.p[in.n - 1] == '\n' || in.p[in.n - 1] == '\r' || in.p[in.n - 1] == ' ')) {
        in.n--;
    }
    bool read = hex_get(in, bytes, sizeof bytes, &n) == E_OK;

    if (!read && in.n < sizeof text) {
        memcpy(text, in.p, in.n);
        text[in.n] = '\0';
        swap(text, "+/", "-_");
        text[strcspn(text, "=")] = '\0';
        read = base64url_get(view_str(text), bytes, sizeof bytes, &n) == E_OK;
        secret_wipe(text, sizeof text);
    }
    bool proto = read && n == PROTO_BYTES && memcmp(bytes, proto_head, sizeof proto_head) == 0;

    if (proto || (read && n == SECRET)) {
        memcpy(ret, bytes + (proto ? sizeof proto_head : 0), SECRET);
    }
    secret_wipe(bytes, sizeof bytes);
    return proto || (read && n == SECRET);
}

static bool read_input(const char *path, struct buf *ret)
{
    FILE *f = path == NULL || strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    uint8_t piece[512];
    bool ok = f != NULL;

    for (size_t n; ok && (n = fread(piece, 1, sizeof piece, f)) > 0;) {
        ok = buf_append(ret, piece, n) == E_OK;
    }
    ok = ok && !ferror(f);
    if (f != NULL && f != stdin) {
        fclose(f);
    }
    secret_wipe(piece, sizeof piece);
    return ok;
}

/* The old one goes aside: its peers know us by it, and it can be had back. */
static int put_aside(const struct key_args *a)
{
    char old[PATH_BYTES];

    (void)snprintf(old, sizeof old, "%.700s/key.old", a->folder);
    if (!a->force) {
        return failed(a->path, "another identity is there; --force puts it aside as key.old");
    }
    return rename(a->path, old) == 0 ? 0 : failed(old, strerror(errno));
}

static int save(const struct key_args *a, const struct ident *id)
{
    struct ident there;
    enum err e = ident_load(a->path, &there);
    int code = 0;

    if (e == E_OK && memcmp(there.secret, id->secret, SECRET) == 0) {
        return 0;
    }
    if (mkdir(a->folder, 0700) != 0 && errno != EEXIST) {
        return failed(a->folder, strerror(errno));
    }
    code = e == E_NOT_FOUND ? 0 : put_aside(a);
    if (code != 0) {
        return code;
    }
    e = ident_save(a->path, id);
    return e == E_OK ? 0 : failed(a->path, err_text(e));
}

static int import_key(const struct key_args *a)
{
    uint8_t secret[SECRET];
    struct ident id;
    struct buf in;
    int code;

    buf_init(&in, TEXT_MAX);
    if (!read_input(a->file, &in)) {
        code =
            failed(a->file == NULL ? "standard input" : a->file, "cannot be read, or is too long");
    } else if (!find_secret(buf_view(&in), secret)) {
        code = failed(a->file == NULL ? "standard input" : a->file,
                      "no secp256k1 key: hex, libp2p's protobuf in hex or base64, or 32 bytes");
    } else if (ident_from_secret(secret, &id) != E_OK) {
        code = failed("the key", "is not in the group's range");
    } else {
        code = save(a, &id);
        secret_wipe(&id, sizeof id);
    }
    secret_wipe(secret, sizeof secret);
    if (in.p != NULL) {
        secret_wipe(in.p, in.n);
    }
    buf_done(&in);
    return code != 0 ? code : show(a);
}

int cmd_key(int argc, char **argv)
{
    struct key_args a;
    int code = read_args(&a, argc, argv);

    if (code != 0) {
        return code;
    }
    return strcmp(a.verb, "show") == 0     ? show(&a)
           : strcmp(a.verb, "export") == 0 ? export_key(&a)
           : strcmp(a.verb, "import") == 0 ? import_key(&a)
                                           : wrong(a.verb, "show, export or import is wanted");
}
