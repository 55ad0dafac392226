/* metrics.h: counters, gauges and histograms, in Prometheus' text format.
 *
 *     METRIC_COUNTER(sends, "parley_edge_sends_total", "Messages accepted from clients.");
 *     METRIC_HISTOGRAM(ack_time, "parley_edge_ack_seconds", "From frame read to ack written.", 1e-6);
 *     METRIC_COUNTER(refused, "parley_edge_refused_total", "Frames refused.", "reason");
 *
 *     metric_add(&sends, 1);   metric_observe(&ack_time, took_us);
 *     metric_add(metric_with(&refused, "busy"), 1);      // or keep what metric_with() returns
 *
 * A metric is a static variable that registers itself when the program starts; it lives for ever. Changing a
 * value is one relaxed atomic operation, from any thread. Names follow Prometheus: base units, _total for
 * counters. Label values come from a small fixed set, never from users.
 */
#ifndef PARLEY_BASE_METRICS_H
#define PARLEY_BASE_METRICS_H

#include "common/base/bytes.h"

#include <stdatomic.h>
#include <stdint.h>

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };

/* Buckets of a histogram: 0 to 4 each by itself, then four to each power of two up to 2^26 (a minute in µs):
 * at most 25 % wide. Anything above falls into +Inf. */
#define METRIC_BUCKETS    101
#define METRIC_SERIES_MAX 512 /* label values of one metric; further ones share the value "other" */

struct metric { /* use the macros and functions */
    const char *name, *help;
    enum metric_kind kind;
    const char *label; /* name of the one label, or NULL */
    double scale;      /* what one unit of the recorded integers is in the exposed unit; 0: 1 */
    const char *value; /* of the label, in the metrics that metric_with() makes */
    _Atomic int64_t v; /* counter, gauge; a histogram's sum */
    _Atomic uint64_t *buckets;
    struct metric *_Atomic series;
    struct metric *next;
};

/* METRIC_COUNTER(variable, name, help [, label]) and so on, at file scope. */
#define METRIC_COUNTER(var, name_, help_, ...)              \
    METRIC_DEFINE_(var, NULL, .name = name_, .help = help_, \
                   .kind = METRIC_KIND_COUNTER __VA_OPT__(, .label =) __VA_ARGS__)
#define METRIC_GAUGE(var, name_, help_, ...)                \
    METRIC_DEFINE_(var, NULL, .name = name_, .help = help_, \
                   .kind = METRIC_KIND_GAUGE __VA_OPT__(, .label =) __VA_ARGS__)
/* METRIC_HISTOGRAM(variable, name, help, scale [, label]): scale 1e-6 records µs and exposes seconds. */
#define METRIC_HISTOGRAM(var, name_, help_, scale_, ...)                                             \
    static _Atomic uint64_t var##_buckets_[METRIC_BUCKETS + 1];                                      \
    METRIC_DEFINE_(var, var##_buckets_, .name = name_, .help = help_, .kind = METRIC_KIND_HISTOGRAM, \
                   .scale = scale_ __VA_OPT__(, .label =) __VA_ARGS__)

#define METRIC_DEFINE_(var, buckets_, ...)                         \
    static struct metric var = {.buckets = buckets_, __VA_ARGS__}; \
    __attribute__((constructor)) static void var##_register_(void) \
    {                                                              \
        metric_register(&var);                                     \
    }

void metric_register(struct metric *); /* the macros do it; before threads start */

static inline void metric_add(struct metric *m, int64_t n) /* counter (n >= 0), gauge */
{
    atomic_fetch_add_explicit(&m->v, n, memory_order_relaxed);
}

static inline void metric_set(struct metric *m, int64_t v) /* gauge */
{
    atomic_store_explicit(&m->v, v, memory_order_relaxed);
}

static inline int64_t metric_get(const struct metric *m)
{
    return atomic_load_explicit(&m->v, memory_order_relaxed);
}

void metric_observe(struct metric *, int64_t v); /* histogram; below 0 counts as 0 */

/* The series of one label value: made at first use, never freed, never NULL. Any thread. */
struct metric *metric_with(struct metric *, const char *value);

/* An upper bound of the q-quantile (0…1) of what was observed, in recorded units; -1 when nothing was. */
int64_t metric_quantile(const struct metric *, double q);

/* Everything registered, and the process's own memory, CPU and descriptors. */
void metrics_write(struct bytes *);

#endif
