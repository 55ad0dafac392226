#include "bench/result.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

json_t *result_new(const char *what, uint64_t seed)
{
    struct utsname u = {0};
    char when[32];
    time_t t = time(NULL);
    struct tm tm;
    uname(&u);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    const char *commit = getenv("PARLEY_COMMIT");
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:i, s:s}", "what", what, "commit", commit ? commit : "",
                     "seed", (json_int_t)seed, "started", when, "kernel", u.release, "machine", u.machine,
                     "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN), "librdkafka", rd_kafka_version_str());
}

json_t *result_latency(const struct hist *h)
{
    static const struct {
        const char *name;
        double q;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    json_t *o = json_object();
    json_object_set_new(o, "count", json_integer((json_int_t)h->count));
    json_object_set_new(o, "mean", json_real(hist_mean(h) / 1000));
    json_object_set_new(o, "min", json_real(h->count ? (double)h->min / 1000 : 0));
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        json_object_set_new(o, points[i].name, json_real((double)hist_at(h, points[i].q) / 1000));
    json_object_set_new(o, "max", json_real((double)h->max / 1000));
    return o;
}

int result_print(json_t *o, int good)
{
    json_object_set_new(o, "ok", json_boolean(good));
    json_dumpf(o, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
    return fflush(stdout) || ferror(stdout) || !good;
}
