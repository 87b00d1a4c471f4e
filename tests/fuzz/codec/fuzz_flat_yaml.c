/* Any text as a file of settings: read, or refused by a line; what is read has keys, keeps a list's
 * items together, and has no key twice. */
#include <assert.h>
#include <codec/flat_yaml.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char fault[FLAT_YAML_FAULT_MAX];
    struct flat_yaml f;

    if (flat_yaml_parse(view_of(p, n), &f, fault) != E_OK) {
        assert(f.n == 0 && strncmp(fault, "line ", 5) == 0);
        return 0;
    }
    for (size_t i = 0; i < f.n; i++) {
        const struct flat_yaml_entry *e = &f.entries[i];

        assert(e->key != NULL && (e->value != NULL || e->listed) && e->line > 0);
        for (size_t k = i + 1; k < f.n; k++) {
            if (strcmp(e->key, f.entries[k].key) == 0) { /* the items of one list, in a row */
                assert(e->listed && f.entries[k].listed && e->value != NULL);
                assert(strcmp(f.entries[k - 1].key, e->key) == 0);
            }
        }
    }
    flat_yaml_done(&f);
    return 0;
}
