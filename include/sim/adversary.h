/*
 * Nodes that only harm, by bytes and connections: they speak no protocol. They attack the nodes of
 * a range of numbers, and come back when they are closed.
 *
 *   silent   holds connections open and says nothing, also on those it accepts
 *   garbage  opens with a true multistream header, then random bytes; random datagrams
 *   flood    dials as often as it can and holds all; datagrams of the largest size
 */
#ifndef SIM_ADVERSARY_H
#define SIM_ADVERSARY_H

#include <sim/sim.h>

enum adversary_kind { ADVERSARY_SILENT, ADVERSARY_GARBAGE, ADVERSARY_FLOOD, ADVERSARY_KINDS };

struct adversary;

/* A maker for nodes of that kind; targets are the `n_targets` nodes from 0 on. It goes with the
 * world: free it after sim_free(). */
struct adversary *adversary_new(struct sim *s, enum adversary_kind kind, uint32_t n_targets);
void adversary_free(struct adversary *a);
struct sim_maker *adversary_maker(struct adversary *a);

#endif
