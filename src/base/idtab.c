#include <assert.h>
#include <base/idtab.h>
#include <base/mem.h>
#include <stddef.h>
#include <string.h>

#define ROWS_FIRST 4u

void idtab_done(struct idtab *t)
{
    mem_free(t->rows);
    *t = (struct idtab){0};
}

/* The first row whose id is not below `id`. */
static uint32_t lower_bound(const struct idtab *t, uint64_t id)
{
    uint32_t low = 0, high = t->n;

    if (t->n == 0 || t->rows[t->n - 1].id < id) {
        return t->n;
    }
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (t->rows[mid].id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

void *idtab_get(const struct idtab *t, uint64_t id)
{
    uint32_t i = lower_bound(t, id);

    return i < t->n && t->rows[i].id == id ? t->rows[i].p : NULL;
}

void idtab_put(struct idtab *t, uint64_t id, void *p)
{
    uint32_t i = lower_bound(t, id);

    assert(i == t->n || t->rows[i].id != id);
    if (t->n == t->cap) {
        t->cap = t->cap == 0 ? ROWS_FIRST : 2 * t->cap;
        t->rows = mem_realloc(t->rows, t->cap * sizeof *t->rows);
    }
    memmove(t->rows + i + 1, t->rows + i, (t->n - i) * sizeof *t->rows);
    t->rows[i] = (struct idtab_row){id, p};
    t->n++;
}

void idtab_remove(struct idtab *t, uint64_t id)
{
    uint32_t i = lower_bound(t, id);

    assert(i < t->n && t->rows[i].id == id);
    t->n--;
    memmove(t->rows + i, t->rows + i + 1, (t->n - i) * sizeof *t->rows);
}
