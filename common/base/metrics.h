/* metrics.h: counters, gauges and histograms, in Prometheus' text format.
 *
 *     METRIC_COUNTER(sends, "parley_edge_sends_total", "Messages accepted from clients.");
 *     METRIC_HISTOGRAM(ack_time, "parley_edge_ack_seconds", "From frame read to ack written.", 1e-6);
 *     METRIC_COUNTER(refused, "parley_edge_refused_total", "Frames refused.", "reason");
 *
 *     metric_add(&sends, 1);   metric_observe(&ack_time, took_us);
 *     metric_add(metric_with(&refused, "busy"), 1);      // or keep what metric_with() returns
 *
 *     METRIC_COUNTER(turns, "parley_kafka_reports_total", "Reports.", "client,broker");   // two labels
 *     metric_add(metric_with(&turns, "producer,1"), 1);
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

/* Fine buckets of a histogram, for metric_quantile(): 0 to 9 each by itself, then 16 to each power of ten up to 10^8 (100 s
 * in µs): at most 25 % wide. Exposed are sums of them at the few bounds that matter (metrics_bounds()). */
#define METRIC_BUCKETS    123
#define METRIC_SERIES_MAX 512 /* label values of one metric; further ones share the value "other" */

struct metric { /* use the macros and functions */
    const char *name, *help;
    enum metric_kind kind;
    const char *label; /* name of the label, several with a comma between, or NULL */
    double scale;      /* what one unit of the recorded integers is in the exposed unit; 0: 1 */
    const char *value; /* of the label(s), in the metrics that metric_with() makes */
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
/* METRIC_SECONDS(variable, name, help [, label]): a counter that records µs and exposes seconds. */
#define METRIC_SECONDS(var, name_, help_, ...)                                           \
    METRIC_DEFINE_(var, NULL, .name = name_, .help = help_, .kind = METRIC_KIND_COUNTER, \
                   .scale = 1e-6 __VA_OPT__(, .label =) __VA_ARGS__)
/* The same as a gauge. */
#define METRIC_GAUGE_SECONDS(var, name_, help_, ...)                                   \
    METRIC_DEFINE_(var, NULL, .name = name_, .help = help_, .kind = METRIC_KIND_GAUGE, \
                   .scale = 1e-6 __VA_OPT__(, .label =) __VA_ARGS__)
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

void metric_observe(struct metric *, int64_t v);               /* histogram; below 0 counts as 0 */
void metric_observe_n(struct metric *, int64_t v, uint64_t n); /* the same n times */

/* The series of one label value: made at first use, never freed, never NULL. Any thread. With several labels:
 * their values with a comma between, none inside. */
struct metric *metric_with(struct metric *, const char *value);

/* An upper bound of the q-quantile (0…1) of what was observed, in recorded units; -1 when nothing was. */
int64_t metric_quantile(const struct metric *, double q);

/* The exposed bounds of a histogram in recorded units, ascending; *n of them, then +Inf. */
const int64_t *metrics_bounds(const struct metric *, size_t *n);

/* Everything registered, and the process's own memory, CPU and descriptors. */
void metrics_write(struct bytes *);

/* What the program was built from, for parley_build_info. Programs are linked with their own; "unknown" else. */
extern const char parley_revision[];

#endif
