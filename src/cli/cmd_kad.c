/*
 * beacon-p2pd kad: put and get records of Kademlia through a daemon that runs, by its control
 * socket. One question, its answers on stdout, one a line.
 */
#define _GNU_SOURCE
#include "commands.h"

#include <base/mem.h>
#include <codec/base.h>
#include <codec/peer_id.h>
#include <errno.h>
#include <poll.h>
#include <proto/control.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define EXIT_USAGE  2
#define READ_BYTES  (64 * KIB)
#define WAIT_MS     150000 /* two halves of a query, each a minute at most, and some */
#define KEY_HEX_MAX 256u
#define PATH_BYTES  sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define ANSWER_TAG  1u

static const struct verb {
    const char *name;
    enum control_kad mode;
    unsigned arguments;
} verbs[] = {
    {"find", CONTROL_KAD_FIND, 1},
    {"get", CONTROL_KAD_GET, 1},
    {"put", CONTROL_KAD_PUT, 2},
    {"provide", CONTROL_KAD_PROVIDE, 1},
    {"providers", CONTROL_KAD_PROVIDERS, 1},
    {"unput", CONTROL_KAD_UNPUT, 1},
    {"unprovide", CONTROL_KAD_UNPROVIDE, 1},
    {"table", CONTROL_KAD_TABLE, 0},
};

/* ---- the socket ---- */

static int meet(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "beacon-p2pd kad: %s: %s; is the daemon running?\n", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static bool say(int fd, const struct control_frame *f)
{
    struct buf out;
    bool good;

    buf_init(&out, CONTROL_FRAME_MAX);
    good = control_encode(f, &out) == E_OK;
    while (good && out.n != 0) {
        ssize_t n = write(fd, out.p, out.n);

        good = n > 0;
        buf_consume(&out, good ? (size_t)n : 0);
    }
    buf_done(&out);
    return good;
}

static void print_answer(const struct control_frame *f, enum control_kad mode)
{
    char id[PEER_ID_TEXT_MAX];
    struct peer_id peer;

    if (mode == CONTROL_KAD_GET) {
        fwrite(f->data.p, 1, f->data.n, stdout);
        putchar('\n');
        return;
    }
    if (peer_id_from_bytes(f->peer, &peer) != E_OK) {
        return;
    }
    fputs(peer_id_text(&peer, id), stdout);
    for (size_t i = 0; i < f->data.n; i++) {
        if (i == 0 || f->data.p[i - 1] == '\n') {
            putchar(' ');
        }
        if (f->data.p[i] != '\n') {
            putchar(f->data.p[i]);
        }
    }
    putchar('\n');
}

/* True: the answer is whole, and *ret_code what to exit with. */
static bool take(const struct control_frame *f, enum control_kad mode, int *ret_code)
{
    if (f->kind == CONTROL_CHUNK) {
        print_answer(f, mode);
    }
    if (f->kind != CONTROL_RESULT && f->kind != CONTROL_BYE) {
        return false; /* WELCOME, and what a later daemon may say */
    }
    if (f->code != CONTROL_OK) {
        fprintf(stderr, "beacon-p2pd kad: %.*s\n", (int)f->text.n, (const char *)f->text.p);
    }
    *ret_code = f->code == CONTROL_OK ? 0 : EXIT_FAILED;
    return true;
}

static int hear(int fd, enum control_kad mode)
{
    struct buf in;
    uint8_t *at;
    int code = EXIT_FAILED;
    bool over = false;

    buf_init(&in, CONTROL_FRAME_MAX + READ_BYTES);
    while (!over) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n = buf_reserve(&in, READ_BYTES, &at) == E_OK && poll(&p, 1, WAIT_MS) == 1
                        ? read(fd, at, READ_BYTES)
                        : -1;
        struct control_frame f;
        struct view frame, left;

        if (n <= 0) {
            fputs("beacon-p2pd kad: the daemon gives no answer\n", stderr);
            break;
        }
        buf_commit(&in, (size_t)n);
        left = buf_view(&in);
        while (!over && control_split(&left, &frame) == E_OK) {
            over = control_decode(frame, false, &f) == E_OK && take(&f, mode, &code);
        }
        buf_consume(&in, in.n - left.n);
    }
    buf_done(&in);
    return code;
}

/* ---- the command ---- */

/* Text as it is, or bytes from 0x...; false: no such bytes. */
static bool read_bytes(const char *text, uint8_t *space, size_t space_n, struct view *ret)
{
    size_t n;

    if (strncmp(text, "0x", 2) != 0) {
        *ret = view_str(text);
        return true;
    }
    if (hex_get(view_str(text), space, space_n, &n) != E_OK) {
        fprintf(stderr, "beacon-p2pd kad: %s: an even number of hex digits is wanted\n", text);
        return false;
    }
    *ret = view_of(space, n);
    return true;
}

static int ask(const char *path, const struct verb *v, char **arguments)
{
    static uint8_t value[64 * KIB];
    uint8_t key[KEY_HEX_MAX];
    struct control_frame f = {.kind = CONTROL_KAD, .tag = ANSWER_TAG, .mode = (uint8_t)v->mode};
    struct control_frame hello = {.kind = CONTROL_HELLO,
                                  .low = CONTROL_VERSION,
                                  .high = CONTROL_VERSION,
                                  .text = view_str("kad")};

    if ((v->arguments > 0 && !read_bytes(arguments[0], key, sizeof key, &f.text)) ||
        (v->arguments > 1 && !read_bytes(arguments[1], value, sizeof value, &f.data))) {
        return EXIT_USAGE;
    }
    int fd = meet(path);
    if (fd < 0) {
        return EXIT_FAILED;
    }
    int code = say(fd, &hello) && say(fd, &f) ? hear(fd, v->mode) : EXIT_FAILED;
    close(fd);
    return code;
}

int cmd_kad(int argc, char **argv)
{
    const char *path = NULL;
    int at = 1;

    while (at < argc && argv[at][0] == '-') {
        if (strcmp(argv[at], "--help") == 0) {
            return command_usage("kad", stdout);
        }
        if (strcmp(argv[at], "--control-socket") != 0 || at + 1 == argc) {
            fprintf(stderr, "beacon-p2pd kad: %s is not known; see --help\n", argv[at]);
            return EXIT_USAGE;
        }
        path = argv[at + 1];
        at += 2;
    }
    for (size_t i = 0; at < argc && i < ARRAY_LEN(verbs); i++) {
        if (strcmp(argv[at], verbs[i].name) != 0) {
            continue;
        }
        if ((unsigned)(argc - at - 1) != verbs[i].arguments) {
            fprintf(stderr, "beacon-p2pd kad: %s wants %u words behind it; see --help\n",
                    verbs[i].name, verbs[i].arguments);
            return EXIT_USAGE;
        }
        if (path == NULL || strlen(path) >= PATH_BYTES) {
            fputs("beacon-p2pd kad: --control-socket PATH is wanted, of the daemon to ask\n",
                  stderr);
            return EXIT_USAGE;
        }
        return ask(path, &verbs[i], &argv[at + 1]);
    }
    return command_usage("kad", stderr);
}
