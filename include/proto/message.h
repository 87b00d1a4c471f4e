/*
 * Messages between programs: what a protocol of MODE 3 (docs/control.md) says on its streams.
 *
 * Spec     ours: docs/protocols/message.md
 * In       stream bytes gathered by the caller: message_split(), then message_decode()
 * Out      message_frame(), message_encode(): one blob a message
 * Memory   none: decoded fields are views of the frame
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include <base/blob.h>
#include <base/err.h>

#define MESSAGE_HEAD_MAX                                                     \
    21u /* kind, type and number: what a message's frame has before its data \
         */

enum message_kind {
    MESSAGE_TELL,   /* one way */
    MESSAGE_ASK,    /* an answer with this number is wanted */
    MESSAGE_ANSWER, /* type: 0, or the code of the refusal */
    MESSAGE_KINDS
};

struct message {
    enum message_kind kind;
    uint64_t type;   /* the application's */
    uint64_t number; /* of an ask and its answer, chosen by who asks; a tell has none */
    struct view data;
};

/* The first whole frame of `in`, without its length; `in` is moved on. E_MORE; E_VARINT, E_TOO_LONG
 * (over `max`): do not go on reading. */
CHECKED enum err message_split(struct view *in, size_t max, struct view *ret_frame);
/* E_MESSAGE */
CHECKED enum err message_decode(struct view frame, struct message *ret);
struct blob *message_frame(struct view data); /* any bytes behind their length */
struct blob *message_encode(const struct message *m);

#endif
