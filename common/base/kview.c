#include "common/base/kview.h"

#include "common/base/kview_int.h"

#include <stdlib.h>

struct view_part {
    int64_t next;
    bool caught_up;
};

struct kview {
    struct loop *loop;
    struct kview_conf conf;
    struct kfeed feed;
    int32_t behind; /* partitions not caught up yet */
    bool fatal;
    bool *dead; /* set when freed inside a callback */
    struct view_part parts[];
};

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct kview *v = opaque;
    (void)rk;
    if (err == RD_KAFKA_RESP_ERR__FATAL)
        v->fatal = true;
    if (v->conf.error && (v->fatal || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN))
        v->conf.error(v->conf.ctx, v->fatal, reason);
}

static void reached_end(struct kview *v, struct view_part *p)
{
    if (p->caught_up)
        return;
    p->caught_up = true;
    if (--v->behind == 0 && v->conf.caught_up)
        v->conf.caught_up(v->conf.ctx);
}

static void hand_out(struct kview *v, const rd_kafka_message_t *m)
{
    struct view_part *p =
        m->partition >= 0 && m->partition < v->conf.partitions ? &v->parts[m->partition] : NULL;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (p && m->offset > p->next) /* what compaction took away at the end is passed, too */
            p->next = m->offset;
        if (p)
            reached_end(v, p);
        return;
    }
    if (m->err) { /* it retries by itself; a topic that vanished stays an error that is told */
        if (v->conf.error)
            v->conf.error(v->conf.ctx, false, rd_kafka_message_errstr(m));
        return;
    }
    if (!p || m->offset < p->next)
        return;
    p->next = m->offset + 1;
    const struct record r = kfeed_record(m, v->conf.topic);
    v->conf.message(v->conf.ctx, &r);
}

static void on_wake(struct loop_waker *w)
{
    struct kview *v = container_of(container_of(w, struct kfeed, waker), struct kview, feed);
    bool dead = false;
    rd_kafka_message_t *m = NULL;
    v->dead = &dead;
    int n = 0;
    while (!dead && n < KFEED_TURN && (m = rd_kafka_consumer_poll(v->feed.rk, 0))) {
        hand_out(v, m);
        rd_kafka_message_destroy(m);
        n++;
    }
    if (dead)
        return;
    v->dead = NULL;
    if (n == KFEED_TURN)
        loop_wake(w);
}

struct kview *kview_new(struct loop *loop, const struct kview_conf *conf)
{
    struct kview *v = calloc(1, sizeof *v + (size_t)conf->partitions * sizeof *v->parts);
    if (!v)
        return NULL;
    v->loop = loop;
    v->conf = *conf;
    v->behind = conf->partitions;
    const struct kfeed_fetch how = {"earliest", conf->fetch_min_bytes, conf->fetch_wait_ms};
    if (kfeed_init(&v->feed, loop, &conf->kafka, &how, on_wake, v, on_error) ||
        kfeed_assign(&v->feed, conf->name, 0, conf->partitions, RD_KAFKA_OFFSET_BEGINNING)) {
        kview_free(v);
        return NULL;
    }
    return v;
}

void kview_free(struct kview *v)
{
    if (!v)
        return;
    if (v->dead)
        *v->dead = true;
    kfeed_release(&v->feed, v->loop);
    free(v);
}

bool kview_caught_up(const struct kview *v)
{
    return v->behind == 0;
}

int64_t kview_position(const struct kview *v, int32_t part)
{
    return part >= 0 && part < v->conf.partitions ? v->parts[part].next : 0;
}
