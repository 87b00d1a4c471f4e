/* A line of a scenario: its words, and words into values. */
#include "words.h"

#include <base/clock.h>
#include <sim/sim.h>

bool wrong(struct line *l, const char *wanted)
{
    l->fault = wanted;
    return false;
}

/* Digits, at most three after a point, and what follows: value in thousandths. */
static bool number(const char *word, uint64_t *ret_thousandths, const char **ret_rest)
{
    uint64_t x = 0;
    unsigned decimals = 0;
    bool point = false, digits = false;

    for (; (*word >= '0' && *word <= '9') || (*word == '.' && !point); word++) {
        if (*word == '.') {
            point = true;
            continue;
        }
        if (x > UINT64_MAX / 20000 || decimals == 3) {
            return false;
        }
        x = x * 10 + (uint64_t)(*word - '0');
        decimals += point;
        digits = true;
    }
    for (; decimals < 3; decimals++) {
        x *= 10;
    }
    *ret_thousandths = x;
    *ret_rest = word;
    return digits;
}

struct unit {
    const char *name;
    uint64_t per_thousandth;
};

static bool with_unit(const char *word, const struct unit *units, size_t n, uint64_t *ret)
{
    const char *rest;
    uint64_t x;

    if (!number(word, &x, &rest)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rest, units[i].name) == 0 && x <= UINT64_MAX / units[i].per_thousandth) {
            *ret = x * units[i].per_thousandth;
            return true;
        }
    }
    return false;
}

bool take_time(struct line *l, size_t at, uint64_t *ret)
{
    static const struct unit units[] = {
        {"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {"h", 3600000000}};

    return (at < l->n && with_unit(l->words[at], units, ARRAY_LEN(units), ret)) ||
           wrong(l, "a time: 20ms, 1.5s, 10min, 2h");
}

bool take_ppm(struct line *l, size_t at, uint64_t *ret)
{
    static const struct unit units[] = {{"%", 10}};

    return (at < l->n && with_unit(l->words[at], units, 1, ret) && *ret <= 1000000) ||
           wrong(l, "a share: 0.5%");
}

bool take_rate(struct line *l, size_t at, uint64_t *ret)
{
    static const struct unit units[] = {{"kbit", 1}, {"mbit", 1000}, {"gbit", 1000000}};

    return (at < l->n && with_unit(l->words[at], units, ARRAY_LEN(units), ret) && *ret > 0) ||
           wrong(l, "a rate: 500kbit, 50mbit, 1gbit");
}

bool take_count(struct line *l, size_t at, uint64_t max, uint64_t *ret)
{
    const char *rest = "";
    uint64_t x = 0;

    if (at >= l->n || !number(l->words[at], &x, &rest) || *rest != 0 || x % 1000 != 0 ||
        x / 1000 > max) {
        return wrong(l, "a whole number in range");
    }
    *ret = x / 1000;
    return true;
}

/* "7" or "7-12". */
bool take_range(struct line *l, size_t at, uint32_t *ret_first, uint32_t *ret_last)
{
    static const char wanted[] = "a node or nodes: 7, 7-12";
    const char *rest = "";
    uint64_t first = 0, last;

    if (at >= l->n || !number(l->words[at], &first, &rest)) {
        return wrong(l, wanted);
    }
    last = first;
    if (*rest == '-' && !number(rest + 1, &last, &rest)) {
        return wrong(l, wanted);
    }
    if (*rest != 0 || first % 1000 != 0 || last % 1000 != 0 || last < first ||
        last / 1000 >= SIM_NODES_MAX) {
        return wrong(l, wanted);
    }
    *ret_first = (uint32_t)(first / 1000);
    *ret_last = (uint32_t)(last / 1000);
    return true;
}

/* ---- text ---- */

bool line_split(struct line *l, struct view text)
{
    size_t i = 0;

    *l = (struct line){.n = 0};
    while (i < text.n && text.p[i] != '#') {
        size_t n = 0;

        if (text.p[i] == ' ' || text.p[i] == '\t' || text.p[i] == '\r') {
            i++;
            continue;
        }
        if (l->n == WORDS_MAX) {
            return wrong(l, "fewer words");
        }
        for (; i < text.n && memchr(" \t\r#", text.p[i], 4) == NULL; i++) {
            if (n + 1 == WORD_MAX || text.p[i] <= ' ' || text.p[i] >= 0x7f) {
                return wrong(l, "shorter words of printable characters");
            }
            l->words[l->n][n++] = (char)text.p[i];
        }
        l->n++;
    }
    return true;
}
