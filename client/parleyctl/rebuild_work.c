/* rebuild_work.c: one partition, in a process of its own: Kafka → the persister's core → PostgreSQL. */
#include "client/parleyctl/bodies.h"
#include "client/parleyctl/rebuild_fold.h"
#include "client/parleyctl/rebuild_put.h"
#include "common/base/clock.h"
#include "common/im/schema.h"
#include "persister/core.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BATCH       4096
#define BATCH_BYTES (2u << 20)
#define COMMIT_MS   5000
#define COMMIT_MAX  60000
#define HELD_MAX    (64u << 20)
#define KEEP_MAX    (48u << 20)
#define CACHE_BYTES (24 << 20)
#define SILENCE_MS  60000 /* Kafka says nothing at all */
#define LOOK_FROM   200000

struct work {
    const struct ctl *c;
    struct rebuild_task *t;
    struct put *put;
    struct bodies bodies; /* opens what the log has sealed */
    struct persister_settings settings;
    struct fold *fold;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int64_t next[STORE_TOPICS];
    bool uncommitted;
    int64_t committed_ms, interval_ms;
    rd_kafka_message_t *messages[BATCH];
    struct record records[BATCH];
};

static int failed(struct work *w, const char *what, const char *why)
{
    if (!*w->t->why)
        snprintf(w->t->why, sizeof w->t->why, "%s%s%s", what, *why ? ": " : "", why);
    return -EIO;
}

static const char *name_of(const struct work *w, size_t i)
{
    return topics_name(w->c->deploy.topics, rebuild_topic(w->t, i));
}

/* ---- reading ---- */

/* A full queue makes librdkafka pause for a second: it has to hold more than a second's records. */
static const char *const reader_defaults[] = {"enable.auto.commit",
                                              "false",
                                              "group.id",
                                              "parleyctl-rebuild",
                                              "auto.offset.reset",
                                              "error",
                                              "enable.partition.eof",
                                              "true",
                                              "queued.max.messages.kbytes",
                                              "24576",
                                              "queued.min.messages",
                                              "150000",
                                              "fetch.message.max.bytes",
                                              "4194304",
                                              "fetch.wait.max.ms",
                                              "50",
                                              NULL};

static int reader_open(struct work *w)
{
    char why[256] = "";
    rd_kafka_conf_t *conf = kconf_build(&w->c->deploy.kafka, reader_defaults);
    w->rk = conf ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why) : NULL;
    if (!w->rk) {
        if (conf)
            rd_kafka_conf_destroy(conf);
        return failed(w, "no Kafka client", why);
    }
    rd_kafka_poll_set_consumer(w->rk);
    w->queue = rd_kafka_queue_get_consumer(w->rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(REBUILD_TOPICS);
    for (size_t i = 0; i < rebuild_topics(w->t); i++)
        if (w->next[i] < w->t->to[i])
            rd_kafka_topic_partition_list_add(list, name_of(w, i), w->t->part)->offset = w->next[i];
    rd_kafka_resp_err_t err = rd_kafka_assign(w->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return err ? failed(w, "Kafka", rd_kafka_err2str(err)) : 0;
}

static void reader_close(struct work *w)
{
    if (w->queue)
        rd_kafka_queue_destroy(w->queue);
    if (w->rk) { /* in no group: there is nothing to close */
        rd_kafka_assign(w->rk, NULL);
        rd_kafka_destroy_flags(w->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
}

static size_t input_of(const struct work *w, const rd_kafka_message_t *m)
{
    return rebuild_topics(w->t) > 1 && m->rkt && !strcmp(rd_kafka_topic_name(m->rkt), name_of(w, 1));
}

/* The end of a topic whose last records were compacted away, or an error that does not pass. */
static int event(struct work *w, const rd_kafka_message_t *m)
{
    size_t i = input_of(w, m);
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (m->offset >= w->t->to[i])
            w->next[i] = w->t->to[i];
        return 0;
    }
    if (kconf_errno(m->err) == -EAGAIN || m->err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
        m->err == RD_KAFKA_RESP_ERR__TRANSPORT)
        return 0;
    return failed(w, name_of(w, i), rd_kafka_message_errstr(m));
}

static struct record record_of(const struct work *w, const rd_kafka_message_t *m, size_t input)
{
    return (struct record){.topic = rebuild_topic(w->t, input),
                           .part = m->partition,
                           .offset = m->offset,
                           .time_ms = rd_kafka_message_timestamp(m, NULL),
                           .key = {m->key, m->key_len},
                           .value = {m->payload, m->len}};
}

/* The records among messages *at … n that are below the end, as many as a batch may hold; *at: behind them. */
static int64_t sort_out(struct work *w, ssize_t *at, ssize_t n)
{
    size_t taken = 0, bytes = 0;
    for (; *at < n && bytes < BATCH_BYTES; ++*at) {
        const rd_kafka_message_t *m = w->messages[*at];
        size_t input = input_of(w, m);
        if (m->err) {
            if (event(w, m))
                return -EIO;
        } else if (m->offset < w->t->to[input]) {
            w->records[taken++] = record_of(w, m, input);
            w->next[input] = m->offset + 1;
            bytes += m->len;
        } else {
            w->next[input] = w->t->to[input];
        }
    }
    return (int64_t)taken;
}

static bool done(const struct work *w)
{
    for (size_t i = 0; i < rebuild_topics(w->t); i++)
        if (w->next[i] < w->t->to[i])
            return false;
    return true;
}

/* ---- folding ---- */

static int commit(struct work *w)
{
    int64_t begun_ms = clock_mono_ms();
    if (put_commit(w->put, w->next, KEEP_MAX))
        return failed(w, put_error(w->put), "");
    w->uncommitted = false;
    w->committed_ms = clock_mono_ms();
    /* Cells that change all the time are written anew at each commit: no more than a tenth of the time for that. */
    int64_t took = 10 * (w->committed_ms - begun_ms);
    w->interval_ms = took < COMMIT_MS ? COMMIT_MS : took > COMMIT_MAX ? COMMIT_MAX : took;
    return 0;
}

static int fold_them(struct work *w, size_t n)
{
    int64_t did = n ? fold_batch(w->fold, w->records, n) : 0;
    if (did < 0)
        return failed(w, *put_error(w->put) ? put_error(w->put) : strerror((int)-did), "");
    if ((size_t)did < n) {
        char why[80];
        snprintf(why, sizeof why, "cannot be applied at offset %" PRId64 " (see above)",
                 w->records[did].offset);
        return failed(w, topics_name(w->c->deploy.topics, w->records[did].topic), why);
    }
    w->uncommitted = true;
    for (size_t i = 0; i < rebuild_topics(w->t); i++)
        w->t->next[i] = w->next[i];
    w->t->rows = put_rows(w->put);
    w->t->poison = fold_poison(w->fold);
    if (put_bytes(w->put) > HELD_MAX || clock_mono_ms() - w->committed_ms > w->interval_ms)
        return commit(w);
    return 0;
}

static int turn(struct work *w, int64_t *heard_ms)
{
    ssize_t n = rd_kafka_consume_batch_queue(w->queue, 200, w->messages, BATCH);
    if (n > 0)
        *heard_ms = clock_mono_ms();
    else if (clock_mono_ms() - *heard_ms > SILENCE_MS)
        return failed(w, "Kafka says nothing any more", "");
    ssize_t at = 0, freed = 0;
    int rc = n > 0 ? 0 : fold_them(w, 0);
    while (!rc && at < n) {
        int64_t taken = sort_out(w, &at, n);
        rc = taken < 0 ? -EIO : fold_them(w, (size_t)taken);
        for (; freed < at; freed++)
            rd_kafka_message_destroy(w->messages[freed]);
    }
    for (; freed < n; freed++)
        rd_kafka_message_destroy(w->messages[freed]);
    return rc;
}

static int fold_all(struct work *w)
{
    int64_t heard_ms = clock_mono_ms();
    int rc = done(w) ? 0 : reader_open(w);
    w->committed_ms = heard_ms;
    w->interval_ms = COMMIT_MS;
    while (!rc && !done(w))
        rc = turn(w, &heard_ms);
    return rc ? rc : commit(w);
}

static int open_core(struct work *w)
{
    if (bodies_load(&w->bodies, (struct ctl *)(uintptr_t)w->c)) /* a child's copy */
        return failed(w, "im.vault", "its keys cannot be had");
    w->settings = (struct persister_settings){.cache_bytes = CACHE_BYTES, .bodies = w->bodies.keys};
    const struct core_open open = {
        .part = w->t->part, .next = w->next, .quiet = w->next, .settings = &w->settings};
    w->fold = fold_new(w->t->users ? &persister_users : &persister_conv, &open,
                       &(struct fold_owner){w->put, put_load, put_row});
    return w->fold ? 0 : failed(w, "no memory", "");
}

int rebuild_work(const struct ctl *c, struct rebuild_task *t, const char *conninfo)
{
    struct work *w = calloc(1, sizeof *w);
    struct rusage use;
    if (!w)
        return -ENOMEM;
    w->c = c;
    w->t = t;
    bool much = t->to[0] - t->next[0] > LOOK_FROM;
    w->put = put_open(conninfo, rebuild_store(t), t->part, rebuild_topics(t), much, t->why, sizeof t->why);
    int rc = w->put ? 0 : -EIO;
    for (size_t i = 0; !rc && i < rebuild_topics(t); i++)
        t->first[i] = t->next[i] = w->next[i] = put_next(w->put)[i];
    if (!rc)
        rc = open_core(w);
    if (!rc)
        rc = fold_all(w);
    fold_free(w->fold);
    bodies_release(&w->bodies);
    put_free(w->put);
    reader_close(w);
    free(w);
    if (getrusage(RUSAGE_SELF, &use) == 0)
        t->peak_kb = use.ru_maxrss;
    return rc;
}
