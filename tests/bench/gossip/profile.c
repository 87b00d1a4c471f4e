#include "profile.h"

#include <stdio.h>
#include <string.h>

static bool row_read(const char *line, struct profile_row *r)
{
    return sscanf(line, "%63s %u %u %u %u %u %u %u %u", r->name, &r->subnets, &r->messages,
                  &r->bytes, &r->copies, &r->peers, &r->from_ms, &r->to_ms, &r->spread_ms) == 9 &&
           r->subnets != 0 && r->from_ms < r->to_ms && r->bytes >= 16 && r->copies <= r->peers;
}

static void add_topics(struct profile *p, const struct profile_row *r)
{
    p->first_topic[p->n_rows] = (unsigned)p->n_topics;
    for (unsigned i = 0; i < r->subnets && p->n_topics < PROFILE_TOPICS; i++) {
        char *name = p->names[p->n_topics];

        p->row_of[p->n_topics++] = (unsigned)p->n_rows;
        if (r->subnets == 1) {
            snprintf(name, PROFILE_NAME, "/eth2/8c9f62fe/%s/ssz_snappy", r->name);
        } else {
            snprintf(name, PROFILE_NAME, "/eth2/8c9f62fe/%s_%u/ssz_snappy", r->name, i);
        }
    }
}

bool profile_read(const char *path, struct profile *ret)
{
    FILE *f = fopen(path, "r");
    char line[256];

    *ret = (struct profile){.n_rows = 0};
    if (f == NULL) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        struct profile_row *r = &ret->rows[ret->n_rows];

        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        if (ret->n_rows == PROFILE_ROWS || !row_read(line, r)) {
            fprintf(stderr, "%s: not a row: %s", path, line);
            fclose(f);
            return false;
        }
        add_topics(ret, r);
        ret->n_rows++;
    }
    fclose(f);
    return true;
}

bool profile_subscribed(const struct profile *p, unsigned topic, unsigned peer, unsigned n)
{
    unsigned want = p->rows[p->row_of[topic]].peers;

    if (want > n) {
        want = n;
    }
    /* A run of neighbours that begins elsewhere for each topic: every peer gets its share. */
    return (peer + n - topic * 37 % n) % n < want;
}
