/*
 * Signed peer records: an envelope whose payload is a PeerRecord.
 *
 * Spec: libp2p/specs RFC/0002-signed-envelopes.md, RFC/0003-routing-records.md
 */
#ifndef PROTO_IDENTIFY_RECORD_H
#define PROTO_IDENTIFY_RECORD_H

#include <base/bytes.h>
#include <proto/identify.h>

/* The envelope's signature, key, type and peer id are those of `peer`; *ret_record is the
 * PeerRecord inside. */
bool record_open(struct view envelope, const struct peer_id *peer, struct view *ret_record);
/* The next address of a PeerRecord; *ret_more false at its end. E_IDENTIFY. */
CHECKED enum err record_next(struct rd *record, struct view *ret, bool *ret_more);

#endif
