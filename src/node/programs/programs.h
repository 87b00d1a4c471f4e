/*
 * Verdicts on gossip, and the programs that give them: the parts of validate.c (who decides what is
 * forwarded), control.c (programs' frames), control_do.c and control_ask.c (what they have done).
 */
#ifndef NODE_PROGRAMS_H
#define NODE_PROGRAMS_H

#include <base/map.h>
#include <eth/check.h>
#include <net/pubsub.h>
#include <node/control.h>
#include <node/peers.h>
#include <node/witness.h>

/* A first arrival that the stateless checks let pass. */
struct arrival {
    const struct topic *topic; /* NULL: a program's */
    const struct own_topic *own;
    struct view author; /* of a signed one; borrowed for the call */
    uint32_t number;    /* the topic's */
    conn_id conn;       /* who brought it */
    uint64_t message;
    uint8_t id[GOSSIP_ID_MAX];
    struct blob *data; /* SSZ; borrowed */
    struct now came;
    size_t raw_size; /* as it came, compressed */
    const char *why; /* the verdict */
};

struct undecided_queue {
    struct undecided *first, *last;
};

struct validation {
    struct map by_message; /* handle -> struct undecided * */
    struct map shares;     /* address group -> struct share * */
    struct map blocks;     /* root -> struct undecided * */
    struct undecided_queue external, quorum;
    size_t bytes;
};

#define CONTROL_REQUESTS_MAX 32u /* of one program at once */

struct control_request { /* of a program, under way */
    uint64_t ask;        /* 0: free */
    uint32_t tag;
    struct peer_id peer; /* n 0: any */
    bool own;            /* in a protocol of the program's: `ask` is the host's number */
};

struct control {
    struct client *clients[CONTROL_CLIENTS_MAX];
    struct control_request requests[CONTROL_CLIENTS_MAX][CONTROL_REQUESTS_MAX];
    struct control_sink *sink;
};

/* validate.c: verdicts */
enum verdict_how {
    VERDICT_STRUCTURAL,
    VERDICT_OBSERVED,
    VERDICT_ACCEPTED,
    VERDICT_IGNORED,
    VERDICT_REJECTED,
    VERDICT_QUORUM,
    VERDICT_NO_QUORUM,
    VERDICT_PUSHED_OUT, /* more waited than is kept */
    VERDICT_OUTDATED,   /* when it was decided the checks would not pass it any more */
    VERDICT_LATE,       /* a program's, after the fallback had decided */
    VERDICT_FALLBACK,   /* no program decided; the way it ended is counted too */
    VERDICT_HOW_COUNT
};

void validate_init(struct node *n);
void validate_done(struct node *n);
/* A verdict is due: now, or when somebody gives it. */
void validate_begin(struct node *n, const struct arrival *a, struct now now);
/* The same of a program's topic: who judges it decides, or nobody. */
void validate_own(struct node *n, const struct arrival *a, struct now now);
/* One more peer has the message; 0: not one that waits. */
void validate_vouch(struct node *n, uint64_t message, conn_id c, struct now now);
void validate_judge(struct node *n, uint32_t client, const struct control_judgement *j,
                    struct now now);
void validate_client_gone(struct node *n, uint32_t client, struct now now);
void validate_forget_topic(struct node *n, uint32_t topic);
void validate_tick(struct node *n, struct now now);
uint64_t validate_deadline(const struct node *n);
/* chain_known(), or it waits for its verdict. */
bool validate_known_block(void *self, const uint8_t root[static 32], struct check_block *ret);

/* control.c: programs */
void control_done(struct node *n);
void control_turn(struct node *n, struct now now);
/* Give the message to all who watch its topic. `ask`: one is asked for a verdict, and that one is
 * returned; CONTROL_NONE: nobody answers in time. */
uint32_t control_tell(struct node *n, const struct arrival *a, bool ask, struct now now);
bool control_judges(const struct node *n, uint32_t topic);
/* A frame that the program may do without: false when its queue is too full for it. */
bool control_put(struct node *n, uint32_t client, const struct control_frame *f);
void control_answer(struct node *n, uint32_t client, uint32_t tag, enum err e); /* RESULT */
void control_say(struct node *n, uint32_t client, uint32_t tag, enum control_code code,
                 const char *text); /* the same in its own words */
/* One that it must get: a program that does not read so many is closed. */
void control_send(struct node *n, uint32_t client, const struct control_frame *f);
bool control_has_room(const struct node *n, uint32_t client); /* half of its queue is free */
/* control_do.c */
enum control_code control_code_of(enum err e);
CHECKED enum err control_find_topic(const struct node *n, struct view name, struct topic *ret);
enum control_code control_publish(struct node *n, const struct control_frame *f, struct now now,
                                  const char **ret_why); /* NULL: nothing to say */
CHECKED enum err control_join(struct node *n, uint32_t client, const struct control_frame *f,
                              struct now now);
enum control_code control_order(struct node *n, const struct control_frame *f, struct now now,
                                char fault[static NODE_FAULT_MAX]);
/* control_ask.c: requests that programs make of peers */
void request_begin(struct node *n, uint32_t client, const struct control_frame *f, struct now now);
void request_cancel(struct node *n, uint32_t client, uint32_t tag, struct now now);
/* An event of a request in a program's own protocol. */
void requests_on_rpc(struct node *n, const struct rpc_event *ev, struct now now);
void requests_drop(struct node *n, uint32_t client, struct now now); /* all; nothing is told */
/* A topic is new at this number: who wants its messages? */
void control_match(struct node *n, uint32_t topic);
/* It let a message wait in vain that it was given then. */
void control_missed(struct node *n, uint32_t client, uint64_t since_ns);

/* ---- witness.c: what the node is told beside its port ---- */
void node_told(struct node *n, enum node_command kind, uint64_t a, uint64_t b, struct view bytes,
               struct now now);
void node_told_submit(struct node *n, const struct topic *t, struct view ssz, struct now now);
void node_told_order(struct node *n, const struct node_order *o, struct view who, struct now now);

#endif
