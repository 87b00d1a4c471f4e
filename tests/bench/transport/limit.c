/*
 * What the primitives allow: CPU time per byte of plain TCP on loopback, sending and receiving, and
 * of sealing and opening records of the size that the transport makes. One JSON line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <crypto/aead.h>
#include <crypto/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOTAL  (512 * MIB)
#define RECORD 65519u /* plaintext of a full record */

static uint8_t bytes[RECORD + AEAD_TAG];

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

/* The child sends, we receive: *ret_send and *ret_receive are CPU seconds for TOTAL bytes. */
static void tcp(double *ret_send, double *ret_receive)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), pipes[2];
    size_t left = TOTAL;

    must(listener >= 0 && bind(listener, (struct sockaddr *)&at, n) == 0 &&
             listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&at, &n) == 0 &&
             pipe(pipes) == 0,
         "loopback");
    pid_t child = fork();
    if (child == 0) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        must(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
        double since = cpu_seconds();
        while (left != 0) {
            ssize_t put = write(fd, bytes, left < sizeof bytes ? left : sizeof bytes);
            must(put > 0, "write");
            left -= (size_t)put;
        }
        since = cpu_seconds() - since;
        must(write(pipes[1], &since, sizeof since) == sizeof since, "pipe");
        _exit(0);
    }
    int fd = accept(listener, NULL, NULL);
    must(fd >= 0, "accept");
    double since = cpu_seconds();
    while (left != 0) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        must(got > 0, "read");
        left -= (size_t)got;
    }
    *ret_receive = cpu_seconds() - since;
    must(read(pipes[0], ret_send, sizeof *ret_send) == sizeof *ret_send, "pipe");
    waitpid(child, NULL, 0);
    close(fd);
    close(listener);
}

static void aead(double *ret_seal, double *ret_open)
{
    static const uint8_t key[32] = {1};
    struct aead *a = aead_new(key);
    const struct view none = {NULL, 0}, plain = view_of(bytes, RECORD);
    static uint8_t sealed[sizeof bytes];
    size_t records = TOTAL / RECORD;
    double since = cpu_seconds();

    for (size_t i = 0; i < records; i++) {
        aead_seal(a, i, none, &plain, 1, sealed);
    }
    *ret_seal = cpu_seconds() - since;
    since = cpu_seconds();
    for (size_t i = 0; i < records; i++) { /* in place: a copy of each record goes first */
        memcpy(bytes, sealed, sizeof bytes);
        must(aead_open(a, records - 1, none, bytes, sizeof bytes) == E_OK, "open");
    }
    *ret_open = cpu_seconds() - since;
    aead_free(a);
}

int main(void)
{
    double send, receive, seal, open;

    must(crypto_start() == E_OK, "randomness");
    tcp(&send, &receive);
    aead(&seal, &open);
    printf("{\"bytes\":%zu,\"send\":%.4f,\"receive\":%.4f,\"seal\":%.4f,\"open\":%.4f}\n", TOTAL,
           send, receive, seal, open);
    return 0;
}
