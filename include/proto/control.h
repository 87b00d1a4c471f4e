/*
 * The control protocol's frames: how a program on this host talks with the daemon. Bytes only; what
 * frames do is in node/control.h, to the byte in docs/control.md.
 *
 * In       bytes in any cut: control_split(), then control_decode()
 * Out      control_encode() into a buffer
 * Memory   none: decoded fields are views of the frame
 *
 * A frame is u32 size, u8 kind, fields; size counts kind and fields. Frames are rows of
 * control.def.
 */
#ifndef PROTO_CONTROL_H
#define PROTO_CONTROL_H

#include <base/buf.h>

#define CONTROL_VERSION 1u
/* MAX_PAYLOAD_SIZE of every known network; one that allows more has objects that fit no frame. */
#define CONTROL_DATA_MAX  (10 * MIB)
#define CONTROL_FRAME_MAX (CONTROL_DATA_MAX + 4 * KIB) /* without its size field: and names */
#define CONTROL_HEAD      4u                           /* bytes of the size field */
#define CONTROL_HASH      20u
#define CONTROL_CONTEXT   4u

enum control_kind {

#define F(id, number, from, ...) CONTROL_##id = (number),
#include <proto/control.def>
#undef F
};

/* What SUBSCRIBE asks for. */
enum control_mode { CONTROL_WATCH, CONTROL_JUDGE };

/* What SERVE makes of a protocol id. */
enum control_serve {
    CONTROL_CALLS,    /* requests in the encoding of the consensus specs: CALL, ANSWER */
    CONTROL_BYTES,    /* streams of bytes */
    CONTROL_FRAMES,   /* streams of messages, each behind its length (unsigned varint) */
    CONTROL_MESSAGES, /* the message protocol, proto/message.h: TELL, TOLD */
    CONTROL_SERVES
};

/* SEND and TELL: MODE is one of these; TELL adds CONTROL_ASKS when an answer is wanted. */
enum control_priority {
    CONTROL_FIRST,
    CONTROL_HIGH,
    CONTROL_NORMAL,
    CONTROL_LOW,
    CONTROL_PRIORITIES
};

#define CONTROL_ASKS 0x80u

/* What KAD wants; TEXT is the key, or of FIND a peer id. */
enum control_kad {
    CONTROL_KAD_FIND,
    CONTROL_KAD_GET,
    CONTROL_KAD_PUT,
    CONTROL_KAD_PROVIDE,
    CONTROL_KAD_PROVIDERS,
    CONTROL_KAD_UNPUT,
    CONTROL_KAD_UNPROVIDE,
    CONTROL_KAD_TABLE, /* all peers of the table, at once */
};

enum control_verdict { CONTROL_ACCEPT, CONTROL_IGNORE, CONTROL_REJECT, CONTROL_VERDICT_KINDS };

/* How RESULT answers, and why BYE is said. */
enum control_code {
    CONTROL_OK,
    CONTROL_MALFORMED, /* of no known kind, or its fields do not fit */
    CONTROL_TOPIC,     /* no such topic here */
    CONTROL_NOT_FOUND,
    CONTROL_REFUSED,  /* it breaks a rule: others would punish us */
    CONTROL_EXISTS,   /* seen before */
    CONTROL_LIMIT,    /* too many, or too large */
    CONTROL_VERSIONS, /* no version in common */
    CONTROL_NO_PEERS, /* published, and nobody takes it now */
    CONTROL_FAILED,   /* those who were asked gave no answer of use */
};

struct control_frame {
    enum control_kind kind;
    uint32_t tag;  /* the client's own, given back in RESULT */
    uint64_t id;   /* a message, for its verdict */
    uint64_t time; /* Unix ns; JOIN: a slot */
    uint64_t count;
    uint32_t wait;      /* ms */
    uint16_t low, high; /* versions */
    uint8_t mode;
    uint16_t code;
    uint8_t hash[CONTROL_HASH];
    uint8_t context[CONTROL_CONTEXT]; /* of a chunk: the fork digest of its object, or zeros */
    struct view peer, topic, text, data;
};

/* The first whole frame of `in`, without its size; `in` is moved on. E_MORE; E_TOO_LONG: do not go
 * on reading. */
CHECKED enum err control_split(struct view *in, struct view *ret_frame);
/* E_UNSUPPORTED: no such kind from this side; E_INVALID: fields do not fit. */
CHECKED enum err control_decode(struct view frame, bool from_client, struct control_frame *ret);
/* Append a frame, its size first. E_FULL: nothing was appended. Views that are too long are the
 * caller's fault. */
CHECKED enum err control_encode(const struct control_frame *f, struct buf *out);
/* The tag of a frame that does not decode, for the answer; 0 where there is none. */
uint32_t control_tag_of(struct view frame);

/* One entry of VERDICTS' data. */
struct control_judgement {
    uint64_t message;
    enum control_verdict verdict;
    int32_t score; /* thousandths, added to the rating of who delivered it */
};

#define CONTROL_JUDGEMENT_BYTES 13u

/* The next entry, `data` is moved on. E_MORE: that was all. E_INVALID: cut, or no such verdict. */
CHECKED enum err control_next_judgement(struct view *data, struct control_judgement *ret);
void control_put_judgement(const struct control_judgement *j,
                           uint8_t out[static CONTROL_JUDGEMENT_BYTES]);

#endif
