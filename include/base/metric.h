/*
 * Counters and gauges, one row each in metric.def: M(id, kind, "prometheus_name", "label", "help").
 * A metric may have one label whose values are the indices of a names table given at print time.
 * Handed down from the node; a simulated node has its own.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <base/buf.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

enum metric {

#define M(id, kind, name, label, n_labels, help) id,
#include <base/metric.def>
#undef M
    METRIC_COUNT
};

struct metric_row {
    const char *name, *label, *help; /* label NULL: none */
    enum metric_kind kind;
    unsigned n_labels; /* values of the label; 1 when there is none */
};

extern const struct metric_row metric_table[METRIC_COUNT];

struct metrics;

/* Text of label value `index` of metric `m`; NULL leaves that series out. */
typedef const char *metric_label(void *self, enum metric m, unsigned index);

struct metrics *metrics_new(void);
void metrics_free(struct metrics *ms);
/* `index`: the label's value; 0 for metrics without one. All accept NULL metrics. */
void metric_add(struct metrics *ms, enum metric m, unsigned index, uint64_t by);
void metric_set(struct metrics *ms, enum metric m, unsigned index, uint64_t to);
uint64_t metric_get(const struct metrics *ms, enum metric m, unsigned index);
/* Prometheus text format; series that are still 0 with a label are left out. */
CHECKED enum err metrics_print(const struct metrics *ms, metric_label *label, void *self,
                               struct buf *out);

#endif
