/*
 * names: a multiaddr that has a name becomes addresses to dial.
 *
 * Spec     multiformats/multiaddr protocols/DNSADDR.md; libp2p/specs addressing/README.md
 * In       names_start(); PORT_NAMES events of the port: names_on_port()
 * Out      names_next(): one event for each task, also for one that found nothing
 * Memory   per task at most NAMES_LOOKUPS_MAX lookups and NAMES_FOUND_MAX addresses
 *
 * dns, dns4, dns6 give the addresses of that name, with the rest of the multiaddr kept. dnsaddr
 * gives multiaddrs by TXT records, which may be names again; where the dnsaddr ends with /p2p, only
 * those of that peer count. A multiaddr with an IP is its own answer.
 */
#ifndef NET_NAMES_H
#define NET_NAMES_H

#include <codec/multiaddr.h>
#include <io/port.h>

#define NAMES_FOUND_MAX   32u /* bootstrap.libp2p.io, the largest dnsaddr known, has about 20 */
#define NAMES_LOOKUPS_MAX 32u /* of one task, all levels of dnsaddr together */
#define NAMES_DEPTH_MAX   4u  /* levels of dnsaddr, so that a loop ends; in use: two */
#define NAMES_AT_ONCE     8u  /* lookups under way, of all tasks */
#define NAMES_ERROR_MAX   352u

struct names;

struct names_event {
    uint64_t task;
    const struct multiaddr_parts *found; /* with an IP, no name; gone with the next call */
    size_t n_found;
    enum err error;             /* E_OK unless nothing was found */
    char text[NAMES_ERROR_MAX]; /* which name, and why */
};

struct names *names_new(struct port *port);
void names_free(struct names *n); /* accepts NULL */
/* Tasks are numbered from 1; E_ADDRESS: neither an IP nor a name in it. */
CHECKED enum err names_start(struct names *n, const struct multiaddr_parts *of, uint64_t *ret_task);
/* False: the event is not an answer to a lookup of ours. */
bool names_on_port(struct names *n, const struct port_event *ev);
bool names_next(struct names *n, struct names_event *ret);

#endif
