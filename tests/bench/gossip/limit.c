/*
 * What the primitives allow a router: limit SIZE COPIES MESSAGES.
 *
 * For each message: COPIES records are read from a socket and opened, SHA-256 is taken once, and
 * eight records are sealed and written to eight sockets, over loopback TCP; nothing else. Children
 * feed and drain the sockets. One JSON line: messages per second of this process' CPU time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <crypto/aead.h>
#include <crypto/ident.h>
#include <crypto/random.h>
#include <crypto/sha256.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SINKS      8
#define RECORD_MAX 65519u

static uint8_t in[RECORD_MAX + AEAD_TAG], out[RECORD_MAX + AEAD_TAG], sealed[RECORD_MAX + AEAD_TAG];

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

/* Two ends of a TCP connection. */
static void connection(int *ret_a, int *ret_b)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    must(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 1) == 0 &&
             getsockname(listener, (struct sockaddr *)&at, &n) == 0,
         "listen");
    *ret_a = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(*ret_a, (struct sockaddr *)&at, sizeof at) == 0, "connect");
    *ret_b = accept(listener, NULL, NULL);
    must(*ret_b >= 0, "accept");
    close(listener);
}

static void write_all(int fd, const uint8_t *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t took = write(fd, p + at, n - at);
        must(took > 0, "write");
        at += (size_t)took;
    }
}

static void read_all(int fd, uint8_t *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, p + at, n - at);
        must(got > 0, "read");
        at += (size_t)got;
    }
}

static void drain(const int *fds)
{
    static uint8_t sink[1 << 18];
    struct pollfd p[SINKS];

    for (int i = 0; i < SINKS; i++) {
        p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    for (;;) {
        must(poll(p, SINKS, -1) > 0, "poll");
        for (int i = 0; i < SINKS; i++) {
            if ((p[i].revents & POLLIN) != 0 && read(fds[i], sink, sizeof sink) <= 0) {
                exit(0);
            }
        }
    }
}

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void route(size_t size, unsigned copies, int source, const int *sinks, struct aead **keys)
{
    const struct view piece = {out, size};
    uint8_t hash[32];

    for (unsigned c = 0; c < copies; c++) {
        read_all(source, in, size + AEAD_TAG);
        must(aead_open(keys[SINKS], 0, view_of(NULL, 0), in, size + AEAD_TAG) == E_OK, "open");
    }
    sha256_once(view_of(in, size), hash);
    for (int i = 0; i < SINKS; i++) {
        aead_seal(keys[i], 0, view_of(NULL, 0), &piece, 1, sealed);
        write_all(sinks[i], sealed, size + AEAD_TAG);
    }
}

int main(int argc, char **argv)
{
    int sinks[SINKS], drains[SINKS], source, feed;
    struct aead *keys[SINKS + 1];
    uint8_t key[32];

    if (argc != 4) {
        fprintf(stderr, "usage: %s SIZE COPIES MESSAGES\n", argv[0]);
        return 2;
    }
    size_t size = strtoul(argv[1], NULL, 10);
    unsigned copies = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned messages = (unsigned)strtoul(argv[3], NULL, 10);
    must(size <= RECORD_MAX && crypto_start() == E_OK, "SIZE");
    for (int i = 0; i <= SINKS; i++) {
        rng_fill(random_system(), key, sizeof key);
        keys[i] = aead_new(key);
        if (i < SINKS) {
            connection(&sinks[i], &drains[i]);
        }
    }
    connection(&source, &feed);
    pid_t feeder = fork();
    if (feeder == 0) {
        const struct view piece = {out, size};
        aead_seal(keys[SINKS], 0, view_of(NULL, 0), &piece, 1, sealed);
        for (;;) {
            write_all(feed, sealed, size + AEAD_TAG);
        }
    }
    pid_t drainer = fork();
    if (drainer == 0) {
        drain(drains);
    }
    double before = cpu_seconds();
    for (unsigned i = 0; i < messages; i++) {
        route(size, copies, source, sinks, keys);
    }
    printf("{\"per_cpu_second\":%.0f}\n", messages / (cpu_seconds() - before));
    kill(feeder, SIGKILL);
    kill(drainer, SIGKILL);
    return 0;
}
