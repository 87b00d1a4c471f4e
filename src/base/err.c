#include <base/err.h>

const struct err_row err_table[ERR_COUNT] = {
#define E(name, fault, unit, penalty, text) [name] = {#name, text, fault, unit, penalty},
#include <base/err.def>
#undef E
};

const char *err_text(enum err e)
{
    return (unsigned)e < ERR_COUNT ? err_table[e].text : "unknown error";
}
