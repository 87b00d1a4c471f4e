/* What the library's files share: hidden in the shared one, and by their prefix in nobody's way in
 * the static one. */
#ifndef P2PD_CONN_H
#define P2PD_CONN_H

#include <p2pd/p2pd.h>
#include <stdbool.h>
#include <sys/types.h>

#define HEAD         4u                                  /* bytes of a frame's size */
#define FRAME_MAX    (P2PD_DATA_MAX + ((size_t)4 << 10)) /* without it */
#define VERDICT      13u                                 /* bytes of one in VERDICTS */
#define VERDICTS_MAX 1024u /* gathered before they are a frame of their own */

/* Kinds of our own frames: the daemon's are P2PD_*. */
enum kind {

#define CLIENT(id, number) KIND_##id = (number),
#define DAEMON(id, number)
#define F(id, number, from, ...) from(id, number)
#include <proto/control.def>
#undef F
#undef CLIENT
#undef DAEMON
};

struct bytes_queue { /* from `at` to `n` */
    uint8_t *p;
    size_t at, n, cap;
};

struct p2pd {
    int fd;
    uint32_t tag;
    bool over; /* BYE or the end of the stream was told */
    struct bytes_queue in, out;
    uint8_t verdicts[VERDICTS_MAX * VERDICT];
    size_t n_verdicts;
    struct p2pd_event welcome;
    uint8_t *welcome_frame; /* what it borrows from */
    pid_t child;            /* of p2pd_start(); 0: none */
    char *dir;              /* its socket's */
};

/* wire.c: frames by the table that the daemon has too. */
size_t p2pdi_wire_size(int kind,
                       const struct p2pd_event *f); /* with its head; 0: it does not fit */
void p2pdi_wire_put(int kind, const struct p2pd_event *f, uint8_t *out);
/* A frame of the daemon's, without its head. 1; 0: of a kind that is not known; P2PD_PROTOCOL. */
int p2pdi_wire_get(struct p2pd_bytes frame, struct p2pd_event *ret);

/* p2pd.c */
int p2pdi_conn_put(struct p2pd *p, int kind, const struct p2pd_event *f);
int p2pdi_conn_greet(struct p2pd *p, const char *name, int ms); /* HELLO, and its WELCOME */
int p2pdi_conn_dial(struct p2pd *p, const char *path);
struct p2pd *p2pdi_conn_new(void);

#endif
