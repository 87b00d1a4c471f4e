/* The containers of every fork, by name. Rows: eth/schema.def. */
#ifndef ETH_SCHEMA_H
#define ETH_SCHEMA_H

#include <eth/fork.h>
#include <ssz/ssz.h>

/* Resolve all rows, once at start before other threads; then everything is const and shared
 * between nodes. Later calls do nothing. */
void schema_start(void);
/* NULL when the fork has no such type. "SignedBeaconBlock", "Status", "DataColumnSidecar", ... */
const struct ssz_type *schema_type(enum preset preset, enum fork fork, const char *name);
/* Walk the names, each once: NULL at the end. */
const char *schema_name(size_t i);

#endif
