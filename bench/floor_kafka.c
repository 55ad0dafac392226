/* floor_kafka.c: Kp, produce → delivery report, and Kc, produce → consumed; one record in flight. */
#include "bench/args.h"
#include "bench/bench.h"
#include "bench/kfloor.h"
#include "bench/procs.h"
#include "bench/result.h"

#include "common/base/macros.h"
#include "common/base/rand.h"

#include <stdbool.h>
#include <stdlib.h>

struct floor_options {
    const char *kafka, *topic;
    uint64_t size, warm_ms, measure_ms, linger_ms, seed;
    struct arg_list processes;
};

static int parse(struct floor_options *o, const char *about, int argc, char **argv)
{
    const struct arg args[] = {
        {"kafka", ARG_TEXT, &o->kafka, "host:port of a broker ($PARLEY_KAFKA)"},
        {"topic", ARG_TEXT, &o->topic, "made when it is not there (parley-bench.1)"},
        {"size", ARG_NUMBER, &o->size, "bytes of the record's value (260)"},
        {"linger-ms", ARG_NUMBER, &o->linger_ms, "(0)"},
        {"warm-ms", ARG_NUMBER, &o->warm_ms, "before measuring (1000)"},
        {"measure-ms", ARG_NUMBER, &o->measure_ms, "how long (5000)"},
        {"process", ARG_LIST, &o->processes, "name=pid: count its CPU time; once for each"},
        {"seed", ARG_NUMBER, &o->seed, "of the keys (1)"},
    };
    int rc = args_parse(about, args, ARRAY_LEN(args), argc, argv);
    if (!rc && !o->kafka) {
        fprintf(stderr, "parley-bench: --kafka or $PARLEY_KAFKA is needed\n");
        rc = 3;
    }
    return rc;
}

static struct floor_options defaults(void)
{
    return (struct floor_options){.kafka = getenv("PARLEY_KAFKA"),
                                  .topic = "parley-bench.1",
                                  .size = 260,
                                  .warm_ms = 1000,
                                  .measure_ms = 5000,
                                  .seed = 1};
}

/* Sends one record at a time; it is over when the report is there and, with a consumer, when it came back. */
static void measure(const struct floor_options *o, struct kfloor_client *p, struct kfloor_client *c,
                    struct hist *h, struct hist *reports, struct procs *procs)
{
    struct rng rng = {o->seed};
    char *value = calloc(1, o->size + 1);
    int64_t begin = now_ns() + (int64_t)o->warm_ms * 1000000, end = begin + (int64_t)o->measure_ms * 1000000,
            t = 0;
    bool counting = false;
    if (!value)
        kfloor_die("floor", "no memory");
    while ((t = now_ns()) < end) {
        uint64_t key[2] = {rng_next(&rng), rng_next(&rng)}, before = p->reported;
        int64_t reported = 0, consumed = 0;
        if (!counting && t >= begin) {
            procs_begin(procs);
            counting = true;
            t = now_ns();
        }
        kfloor_produce(p, key, sizeof key, value, o->size);
        while (!reported || (c && !consumed)) {
            rd_kafka_message_t *m;
            kfloor_wait(p, c, 5000);
            kfloor_reports(p);
            if (!reported && p->reported > before)
                reported = now_ns();
            while (c && (m = kfloor_next(c))) {
                consumed = now_ns();
                rd_kafka_message_destroy(m);
            }
            if (now_ns() - t > 30000000000)
                kfloor_die("floor", "no answer from Kafka for 30 s");
        }
        if (counting) {
            hist_add(h, (c ? consumed : reported) - t);
            hist_add(reports, reported - t);
        }
    }
    procs_end(procs);
    free(value);
}

static int run(const struct floor_options *o, const char *what, bool consume)
{
    struct kfloor_client p, c;
    struct procs procs;
    struct hist *h = hist_new(), *reports = hist_new();
    if (!h || !reports || procs_init(&procs, &o->processes))
        return 2;
    kfloor_topics(o->kafka, &o->topic, 1);
    kfloor_producer(&p, o->kafka, o->topic, o->linger_ms);
    if (consume)
        kfloor_consumer(&c, o->kafka, o->topic);
    measure(o, &p, consume ? &c : NULL, h, reports, &procs);
    json_t *r = result_new(what, o->seed);
    json_object_set_new(r, "record_bytes", json_integer((json_int_t)o->size));
    json_object_set_new(r, consume ? "one_way_us" : "report_us", result_latency(h));
    json_object_set_new(r, "cpu_us_per_message", procs_json(&procs, h->count));
    if (consume) /* Kp once more, while somebody reads */
        json_object_set_new(r, "report_us", result_latency(reports));
    if (consume)
        kfloor_release(&c);
    kfloor_release(&p);
    int rc = result_print(r, h->count > 0);
    hist_free(h);
    hist_free(reports);
    return rc;
}

int command_floor_kp(int argc, char **argv)
{
    struct floor_options o = defaults();
    int rc =
        parse(&o, "parley-bench floor kp: produce → delivery report, acks=all, idempotent, one at a time.",
              argc, argv);
    return rc ? rc - 1 : run(&o, "kp", false);
}

int command_floor_kc(int argc, char **argv)
{
    struct floor_options o = defaults();
    int rc = parse(&o, "parley-bench floor kc: produce → consumed in another client, one way, one at a time.",
                   argc, argv);
    return rc ? rc - 1 : run(&o, "kc", true);
}
