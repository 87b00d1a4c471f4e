#include <eth/fork.h>

static const char *const fork_names[FORK_COUNT] = {
#define FORK(id, name) [id] = name,
#include <eth/fork.def>
#undef FORK
};

static const char *const preset_names[PRESET_COUNT] = {
    [PRESET_MAINNET] = "mainnet",
    [PRESET_MINIMAL] = "minimal",
};

static const uint64_t numbers[PRESET_COUNT][PRESET_NUMBER_COUNT] = {
#define PRESET(name, mainnet, minimal) [PRESET_NUMBER_##name] = UINT64_C(mainnet),
    [PRESET_MAINNET] =
        {
#include <eth/preset.def>
        },
#undef PRESET
#define PRESET(name, mainnet, minimal) [PRESET_NUMBER_##name] = UINT64_C(minimal),
    [PRESET_MINIMAL] =
        {
#include <eth/preset.def>
        },
#undef PRESET
};

static bool by_name(const char *const *names, unsigned n, struct view name, unsigned *ret)
{
    for (unsigned i = 0; i < n; i++) {
        if (view_eq(view_str(names[i]), name)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

const char *fork_name(enum fork f)
{
    return fork_names[f];
}

bool fork_by_name(struct view name, enum fork *ret)
{
    unsigned i;

    if (!by_name(fork_names, FORK_COUNT, name, &i)) {
        return false;
    }
    *ret = (enum fork)i;
    return true;
}

const char *preset_name(enum preset p)
{
    return preset_names[p];
}

bool preset_by_name(struct view name, enum preset *ret)
{
    unsigned i;

    if (!by_name(preset_names, PRESET_COUNT, name, &i)) {
        return false;
    }
    *ret = (enum preset)i;
    return true;
}

uint64_t preset_number(enum preset p, enum preset_number x)
{
    return numbers[p][x];
}

const uint64_t *preset_numbers(enum preset p)
{
    return numbers[p];
}
