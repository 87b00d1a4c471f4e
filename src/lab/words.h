/* Private to src/lab: the words of a scenario's line, and their values. */
#ifndef SRC_LAB_WORDS_H
#define SRC_LAB_WORDS_H

#include <base/bytes.h>

#define WORDS_MAX 8u /* of a line */
#define WORD_MAX  32u

struct line {
    char words[WORDS_MAX][WORD_MAX];
    size_t n;
    const char *fault; /* what is wanted, once something was wrong */
};

/* Words up to the end or a comment. */
bool line_split(struct line *l, struct view text);
/* Always false. */
bool wrong(struct line *l, const char *wanted);

/* The word at `at` as a value; false: fault is set. */
bool take_time(struct line *l, size_t at, uint64_t *ret);
bool take_ppm(struct line *l, size_t at, uint64_t *ret);
bool take_rate(struct line *l, size_t at, uint64_t *ret);
bool take_count(struct line *l, size_t at, uint64_t max, uint64_t *ret);
/* "7" or "7-12". */
bool take_range(struct line *l, size_t at, uint32_t *ret_first, uint32_t *ret_last);

#endif
