/* shell_stat.c: metrics, readiness and crash points of shells. */
#include "common/base/clock.h"
#include "common/base/crash.h"
#include "common/base/metrics.h"
#include "common/base/ready.h"
#include "common/base/shell_int.h"

#include <stdlib.h>
#include <string.h>

METRIC_COUNTER(records, "parley_core_records_total", "Records stepped.", "core");
METRIC_COUNTER(batches, "parley_core_batches_total", "Batches stepped.", "core");
METRIC_COUNTER(dead_letters, "parley_core_dead_letters_total", "Records sent to the dead-letter topic.",
               "core");
METRIC_GAUGE(sends, "parley_core_sends_in_flight", "Records sent and not yet confirmed.", "core");
METRIC_GAUGE(lag, "parley_core_lag_records", "Records behind the high watermark, all partitions.", "core");
METRIC_GAUGE(halted, "parley_core_halted_partitions", "Partitions that stopped and need an operator.",
             "core");
METRIC_GAUGE(open_parts, "parley_core_open_partitions", "Partitions being worked on.", "core");
METRIC_HISTOGRAM(put_time, "parley_core_put_seconds", "From giving rows to the store to its answer.", 1e-6,
                 "core");
METRIC_HISTOGRAM(
    record_age, "parley_core_record_age_seconds",
    "From a record's time in the log, the broker's in ms, to its step, and to its rows being stored.", 1e-6,
    "core,at");
METRIC_GAUGE(part_lag, "parley_core_partition_lag_records", "Records behind the high watermark.",
             "partition");

static const char *const steps[5] = {"step", "sent", "acked", "put", "commit"};

void shell_crash(const struct spart *p, const char *step)
{
#ifdef PARLEY_CRASH_POINTS
    char point[80];
    snprintf(point, sizeof point, "%s:%s", p->decl->name, step);
    crash_at(point);
#else
    (void)p;
    (void)step;
#endif
}

void shell_count_batch(const struct spart *p, uint32_t n)
{
    metric_add(metric_with(&records, p->decl->name), n);
    metric_add(metric_with(&batches, p->decl->name), 1);
}

void shell_count_dead(const struct spart *p)
{
    metric_add(metric_with(&dead_letters, p->decl->name), 1);
}

void shell_count_put(const struct spart *p, int64_t us)
{
    metric_observe(metric_with(&put_time, p->decl->name), us);
}

void shell_count_ages(const struct batch *b, const char *at)
{
    char value[64];
    if (!b->n_ages)
        return;
    snprintf(value, sizeof value, "%s,%s", b->part->decl->name, at);
    struct metric *m = metric_with(&record_age, value);
    int64_t now_us = clock_wall_us();
    for (uint32_t i = 0; i < b->n_ages; i++)
        metric_observe_n(m, now_us - b->ages[i].time_ms * 1000, b->ages[i].n);
}

#define NAMES 24 /* parley-webhooks has a shell for each endpoint */

/* Names given to ready.h live for ever. */
void shell_stat_init(struct shell *s)
{
    static char names[NAMES][40];
    static size_t used;
    (void)steps;
    for (size_t i = 0; i < used; i++)
        if (!strcmp(names[i], s->decl.name))
            s->ready_name = names[i];
    if (!s->ready_name && used < NAMES) {
        snprintf(names[used], sizeof names[used], "%s", s->decl.name);
        s->ready_name = names[used++];
    }
}

static int64_t lag_of(struct shell *s, struct spart *p)
{
    int64_t sum = 0;
    for (size_t i = 0; i < s->decl.n_inputs; i++) {
        int64_t l = kconsumer_lag(s->consumer, s->decl.inputs[i], p->part);
        if (l < 0)
            return -1;
        sum += l;
    }
    return sum + p->q_n;
}

static void gauges(struct shell *s)
{
    struct kproducer_stats ps = {0};
    int64_t n_halted = 0, n_open = 0, sum = 0;
    bool known = true;
    for (size_t i = 0; i < s->n_parts; i++) {
        struct spart *p = s->parts[i];
        if (!p)
            continue;
        char label[64];
        int64_t l = s->consumer ? lag_of(s, p) : -1;
        n_halted += p->state == SPART_HALTED;
        n_open += p->state == SPART_RUNNING;
        known &= l >= 0;
        sum += l > 0 ? l : 0;
        snprintf(label, sizeof label, "%s-%d", s->decl.name, p->part);
        metric_set(metric_with(&part_lag, label), l > 0 ? l : 0);
    }
    s->lag = known ? sum : -1;
    if (s->producer)
        kproducer_stats(s->producer, &ps);
    metric_set(metric_with(&halted, s->decl.name), n_halted);
    metric_set(metric_with(&open_parts, s->decl.name), n_open);
    metric_set(metric_with(&lag, s->decl.name), sum);
    metric_set(metric_with(&sends, s->decl.name), (int64_t)ps.in_flight);
}

/* What is to be waited for, worst first; false: nothing. */
static bool reason(const struct shell *s, char *why, size_t n)
{
    static const char *const names[] = {"opening", "recovering", "", "draining", "", "halted"};
    const struct spart *worst = NULL;
    for (size_t i = 0; i < s->n_parts; i++) {
        const struct spart *p = s->parts[i];
        if (p && (p->state != SPART_RUNNING || p->waiting) &&
            (!worst || p->state == SPART_HALTED ||
             (worst->state == SPART_RUNNING && worst->state != p->state)))
            worst = p;
    }
    if (worst)
        snprintf(why, n, "partition %d %s%s%s", worst->part, names[worst->state], worst->why[0] ? ": " : "",
                 worst->why);
    else if (!s->producer || !kproducer_ready(s->producer))
        snprintf(why, n, "kafka: topics not known yet");
    else if (!s->assigned)
        snprintf(why, n, "kafka: joining the group%s%s", s->client_why[0] ? ": " : "", s->client_why);
    else
        return false;
    return true;
}

void shell_stat_update(struct shell *s)
{
    char why[256];
    s->changed = false;
    gauges(s);
    if (!s->decl.ready || !s->ready_name)
        return;
    if (reason(s, why, sizeof why))
        ready_wait(s->decl.ready, s->ready_name, why);
    else
        ready_ok(s->decl.ready, s->ready_name);
}

void shell_stats(const struct shell *s, struct shell_stats *out)
{
    struct kproducer_stats ps = {0};
    if (s->producer)
        kproducer_stats(s->producer, &ps);
    *out = (struct shell_stats){.sends_in_flight = ps.in_flight, .lag = s->lag};
    for (size_t i = 0; i < s->n_parts; i++) {
        const struct spart *p = s->parts[i];
        out->parts += p != NULL;
        out->halted += p && p->state == SPART_HALTED;
        out->recovering += p && p->state == SPART_RECOVERING;
    }
    out->records = (uint64_t)metric_get(metric_with(&records, s->decl.name));
    out->batches = (uint64_t)metric_get(metric_with(&batches, s->decl.name));
    out->dead = (uint64_t)metric_get(metric_with(&dead_letters, s->decl.name));
}
