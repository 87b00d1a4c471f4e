/*
 * A file of settings: one YAML document, a mapping of names to scalars or to lists of scalars.
 * Nothing deeper, no anchors, aliases or tags: a setting is a word with its values.
 *
 * In       the whole file
 * Memory   FLAT_YAML_ENTRIES_MAX entries of the file's bytes
 */
#ifndef CODEC_FLAT_YAML_H
#define CODEC_FLAT_YAML_H

#include <base/bytes.h>
#include <base/err.h>

#define FLAT_YAML_BYTES_MAX   (256 * KIB) /* a hundred settings, and lists of a few hundred ENRs */
#define FLAT_YAML_ENTRIES_MAX 4096u
#define FLAT_YAML_FAULT_MAX   160u

struct flat_yaml_entry {
    char *key, *value; /* owned */
    unsigned line;     /* of the value, from 1 */
    bool listed;       /* one entry for each item of a list; value NULL: the list is empty */
};

struct flat_yaml {
    struct flat_yaml_entry *entries; /* in the file's order */
    size_t n;
};

/* E_CONFIG with what is wrong in `fault`: "line 3: ..."; *ret is then empty. A key given twice is
 * such a fault. Free with flat_yaml_done(). */
CHECKED enum err flat_yaml_parse(struct view text, struct flat_yaml *ret,
                                 char fault[static FLAT_YAML_FAULT_MAX]);
void flat_yaml_done(struct flat_yaml *f);

#endif
