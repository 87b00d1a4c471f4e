#include <assert.h>
#include <base/budget.h>

void budget_init(struct budget *b, struct budget *parent, const char *name, size_t max)
{
    *b = (struct budget){.parent = parent, .name = name, .max = max};
}

static bool denied(struct budget *b)
{
    return b->deny_in != 0 && --b->deny_in == 0;
}

enum err budget_take(struct budget *b, size_t n)
{
    for (struct budget *i = b; i != NULL; i = i->parent) {
        if (n > i->max - i->used || denied(i)) {
            return E_BUDGET;
        }
    }
    for (struct budget *i = b; i != NULL; i = i->parent) {
        i->used += n;
        i->peak = i->used > i->peak ? i->used : i->peak;
    }
    return E_OK;
}

void budget_give(struct budget *b, size_t n)
{
    for (struct budget *i = b; i != NULL; i = i->parent) {
        assert(i->used >= n);
        i->used -= n;
    }
}

void budget_done(struct budget *b)
{
    budget_give(b, b->used);
}
