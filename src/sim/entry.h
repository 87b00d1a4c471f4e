/* Private to src/sim: a recording's entries. Integers are little-endian. */
#ifndef SRC_SIM_ENTRY_H
#define SRC_SIM_ENTRY_H

#include <base/bytes.h>
#include <base/hash.h>
#include <io/port.h>

#define RECORD_MAGIC "p2pd-rec 2\n"

enum entry_kind {
    ENTRY_EVENT = 'E',
    ENTRY_DIAL = 'D',
    ENTRY_WRITE = 'W',
    ENTRY_PAUSE = 'P',
    ENTRY_CLOSE = 'C',
    ENTRY_SEND = 'S',
    ENTRY_ARM = 'A',
    ENTRY_WORK = 'J',
    ENTRY_RESOLVE = 'R',
    ENTRY_ACCEPT_PAUSE = 'Q',
    ENTRY_DONE = 'X',
    ENTRY_RANDOM = 'G',
    ENTRY_COMMAND = 'N', /* from beside the port: of a program, of the API */
};

/* A call's entry is: kind, where (connection, deadline, a flag...), a hash of its other arguments,
 * the answer's error and number. An event's and random bytes' have their own shape. */
struct call {
    enum entry_kind kind;
    uint64_t where, what;
    uint64_t answer;
    enum err error;
};

#define CALL_BYTES 26u /* kind, where, what, error, answer: 1 + 8 + 8 + 1 + 8 */

/* The hash under which calls' arguments are compared. */
static inline uint64_t record_hash(uint64_t before, struct view v)
{
    struct hash_key key = {before, 0x7265636f7264};

    return hash_bytes(&key, v);
}

static inline uint64_t record_addr(const struct addr *a)
{
    uint8_t b[19] = {a->family, (uint8_t)(a->port >> 8), (uint8_t)a->port};

    memcpy(b + 3, a->ip, 16);
    return record_hash(0, view_of(b, sizeof b));
}

#endif
