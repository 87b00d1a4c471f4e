/* What users decide about single peers: orders.c (what they ask), wishes.c (whom they want),
 * rules.c (what of it is on disk). Private to src/node. */
#ifndef NODE_WISHES_H
#define NODE_WISHES_H

#include <node/peer_events.h>
#include <node/peers.h>

/* What the store's table of peers holds beside histories: the key's first byte. On disk: never
 * renumber. */
enum rule_key { RULE_BAN = 'B', RULE_RANGE = 'R', RULE_WISH = 'W' };

#define RULE_KEY_MAX (1u + PEER_ID_MAX)

struct rule_ban {
    uint64_t since_s, until_s; /* Unix; until UINT64_MAX: until it is lifted */
    bool by_user;
    char text[BAN_TEXT_MAX]; /* the user's reason, or the name of an error */
};

struct rule {
    enum rule_key kind;
    struct peer_id id;
    struct addr_range range;
    struct rule_ban ban;
    struct node_wish wish;
};

/* orders.c */
/* A file's text; E_INVALID: the fault names the line. */
CHECKED enum err orders_check(struct view text, char fault[static NODE_FAULT_MAX]);
void orders_of_flags(struct node *n, struct now now);
/* After a change of n->peers.bans: what else follows it. */
void bans_changed(struct node *n);
/* This ban is over and out of the table; id->n 0: of a range. */
void bans_lifted(struct node *n, const struct peer_id *id, const struct addr_range *range,
                 enum peer_reason why, const char *text, struct now now);

/* rules.c: on disk. range NULL with a peer id. */
void rules_keep_ban(struct node *n, const struct ban *ban, struct now now);
void rules_keep_range(struct node *n, const struct addr_range *r, const struct ban_range *ban,
                      struct now now);
void rules_forget_ban(struct node *n, const struct peer_id *id, const struct addr_range *r);
void rules_keep_wish(struct node *n, const struct peer_id *id, const struct node_wish *wish);
CHECKED enum err rule_decode(struct view key, struct view value, struct rule *ret);
void rules_load(struct node *n, struct now now);

/* wishes.c */
void wishes_init(struct node *n);
void wishes_done(struct node *n);
const struct node_wish *wish_of(const struct node *n, const struct peer_id *id); /* or NULL */
/* Also the bits of `more`; `text` is kept where it has an address. E_LIMIT. */
CHECKED enum err wishes_add(struct node *n, const struct peer_id *id, const struct node_who *who,
                            struct view text, const struct node_wish *more, struct now now);
/* By the user: of trust alone, or of all, and goodbye. E_NOT_FOUND. */
CHECKED enum err wishes_remove(struct node *n, const struct peer_id *id, bool trust,
                               struct now now);
/* It stands for a peer to be kept. False: the user has removed that one, or the table is full. */
bool wish_keep(struct node *n, const struct peer_id *id, enum node_by by);
void wishes_of_file(struct node *n, bool begin, struct now now); /* before and after reading it */

#endif
