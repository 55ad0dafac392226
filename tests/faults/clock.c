/* clock.c: LD_PRELOADed, it makes the wall clock of one process wrong by CLOCK_OFF_S seconds; the monotonic clock stays
 * right. libfaketime does the same, but it lets librdkafka's waits (cnd_timedwait) last an hour, or no time at all: whoever
 * waits until a wrong wall-clock time has to wait until the right one here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>

static long off(void)
{
    static long seconds, known;
    if (!known) {
        const char *v = getenv("CLOCK_OFF_S");
        seconds = v ? strtol(v, NULL, 10) : 0;
        known = 1;
    }
    return seconds;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(id, ts);
    if (!rc && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        ts->tv_sec += off();
    return rc;
}

int timespec_get(struct timespec *ts, int base)
{
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, ts) ? base : 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &ts);
    *tv = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (out)
        *out = ts.tv_sec;
    return ts.tv_sec;
}

static struct timespec right(const struct timespec *until)
{
    struct timespec ts = *until, now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (labs((long)(ts.tv_sec - now.tv_sec)) > 100000) /* not a monotonic time: a wall clock's */
        ts.tv_sec -= off();
    return ts;
}

/* What librdkafka waits with; glibc's own goes past the function below. */
int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
    static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
    struct timespec ts = right(until);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "cnd_timedwait");
    return real(c, m, &ts);
}

int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec ts = right(until);
    if (!real)
        *(void **)&real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    return real(c, m, &ts);
}
