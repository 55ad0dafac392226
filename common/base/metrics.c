#include "common/base/metrics.h"

#include "common/base/version.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct metric *registered;
static pthread_mutex_t making =
    PTHREAD_MUTEX_INITIALIZER; /* of series; readers need none, the list only grows */

void metric_register(struct metric *m)
{
    struct metric **at = &registered; /* by name: the output does not depend on the order of linking */
    while (*at && strcmp((*at)->name, m->name) < 0)
        at = &(*at)->next;
    m->next = *at;
    *at = m;
}

/* ---- histograms ---- */

/* v = (4 + quarter) * 2^(octave - 2), rounded up: the bucket whose upper bound is the first not below v. */
static unsigned bucket_of(int64_t v)
{
    if (v <= 4)
        return v < 0 ? 0 : (unsigned)v;
    uint64_t below = (uint64_t)v - 1; /* bounds are inclusive */
    unsigned octave = 63 - (unsigned)__builtin_clzll(below);
    unsigned i = 4 * (octave - 1) + (unsigned)(below >> (octave - 2) & 3) + 1;
    return i < METRIC_BUCKETS ? i : METRIC_BUCKETS;
}

static int64_t bucket_bound(unsigned i)
{
    return i <= 4 ? i : (int64_t)(4 + i % 4) << (i / 4 - 1);
}

void metric_observe(struct metric *m, int64_t v)
{
    if (v < 0)
        v = 0;
    atomic_fetch_add_explicit(&m->buckets[bucket_of(v)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->v, v, memory_order_relaxed);
}

int64_t metric_quantile(const struct metric *m, double q)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i <= METRIC_BUCKETS; i++)
        total += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
    if (!total)
        return -1;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        seen += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        if (seen && (double)seen >= q * (double)total)
            return bucket_bound(i);
    }
    return INT64_MAX;
}

/* ---- series ---- */

static struct metric *find_series(struct metric *family, const char *value, size_t *n)
{
    for (struct metric *s = atomic_load_explicit(&family->series, memory_order_acquire); s;
         s = s->next, ++*n) {
        if (!strcmp(s->value, value))
            return s;
    }
    return NULL;
}

static struct metric *make_series(const struct metric *family, const char *value)
{
    struct metric *s = calloc(1, sizeof *s);
    char *copy = strdup(value);
    _Atomic uint64_t *buckets = NULL;
    if (family->kind == METRIC_KIND_HISTOGRAM)
        buckets = calloc(METRIC_BUCKETS + 1, sizeof *buckets);
    if (!s || !copy || (family->kind == METRIC_KIND_HISTOGRAM && !buckets)) {
        free(s);
        free(copy);
        free(buckets);
        return NULL;
    }
    s->kind = family->kind;
    s->value = copy;
    s->buckets = buckets;
    return s;
}

struct metric *metric_with(struct metric *family, const char *value)
{
    size_t n = 0;
    struct metric *s = find_series(family, value, &n);
    if (s)
        return s;
    pthread_mutex_lock(&making);
    n = 0;
    s = find_series(family, value, &n);
    if (!s && n >= METRIC_SERIES_MAX) {
        n = 0;
        value = "other";
        s = find_series(family, value, &n);
    }
    if (!s) {
        s = make_series(family, value);
        if (s) {
            s->next = atomic_load_explicit(&family->series, memory_order_relaxed);
            atomic_store_explicit(&family->series, s, memory_order_release);
        }
    }
    pthread_mutex_unlock(&making);
    return s ? s : family; /* no memory: counted without its label */
}

/* ---- text format ---- */

static void write_label(struct bytes *b, const struct metric *family, const struct metric *s, const char *le)
{
    if (!s->value && !le)
        return;
    bytes_u8(b, '{');
    if (s->value) {
        bytes_printf(b, "%s=\"", family->label);
        for (const char *p = s->value; *p; p++) {
            if (*p == '\n')
                bytes_str(b, "\\n");
            else if (*p == '"' || *p == '\\')
                bytes_printf(b, "\\%c", *p);
            else
                bytes_u8(b, (uint8_t)*p);
        }
        bytes_printf(b, "\"%s", le ? "," : "");
    }
    if (le)
        bytes_printf(b, "le=\"%s\"", le);
    bytes_u8(b, '}');
}

static void write_histogram(struct bytes *b, const struct metric *family, const struct metric *s)
{
    uint64_t total = 0;
    for (unsigned i = 0; i <= METRIC_BUCKETS; i++) {
        char le[32] = "+Inf";
        if (i < METRIC_BUCKETS)
            snprintf(le, sizeof le, "%.9g", (double)bucket_bound(i) * family->scale);
        total += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
        bytes_printf(b, "%s_bucket", family->name);
        write_label(b, family, s, le);
        bytes_printf(b, " %" PRIu64 "\n", total);
    }
    bytes_printf(b, "%s_sum", family->name);
    write_label(b, family, s, NULL);
    bytes_printf(b, " %.9g\n%s_count", (double)metric_get(s) * family->scale, family->name);
    write_label(b, family, s, NULL);
    bytes_printf(b, " %" PRIu64 "\n", total);
}

static void write_series(struct bytes *b, const struct metric *family, const struct metric *s)
{
    if (family->kind == METRIC_KIND_HISTOGRAM) {
        write_histogram(b, family, s);
        return;
    }
    bytes_str(b, family->name);
    write_label(b, family, s, NULL);
    bytes_printf(b, " %" PRId64 "\n", metric_get(s));
}

static void write_process(struct bytes *b)
{
    bytes_str(b, "# TYPE parley_build_info gauge\nparley_build_info{version=\"" PARLEY_VERSION "\"} 1\n");
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
    bytes_printf(b, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.6f\n", cpu);

    FILE *f = fopen("/proc/self/statm", "re");
    long size, resident;
    if (f && fscanf(f, "%ld %ld", &size, &resident) == 2)
        bytes_printf(b, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %ld\n",
                     resident * sysconf(_SC_PAGESIZE));
    if (f)
        fclose(f);

    DIR *d = opendir("/proc/self/fd");
    long fds = -3; /* ".", ".." and this one */
    if (!d)
        return;
    while (readdir(d))
        fds++;
    closedir(d);
    bytes_printf(b, "# TYPE process_open_fds gauge\nprocess_open_fds %ld\n", fds);
}

void metrics_write(struct bytes *b)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (const struct metric *m = registered; m; m = m->next) {
        bytes_printf(b, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, kinds[m->kind]);
        if (!m->label)
            write_series(b, m, m);
        for (struct metric *s = atomic_load_explicit(&m->series, memory_order_acquire); s; s = s->next)
            write_series(b, m, s);
    }
    write_process(b);
}
