#include "common/base/metrics.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/version.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
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

#define DECADE(d)                                                                                           \
    10 * d, 12 * d, 14 * d, 16 * d, 18 * d, 20 * d, 25 * d, 30 * d, 35 * d, 40 * d, 45 * d, 50 * d, 60 * d, \
        70 * d, 80 * d, 90 * d

static const int64_t bucket_bounds[METRIC_BUCKETS] = {
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    DECADE(1),
    DECADE(10),
    DECADE(100),
    DECADE(1000),
    DECADE(10000),
    DECADE(100000),
    DECADE(1000000),
    100000000,
};

/* For each number of binary digits the first bucket that such a number can be in. */
static uint8_t first_bucket[65];

__attribute__((constructor)) static void find_first_buckets(void)
{
    for (unsigned bits = 1; bits <= 64; bits++) {
        uint64_t least = UINT64_C(1) << (bits - 1);
        unsigned i = first_bucket[bits - 1];
        while (i < METRIC_BUCKETS && (uint64_t)bucket_bounds[i] < least)
            i++;
        first_bucket[bits] = (uint8_t)i;
    }
}

/* The first whose bound is not below v. */
static unsigned bucket_of(int64_t v)
{
    if (v <= 9)
        return v < 0 ? 0 : (unsigned)v;
    unsigned i = first_bucket[64 - __builtin_clzll((uint64_t)v)];
    while (i < METRIC_BUCKETS && bucket_bounds[i] < v)
        i++;
    return i;
}

/* Of times in µs: from 50 µs to a minute. */
static const int64_t time_bounds[] = {50,      100,      200,      300,     400,    500,     700,
                                      1000,    2000,     3000,     5000,    7000,   10000,   20000,
                                      30000,   50000,    100000,   200000,  500000, 1000000, 2000000,
                                      5000000, 10000000, 30000000, 60000000};
/* Of anything else. */
static const int64_t count_bounds[] = {1,    2,    5,    10,    20,    50,    100,    200,    500,
                                       1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000};

const int64_t *metrics_bounds(const struct metric *m, size_t *n)
{
    bool time = m->scale > 0 && m->scale < 1;
    *n = time ? ARRAY_LEN(time_bounds) : ARRAY_LEN(count_bounds);
    return time ? time_bounds : count_bounds;
}

void metric_observe_n(struct metric *m, int64_t v, uint64_t n)
{
    if (v < 0)
        v = 0;
    atomic_fetch_add_explicit(&m->buckets[bucket_of(v)], n, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->v, v * (int64_t)n, memory_order_relaxed);
}

void metric_observe(struct metric *m, int64_t v)
{
    metric_observe_n(m, v, 1);
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
            return bucket_bounds[i];
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

static void write_value(struct bytes *b, const char *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i] == '\n')
            bytes_str(b, "\\n");
        else if (v[i] == '"' || v[i] == '\\')
            bytes_printf(b, "\\%c", v[i]);
        else
            bytes_u8(b, (uint8_t)v[i]);
    }
}

static void write_label(struct bytes *b, const struct metric *family, const struct metric *s, const char *le)
{
    if (!s->value && !le)
        return;
    const char *name = family->label, *value = s->value, *sep = "";
    bytes_u8(b, '{');
    while (value) { /* the last label takes what is left */
        size_t n = strcspn(name, ",");
        bool last = !name[n];
        size_t v = last ? strlen(value) : strcspn(value, ",");
        bytes_printf(b, "%s%.*s=\"", sep, (int)n, name);
        write_value(b, value, v);
        bytes_u8(b, '"');
        sep = ",";
        value = last || !value[v] ? NULL : value + v + 1;
        name += n + !last;
    }
    if (le)
        bytes_printf(b, "%sle=\"%s\"", sep, le);
    bytes_u8(b, '}');
}

static void write_bucket(struct bytes *b, const struct metric *family, const struct metric *s, const char *le,
                         uint64_t n)
{
    bytes_printf(b, "%s_bucket", family->name);
    write_label(b, family, s, le);
    bytes_printf(b, " %" PRIu64 "\n", n);
}

static void write_histogram(struct bytes *b, const struct metric *family, const struct metric *s)
{
    uint64_t total = 0;
    size_t n;
    const int64_t *bounds = metrics_bounds(family, &n);
    for (unsigned i = 0, k = 0; i < METRIC_BUCKETS; i++) {
        char le[32];
        total += atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
        if (k == n || bucket_bounds[i] != bounds[k])
            continue;
        snprintf(le, sizeof le, "%.9g", (double)bounds[k++] * family->scale);
        write_bucket(b, family, s, le, total);
    }
    total += atomic_load_explicit(&s->buckets[METRIC_BUCKETS], memory_order_relaxed);
    write_bucket(b, family, s, "+Inf", total);
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
    if (family->scale > 0)
        bytes_printf(b, " %.15g\n", (double)metric_get(s) * family->scale);
    else
        bytes_printf(b, " %" PRId64 "\n", metric_get(s));
}

/* ---- the process itself, under the names that all Prometheus clients use ---- */

const char parley_revision[] __attribute__((weak)) = "unknown";

static void write_own(struct bytes *b, const char *name, const char *kind, const char *help, double v)
{
    bytes_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, kind, name, v);
}

static long count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    long fds = -3; /* ".", ".." and this one */
    if (!d)
        return 0;
    while (readdir(d))
        fds++;
    closedir(d);
    return fds;
}

static double started_at; /* Unix time */

__attribute__((constructor)) static void note_start(void)
{
    started_at = (double)clock_wall_ms() * 1e-3;
}

static void write_process(struct bytes *b)
{
    struct rusage use;
    struct rlimit files;
    long size, resident;
    bytes_printf(b,
                 "# HELP parley_build_info What this program was built from; always 1.\n"
                 "# TYPE parley_build_info gauge\n"
                 "parley_build_info{version=\"%s\",revision=\"%s\",compiler=\"%s\"} 1\n",
                 PARLEY_VERSION, parley_revision, __VERSION__);
    getrusage(RUSAGE_SELF, &use);
    write_own(b, "process_cpu_seconds_total", "counter", "User and system CPU time.",
              (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                  (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6);
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%ld %ld", &size, &resident) == 2) {
        double page = (double)sysconf(_SC_PAGESIZE);
        write_own(b, "process_virtual_memory_bytes", "gauge", "Address space.", (double)size * page);
        write_own(b, "process_resident_memory_bytes", "gauge", "Resident memory.", (double)resident * page);
    }
    if (f)
        fclose(f);
    write_own(b, "process_open_fds", "gauge", "Open descriptors.", (double)count_descriptors());
    if (!getrlimit(RLIMIT_NOFILE, &files))
        write_own(b, "process_max_fds", "gauge", "How many descriptors it may open.", (double)files.rlim_cur);
    write_own(b, "process_start_time_seconds", "gauge", "When the process started, Unix time.", started_at);
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
