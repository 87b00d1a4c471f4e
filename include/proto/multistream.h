/*
 * multistream-select 1.0.0: agree on a protocol at the start of a connection or stream.
 *
 * Spec     multiformats/multistream-select README.md; libp2p/specs connections/README.md
 * In       bytes in any cut: ms_feed(), which leaves what follows the agreement in *in
 * Out      appended to the buf given
 * Memory   one struct and at most MS_LINE_MAX gathered bytes
 */
#ifndef PROTO_MULTISTREAM_H
#define PROTO_MULTISTREAM_H

#include <base/buf.h>
#include <base/err.h>

#define MS_LINE_MAX      1024u /* longest message accepted; ids of our protocols are under 100 */
#define MS_PROPOSALS_MAX 64u   /* a dialler that proposes more is cut off */

struct ms {
    bool dialer, header_seen, done;
    bool curious; /* dialer, set after ms_dial(): ask ("ls") who refuses all for what it has */
    bool listed;  /* the list was asked for, or given */
    uint16_t gathered, next, proposals; /* next: the dialer's proposal under way */
    const struct view *protocols;       /* borrowed until done; exact ids */
    size_t n_protocols;
    uint8_t line[MS_LINE_MAX + 3];
    /* For people. Listener: the last proposal refused. Curious dialer: what the other has. */
    char refused[128];
};

/* Dialer: writes the header and the first proposal in one go; later ones follow a "na". */
CHECKED enum err ms_dial(struct ms *m, const struct view *protocols, size_t n, struct buf *out);
/* Listener: writes the header at once. */
CHECKED enum err ms_listen(struct ms *m, const struct view *protocols, size_t n, struct buf *out);
/* Take bytes; *ret_index is the protocol agreed upon, valid with E_OK. E_MORE: not yet.
 * E_MULTISTREAM: malformed. E_MULTISTREAM_NONE: nothing in common (dialer: all refused). */
CHECKED enum err ms_feed(struct ms *m, struct view *in, struct buf *out, size_t *ret_index);

#endif
