#include "play_map.h"

#include <base/map.h>
#include <stdlib.h>

#define MODEL_MAX 40u /* the map's maximum: small, so that scripts reach it */

struct model {
    uint8_t keys[MODEL_MAX];
    uint32_t values[MODEL_MAX];
    size_t n;
};

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static size_t model_find(const struct model *o, uint8_t k)
{
    size_t i = 0;

    while (i < o->n && o->keys[i] != k) {
        i++;
    }
    return i;
}

static void model_remove(struct model *o, size_t i)
{
    o->n--;
    memmove(&o->keys[i], &o->keys[i + 1], (o->n - i) * sizeof o->keys[0]);
    memmove(&o->values[i], &o->values[i + 1], (o->n - i) * sizeof o->values[0]);
}

static void play_put(struct map *m, struct model *o, uint8_t k, uint32_t value)
{
    size_t i = model_find(o, k);
    bool is_new = false;
    uint32_t *v = map_put(m, &k, &is_new);

    if (i == o->n && o->n == MODEL_MAX) {
        must(v == NULL);
        return;
    }
    must(v != NULL && is_new == (i == o->n) && *v == (is_new ? 0 : o->values[i]));
    *v = value;
    o->keys[i] = k;
    o->values[i] = value;
    o->n += is_new;
}

static void play_remove(struct map *m, struct model *o, uint8_t k)
{
    size_t i = model_find(o, k);

    must(map_remove(m, &k) == (i < o->n));
    if (i < o->n) {
        model_remove(o, i);
    }
}

static void compare(const struct map *m, const struct model *o)
{
    size_t i = 0;

    must(m->n == o->n);
    must((map_oldest(m) == NULL) == (o->n == 0));
    MAP_EACH(m, uint32_t, v) {
        must(i < o->n && *v == o->values[i]);
        must(*(const uint8_t *)map_key_of(m, v) == o->keys[i]);
        must(map_get(m, &o->keys[i]) == v);
        must(i != 0 || map_oldest(m) == v);
        i++;
    }
    must(i == o->n);
}

/* Two bytes an operation: what, and the key. */
void play_map(struct view script)
{
    struct model o = {.n = 0};
    struct rd r = rd_of(script);
    struct map m;

    map_init(&m, 1, sizeof(uint32_t), MODEL_MAX, (struct hash_key){3, 4});
    while (rd_left(&r) >= 2) {
        uint8_t op = rd_u8(&r);
        uint8_t k = rd_u8(&r) % 64;

        if (op == 0) {
            map_clear(&m);
            o.n = 0;
        } else if (op % 2 == 0) {
            play_put(&m, &o, k, op * UINT32_C(0x01010101));
        } else {
            play_remove(&m, &o, k);
        }
        must((map_get(&m, &k) == NULL) == (model_find(&o, k) == o.n));
        if (op % 16 == 0) {
            compare(&m, &o);
        }
    }
    compare(&m, &o);
    map_done(&m);
}
