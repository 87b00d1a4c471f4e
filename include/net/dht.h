/*
 * Kademlia on a host: the engine's requests on streams, dialling whom it wants asked, and what
 * identify says into its table.
 *
 * Spec     libp2p/specs kad-dht/README.md "RPC messages"
 * In       the host's events: dht_on_host(); time: dht_tick()
 * Out      dht_next()
 * Memory   the engine's; per request in flight its message; per inbound stream one message, charged
 *          to its connection
 */
#ifndef NET_DHT_H
#define NET_DHT_H

#include <net/host.h>
#include <proto/kad.h>

#define DHT_DIALS_MAX    16u  /* under way at once, of a host that does nothing else */
#define DHT_PROTOCOL_MAX 128u /* bytes of a protocol id; multistream allows no more of use */

/* Dials whom lookups ask: whoever chooses peers counts these dials too, and knows what for. */
struct dht_dialler {
    /* As host_dial_any(), or a dial of that peer that is under way. E_LIMIT: not now. */
    enum err (*dial)(struct dht_dialler *self, const struct peer_id *id, const struct host_addr *to,
                     size_t n, struct now now, conn_id *ret);
};

struct dht_config {
    const char *protocol; /* KAD_ID, or a network's own; copied */
    struct kad_config kad;
    struct dht_dialler *dialler; /* NULL: the host itself */
    unsigned dials_max;          /* 0: DHT_DIALS_MAX */
};

struct dht;

struct dht *dht_new(struct host *h, const struct dht_config *cfg, struct rng *rng, struct now now);
void dht_free(struct dht *d); /* accepts NULL; before host_free() */
void dht_on_host(struct dht *d, const struct host_event *ev, struct now now);
/* What identify tells of us. */
void dht_set_addrs(struct dht *d, const struct multiaddr *addrs, size_t n);
/* Begin with kad_begin(); a dht_tick() must follow. */
struct kad *dht_engine(const struct dht *d);
bool dht_next(struct dht *d, struct kad_event *ret, struct now now);
uint64_t dht_deadline(const struct dht *d);
void dht_tick(struct dht *d, struct now now);

#endif
