/* A zone of TXT records, trees signed into it, and an engine that reads them: for tests and
 * fuzzing. */
#ifndef PLAY_ENRTREE_H
#define PLAY_ENRTREE_H

#include <proto/enrtree.h>

#define ZONE_MAX  512u
#define TEXT_MAX  700u
#define HASH_TEXT 27u /* base32 of 16 bytes, with its end */

struct zone {
    struct zone_record {
        char name[ENRTREE_NAME_MAX], text[TEXT_MAX];
    } records[ZONE_MAX];

    size_t n;
};

/* The entry's record below `domain`; its hash as text. */
void zone_put_entry(struct zone *z, const char *domain, const char *text,
                    char ret[static HASH_TEXT]);
void zone_put_root(struct zone *z, const char *domain, const struct ident *key, const char *records,
                   const char *links, uint64_t seq);
void zone_url(const struct ident *key, const char *domain, char ret[static TEXT_MAX]);
/* The TXT records of a name behind their lengths; false: no such name. */
bool zone_answer(const struct zone *z, const char *name, uint8_t *out, size_t cap, size_t *ret_n);

#endif
