/*
 * Message ids of Ethereum's gossip, and opening a message.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "How is gossipsub message-id
 *          calculated?"; specs/altair/p2p-interface.md "Topics and messages"
 */
#ifndef ETH_MSGID_H
#define ETH_MSGID_H

#include <base/blob.h>
#include <eth/topic.h>

#define MSGID_SIZE 20u

/* valid: `data` is the decompressed message, else the raw field. The rule is the fork's. */
void msgid_compute(enum fork fork, struct view topic, struct view data, bool valid,
                   uint8_t ret[static MSGID_SIZE]);

/*
 * Shaped as gossip_open of proto/gossipsub.h. topic_user is a `const struct topic *` that outlives
 * its registration; self is not used. The declared length is checked against the type's bounds
 * before anything is allocated. ret_id is always written.
 * Errors, the sender's: E_SNAPPY, E_SNAPPY_LENGTH, E_TOO_LONG, E_SSZ_LENGTH (shorter than the type)
 */
CHECKED enum err msgid_open(void *self, void *topic_user, struct view topic, struct view data,
                            struct blob **ret_data, uint8_t ret_id[static MSGID_SIZE]);

#endif
