/*
 * Tables of test vectors: NAME.tsv with its .bin packs beside it, as /work/shared/vectors/README.md
 * describes them. "-" stands for empty.
 *
 *     struct table *t = table_open(P2PD_SHARED_DIR "/vectors/snappy/block.tsv");
 *     while (table_next(t)) {                     // t may be NULL: the file is not there
 *         struct view in = table_slice(t, NULL, NULL); // columns file, off, len
 *         ... table_text(t, "type"), table_u64(t, "valid"), table_hex(t, "root") ...
 *     }
 *     table_close(t);
 *
 * A column or a slice that is not there ends the test with the table's path and line. Texts,
 * slices and hex bytes are the table's and live until the next table_next().
 */
#ifndef TESTS_LIB_VECTORS_H
#define TESTS_LIB_VECTORS_H

#include <base/blob.h>

struct table;

/* NULL when there is no such file. */
struct table *table_open(const char *path);
/* The first of "P2PD_SHARED_DIR/vectors/NAME" and "P2PD_SOURCE_DIR/tests/vectors/NAME" that is
 * there ("snappy/block.tsv"); prints which it is; ends the test when neither is. */
struct table *table_open_any(const char *name);
void table_close(struct table *t); /* accepts NULL */
bool table_next(struct table *t);  /* false at the end, and for NULL */

bool table_has(const struct table *t, const char *column);
bool table_empty(const struct table *t, const char *column); /* the value is "-" */
const char *table_text(const struct table *t, const char *column);
uint64_t table_u64(const struct table *t, const char *column); /* decimal; "-" gives 0 */
struct view table_hex(struct table *t, const char *column);
/* NULL: the columns file, off, len. Else the column "COLUMN_off:len" (or COLUMN, when that holds
 * OFF:LEN) in `pack`, a path beside the table: table_slice(t, "compressed", "data.bin").
 * The bytes are a copy on the heap of their own, so that ASan sees a read beyond them. */
struct view table_slice(struct table *t, const char *column, const char *pack);
unsigned long table_line(const struct table *t);
/* "block.tsv:12 suite/case": for a test's message. */
const char *table_where(const struct table *t);

#endif
