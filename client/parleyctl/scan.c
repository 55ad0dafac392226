#include "client/parleyctl/scan.h"

#include "client/parleyctl/progress.h"
#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS   15000 /* for anything at all to come */
#define POLL_MS   200
#define TIMES_MAX 256

struct scan {
    struct ctl *c;
    rd_kafka_t *rk;
};

struct stretch {
    struct scan_range r;
    const rd_kafka_topic_t *rkt; /* known with the first message */
    int64_t at;                  /* next offset */
    bool done;
};

struct run {
    struct scan *s;
    struct stretch *all;
    size_t n, left;
    uint64_t todo, seen;
    struct progress progress;
    scan_fn *fn;
    void *ctx;
    int64_t last_ms; /* something came */
};

static int wait_ms(const struct scan *s)
{
    return s->c->timeout_ms > 0 ? s->c->timeout_ms : WAIT_MS;
}

static const char *name_of(const struct scan *s, uint16_t topic)
{
    return topics_name(s->c->deploy.topics, topic);
}

struct scan *scan_new(struct ctl *c)
{
    static const char *const defaults[] = {"enable.auto.commit",
                                           "false",
                                           "enable.partition.eof",
                                           "true",
                                           "auto.offset.reset",
                                           "earliest",
                                           "group.id",
                                           "parleyctl-scan",
                                           "queued.max.messages.kbytes",
                                           "2048",
                                           "fetch.message.max.bytes",
                                           "1048576",
                                           "fetch.wait.max.ms",
                                           "20",
                                           NULL};
    char why[256] = "";
    struct scan *s = calloc(1, sizeof *s);
    rd_kafka_conf_t *conf = s ? kconf_build(&c->deploy.kafka, defaults) : NULL;
    if (!conf) {
        free(s);
        return NULL;
    }
    s->c = c;
    s->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!s->rk) {
        rd_kafka_conf_destroy(conf);
        ctl_complain("cannot make a Kafka client: %s", why);
        free(s);
        return NULL;
    }
    rd_kafka_poll_set_consumer(s->rk);
    return s;
}

void scan_free(struct scan *s)
{
    if (!s)
        return;
    rd_kafka_consumer_close(s->rk);
    rd_kafka_destroy(s->rk);
    free(s);
}

int scan_ends(struct scan *s, uint16_t topic, int32_t part, int64_t *low, int64_t *high)
{
    int tries = 0;
    rd_kafka_resp_err_t err;
    do {
        err = rd_kafka_query_watermark_offsets(s->rk, name_of(s, topic), part, low, high, wait_ms(s));
    } while (err && ctl_again(kconf_errno(err), &tries));
    if (err)
        ctl_complain("%s/%d: %s", name_of(s, topic), part, rd_kafka_err2str(err));
    return err ? -EIO : 0;
}

int scan_times(struct scan *s, uint16_t topic, int32_t first, int32_t n, int64_t time_ms, int64_t *out)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int32_t p = 0; p < n; p++)
        rd_kafka_topic_partition_list_add(list, name_of(s, topic), first + p)->offset =
            time_ms > 0 ? time_ms : 0;
    int tries = 0, rc = 0;
    rd_kafka_resp_err_t err;
    do {
        err = rd_kafka_offsets_for_times(s->rk, list, wait_ms(s));
    } while (err && ctl_again(kconf_errno(err), &tries));
    for (int32_t p = 0; !err && !rc && p < n; p++) {
        int64_t low, high, at = list->elems[p].offset;
        rc = scan_ends(s, topic, first + p, &low, &high);
        out[p] = at < 0 ? high : at < low ? low : at;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        ctl_complain("%s: which offsets are of that time? %s", name_of(s, topic), rd_kafka_err2str(err));
    return err ? -EIO : rc;
}

/* ---- reading ---- */

static void end_stretch(struct run *run, struct stretch *t)
{
    if (t->done)
        return;
    t->done = true;
    run->left--;
    run->seen += (uint64_t)(t->r.to - t->at);
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(one, name_of(run->s, t->r.topic), t->r.part);
    rd_kafka_pause_partitions(run->s->rk, one);
    rd_kafka_topic_partition_list_destroy(one);
}

static struct stretch *stretch_of(struct run *run, const rd_kafka_message_t *m)
{
    for (size_t i = 0; i < run->n; i++) {
        struct stretch *t = &run->all[i];
        if (t->r.part != m->partition)
            continue;
        if (!t->rkt && !strcmp(rd_kafka_topic_name(m->rkt), name_of(run->s, t->r.topic)))
            t->rkt = m->rkt;
        if (t->rkt == m->rkt)
            return t;
    }
    return NULL;
}

static enum scan_go handle(struct run *run, const rd_kafka_message_t *m)
{
    struct stretch *t = m->rkt ? stretch_of(run, m) : NULL;
    if (!t || t->done)
        return SCAN_ON;
    if (m->err || m->offset >= t->r.to) {
        if (!m->err || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            end_stretch(run, t);
        return SCAN_ON;
    }
    struct record r = {
        t->r.topic,           m->partition,        m->offset, rd_kafka_message_timestamp(m, NULL),
        {m->key, m->key_len}, {m->payload, m->len}};
    enum scan_go go = run->fn(run->ctx, &r);
    run->seen += (uint64_t)(m->offset + 1 - t->at);
    t->at = m->offset + 1;
    if (go == SCAN_NEXT || t->at >= t->r.to)
        end_stretch(run, t);
    return go == SCAN_STOP ? SCAN_STOP : SCAN_ON;
}

static int turns(struct run *run)
{
    run->last_ms = clock_mono_ms();
    while (run->left) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(run->s->rk, POLL_MS);
        if (!m) {
            if (clock_mono_ms() - run->last_ms > wait_ms(run->s)) {
                ctl_complain("Kafka gives no records any more");
                return -EIO;
            }
            continue;
        }
        run->last_ms = clock_mono_ms();
        enum scan_go go = handle(run, m);
        rd_kafka_message_destroy(m);
        progress_show(&run->progress, run->seen, run->todo);
        if (go == SCAN_STOP)
            break;
    }
    return 0;
}

/* What the log has of the ranges. */
static int clip(struct run *run, const struct scan_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct stretch *t = &run->all[run->n];
        int64_t low, high;
        t->r = ranges[i];
        if (t->r.from >= t->r.to)
            continue;
        if (scan_ends(run->s, t->r.topic, t->r.part, &low, &high))
            return -EIO;
        if (t->r.from < low)
            t->r.from = low;
        if (t->r.to > high)
            t->r.to = high;
        if (t->r.from >= t->r.to)
            continue;
        t->at = t->r.from;
        run->todo += (uint64_t)(t->r.to - t->r.from);
        run->n++;
    }
    return 0;
}

int scan_read(struct scan *s, const struct scan_range *ranges, size_t n, const char *what, scan_fn *fn,
              void *ctx)
{
    struct run run = {.s = s, .fn = fn, .ctx = ctx};
    run.all = calloc(n ? n : 1, sizeof *run.all);
    int rc = run.all ? clip(&run, ranges, n) : -EIO;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; !rc && i < run.n; i++)
        rd_kafka_topic_partition_list_add(list, name_of(s, run.all[i].r.topic), run.all[i].r.part)->offset =
            run.all[i].at;
    run.left = run.n;
    if (!rc && run.n) {
        progress_begin(&run.progress, what ? what : "", "records", 0, s->c->quiet || !what);
        rd_kafka_assign(s->rk, list);
        rd_kafka_resume_partitions(s->rk, list); /* paused at the end of an earlier stretch */
        rc = turns(&run);
        rd_kafka_assign(s->rk, NULL);
        progress_end(&run.progress, run.seen);
    }
    rd_kafka_topic_partition_list_destroy(list);
    free(run.all);
    return rc;
}
