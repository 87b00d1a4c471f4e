/* Joins a network and prints each block that gossip brings. Everything after the program's name is a flag of
 * `beacon-p2pd run`:
 *
 *     cc -o blocks blocks.c $(pkg-config --cflags --libs p2pd)
 *     ./blocks --testnet-dir DIR --boot-nodes ENR --datadir DIR
 *
 * The daemon of ours runs as long as the program does. */
#include <p2pd/p2pd.h>
#include <stdio.h>

/* SignedBeaconBlock: offset of the message, signature; then slot and proposer_index. */
static unsigned long long u64_at(struct p2pd_bytes v, size_t at)
{
    unsigned long long x = 0;

    for (size_t i = 8; i-- > 0 && at + 8 <= v.n;) {
        x = x << 8 | v.p[at + i];
    }
    return x;
}

int main(int argc, char **argv)
{
    char peer[P2PD_PEER_TEXT_MAX];
    struct p2pd_event ev;
    struct p2pd *p;
    int e = p2pd_start(&p, NULL, (const char *const *)(argv + (argc > 0)), "blocks");

    if (e == P2PD_OK) {
        e = p2pd_subscribe(p, P2PD_WATCH, "beacon_block");
    }
    while (e > 0 && (e = p2pd_wait(p, &ev, -1)) > 0) {
        if (ev.kind == P2PD_EV_MESSAGE) {
            printf("slot %llu, proposer %llu, %zu bytes from %s\n", u64_at(ev.data, 100),
                   u64_at(ev.data, 108), ev.data.n, p2pd_peer_text(ev.peer, peer));
            fflush(stdout);
        }
    }
    fprintf(stderr, "blocks: %s\n", p2pd_error_text(e));
    p2pd_close(p);
    return 1;
}
