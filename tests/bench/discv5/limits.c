/*
 * What nobody can do without, for tests/bench/discv5/run.py:
 *
 *     limits primitives     nanoseconds of a handshake's curve operations for its recipient (two
 *                           signatures verified, one shared secret) and of a PING's ciphers (open
 * and seal of AES-GCM, two headers masked), as a JSON object limits echo           a plain UDP echo
 * on 127.0.0.1, 16 datagrams a system call: prints its port limits blast PORT SECONDS    keeps it
 * busy with 256 datagrams of a PING's size under way
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <crypto/aes.h>
#include <crypto/ident.h>
#include <crypto/random.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH      16u
#define PING_BYTES 100u /* header and message */
#define UNDER_WAY  256u
#define ROUNDS     2000u

static uint64_t clock_ns(clockid_t which)
{
    struct timespec t;

    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void primitives(void)
{
    struct ident id, ephemeral;
    uint8_t hash[32] = {1}, signature[SECP_SIGNATURE], shared[SECP_PUBLIC], key[16] = {2};
    uint8_t bytes[64] = {0}, head[71] = {0}, header[55] = {0}, iv[16] = {3};
    struct view plain = {bytes, 16}, ad = {head, sizeof head}, sealed = {bytes, 16 + AES_TAG};

    ident_random(random_system(), &id);
    ident_random(random_system(), &ephemeral);
    ident_sign(&id, hash, signature);
    uint64_t begun = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < ROUNDS; i++) {
        must(secp_verify(id.public, hash, signature) == E_OK, "verify");
        must(secp_verify(id.public, hash, signature) == E_OK, "verify");
        must(secp_ecdh(id.secret, ephemeral.public, shared) == E_OK, "ecdh");
    }
    uint64_t curve = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begun;
    begun = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < 100 * ROUNDS; i++) {
        aes128_ctr(key, iv, 0, header, sizeof header);
        aes128_gcm_seal(key, iv, ad, plain, bytes);
        must(aes128_gcm_open(key, iv, ad, sealed, bytes) == E_OK, "open");
        aes128_ctr(key, iv, 0, header, sizeof header);
    }
    uint64_t ciphers = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begun;
    printf("{\"handshake_ns\":%llu,\"ping_ns\":%llu}\n", (unsigned long long)(curve / ROUNDS),
           (unsigned long long)(ciphers / (100 * ROUNDS)));
}

static int open_socket(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    must(s >= 0 && bind(s, (struct sockaddr *)&at, n) == 0 &&
             getsockname(s, (struct sockaddr *)&at, &n) == 0,
         "socket");
    *port = ntohs(at.sin_port);
    return s;
}

static void echo(void)
{
    static uint8_t space[BATCH][2048];
    static struct sockaddr_in from[BATCH];
    static struct iovec pieces[BATCH];
    static struct mmsghdr msgs[BATCH];
    uint16_t port;
    int s = open_socket(&port);
    struct pollfd wait = {.fd = s, .events = POLLIN};

    printf("port %u\n", (unsigned)port);
    fflush(stdout);
    for (;;) {
        poll(&wait, 1, -1); /* as an event loop does */
        for (unsigned i = 0; i < BATCH; i++) {
            pieces[i] = (struct iovec){space[i], sizeof space[i]};
            msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof from[i],
                                              .msg_iov = &pieces[i],
                                              .msg_iovlen = 1};
        }
        int got = recvmmsg(s, msgs, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++) {
            pieces[i].iov_len = msgs[i].msg_len;
        }
        if (got > 0 && sendmmsg(s, msgs, (unsigned)got, 0) < 0) {
            perror("sendmmsg");
        }
    }
}

static void blast(uint16_t to_port, uint64_t seconds)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(to_port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    uint8_t bytes[PING_BYTES] = {0};
    uint64_t answered = 0, begun = clock_ns(CLOCK_MONOTONIC);
    uint64_t end = begun + seconds * 1000000000u;
    uint16_t port;
    int s = open_socket(&port);

    must(connect(s, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    for (unsigned i = 0; i < UNDER_WAY; i++) {
        must(send(s, bytes, sizeof bytes, 0) > 0, "send");
    }
    while (clock_ns(CLOCK_MONOTONIC) < end) {
        if (recv(s, bytes, sizeof bytes, 0) > 0) {
            answered++;
            must(send(s, bytes, sizeof bytes, 0) > 0, "send");
        }
    }
    printf("{\"answered\":%llu,\"seconds\":%.3f}\n", (unsigned long long)answered,
           (double)(clock_ns(CLOCK_MONOTONIC) - begun) / 1e9);
}

int main(int argc, char **argv)
{
    must(crypto_start() == E_OK, "crypto");
    if (argc == 2 && strcmp(argv[1], "primitives") == 0) {
        primitives();
    } else if (argc == 2 && strcmp(argv[1], "echo") == 0) {
        echo();
    } else if (argc == 4 && strcmp(argv[1], "blast") == 0) {
        blast((uint16_t)atoi(argv[2]), strtoul(argv[3], NULL, 10));
    } else {
        fprintf(stderr, "usage: limits primitives | echo | blast PORT SECONDS\n");
        return 2;
    }
    return 0;
}
