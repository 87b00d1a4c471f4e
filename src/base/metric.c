#include <assert.h>
#include <base/mem.h>
#include <base/metric.h>
#include <inttypes.h>
#include <stdio.h>

#define LINE_MAX_BYTES 512u /* one line of the text format: our own names and short labels */

const struct metric_row metric_table[METRIC_COUNT] = {
#define M(id, kind, name, label, n_labels, help) [id] = {name, label, help, kind, n_labels},
#include <base/metric.def>
#undef M
};

struct metrics {
    uint32_t first[METRIC_COUNT]; /* where a row's values begin */
    uint64_t values[];
};

struct metrics *metrics_new(void)
{
    uint32_t total = 0;

    for (size_t i = 0; i < METRIC_COUNT; i++) {
        total += metric_table[i].n_labels;
    }
    struct metrics *ms = mem_zalloc(sizeof *ms + total * sizeof ms->values[0]);

    total = 0;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        ms->first[i] = total;
        total += metric_table[i].n_labels;
    }
    return ms;
}

void metrics_free(struct metrics *ms)
{
    mem_free(ms);
}

static uint32_t place(const struct metrics *ms, enum metric m, unsigned index)
{
    assert(index < metric_table[m].n_labels);
    return ms->first[m] + index;
}

void metric_add(struct metrics *ms, enum metric m, unsigned index, uint64_t by)
{
    if (ms != NULL) {
        ms->values[place(ms, m, index)] += by;
    }
}

void metric_set(struct metrics *ms, enum metric m, unsigned index, uint64_t to)
{
    if (ms != NULL) {
        ms->values[place(ms, m, index)] = to;
    }
}

uint64_t metric_get(const struct metrics *ms, enum metric m, unsigned index)
{
    return ms == NULL ? 0 : ms->values[place(ms, m, index)];
}

static enum err print_series(const struct metric_row *row, const char *text, uint64_t value,
                             struct buf *out)
{
    char line[LINE_MAX_BYTES];
    int n;

    if (row->label == NULL) {
        n = snprintf(line, sizeof line, "%s %" PRIu64 "\n", row->name, value);
    } else {
        n = snprintf(line, sizeof line, "%s{%s=\"%s\"} %" PRIu64 "\n", row->name, row->label, text,
                     value);
    }
    if (n < 0 || (size_t)n >= sizeof line) {
        return E_RANGE;
    }
    return buf_append(out, line, (size_t)n);
}

static enum err print_row(const struct metrics *ms, enum metric m, metric_label *label, void *self,
                          struct buf *out)
{
    const struct metric_row *row = &metric_table[m];
    char line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help,
                     row->name, row->kind == METRIC_COUNTER ? "counter" : "gauge");

    if (n < 0 || (size_t)n >= sizeof line) {
        return E_RANGE;
    }
    TRY(buf_append(out, line, (size_t)n));
    for (unsigned i = 0; i < row->n_labels; i++) {
        uint64_t value = metric_get(ms, m, i);
        const char *text = row->label == NULL || label == NULL ? NULL : label(self, m, i);

        if (row->label == NULL || (text != NULL && value != 0)) {
            TRY(print_series(row, text, value, out));
        }
    }
    return E_OK;
}

enum err metrics_print(const struct metrics *ms, metric_label *label, void *self, struct buf *out)
{
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        TRY(print_row(ms, (enum metric)m, label, self, out));
    }
    return E_OK;
}
