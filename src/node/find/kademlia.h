/* Private to src/node: Kademlia's use. */
#ifndef NODE_KADEMLIA_H
#define NODE_KADEMLIA_H

#include <net/dht.h>
#include <node/node.h>
#include <proto/control.h>

#define KAD_WISHES_MAX 32u /* of all programs: the engine has no more queries at once */

struct kad_wish {   /* of a program, under way */
    uint32_t query; /* 0: free */
    uint32_t client, tag, count;
};

struct kademlia {
    struct dht_dialler dialler;
    struct dht *dht;  /* NULL: off */
    uint64_t keep_ns; /* when its table is written next */
    struct kad_wish wishes[KAD_WISHES_MAX];
};

void kademlia_init(struct node *n, struct now now);
void kademlia_done(struct node *n);
void kademlia_pump(struct node *n, struct now now);
void kademlia_keep(struct node *n); /* its peers on disk, now */
void kademlia_tick(struct node *n, struct now now);
uint64_t kademlia_deadline(const struct node *n);
/* What a program wants of it; answered now or when it is known. */
void kademlia_ask(struct node *n, uint32_t client, const struct control_frame *f, struct now now);
void kademlia_drop(struct node *n, uint32_t client); /* it is gone */

#endif
