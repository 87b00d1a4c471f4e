/* After a sweep: dial the nodes that answered and hear from identify which client they are. */
#ifndef CLI_CRAWL_HELLO_H
#define CLI_CRAWL_HELLO_H

#include <io/port.h>
#include <proto/enr.h>

#define HELLO_TEXT_MAX 96u /* bytes of an agent string that are kept, end included */

struct hello;

struct hello_config {
    const struct ident *ident;
    unsigned per_s;     /* dials begun a second; 0: no limit */
    bool allow_private; /* else such addresses are not dialled */
};

struct hello *hello_new(const struct hello_config *cfg, struct port *port, struct rng *rng,
                        struct now now);
void hello_free(struct hello *h); /* accepts NULL */
/* Whether one more may be dialled now; when not, hello_deadline() says when to ask again. */
bool hello_may(struct hello *h, struct now now);
/* Dial it; its client goes to *agent once it is known: "" until then, and when it never is. `agent`
 * stays until the end. False: it has no address that may be dialled. */
bool hello_begin(struct hello *h, const struct enr *e, char agent[static HELLO_TEXT_MAX],
                 struct now now);
void hello_on_port(struct hello *h, const struct port_event *ev, struct now now);
void hello_turn(struct hello *h, struct now now); /* at the end of each turn of the loop */
uint64_t hello_deadline(const struct hello *h);
unsigned hello_active(const struct hello *h); /* dials and connections under way */

#endif
