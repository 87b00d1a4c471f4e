/* yamux's frame header. Spec: hashicorp/yamux spec.md "Framing" */
#ifndef PROTO_YAMUX_WIRE_H
#define PROTO_YAMUX_WIRE_H

#include <base/bytes.h>
#include <base/err.h>

#define YAMUX_HEADER 12u

enum yamux_type { YAMUX_DATA, YAMUX_WINDOW_UPDATE, YAMUX_PING, YAMUX_GO_AWAY };

enum { FLAG_SYN = 1, FLAG_ACK = 2, FLAG_FIN = 4, FLAG_RST = 8 };

struct yamux_frame {
    enum yamux_type type;
    uint16_t flags;
    uint32_t sid;
    uint32_t length; /* payload bytes, credit, ping value or reason, by type */
};

/* E_YAMUX_VERSION, _TYPE (also flags that do not fit the type), _STREAM_ID (0 where a stream is
 * meant, and the reverse). */
CHECKED enum err yamux_frame_read(const uint8_t b[static YAMUX_HEADER], struct yamux_frame *ret);
void yamux_frame_write(const struct yamux_frame *f, uint8_t out[static YAMUX_HEADER]);

#endif
