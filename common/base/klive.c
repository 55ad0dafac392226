#include "common/base/klive.h"

#include "common/base/kview_int.h"
#include "common/base/log.h"

#include <stdlib.h>

#define AGAIN_MS 5000

struct live_part {
    bool wanted;
    int64_t next; /* RD_KAFKA_OFFSET_END: nothing seen yet */
};

struct klive {
    struct loop *loop;
    struct klive_conf conf;
    struct kfeed feed;
    struct timer again;
    struct loop_job assign_job;
    bool fatal;
    struct live_part parts[];
};

static void later(struct klive *l)
{
    loop_timer_start(l->loop, &l->again, AGAIN_MS);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct klive *l = opaque;
    (void)rk;
    if (err != RD_KAFKA_RESP_ERR__FATAL)
        return; /* it goes on by itself */
    log_warn("a live reader's Kafka client is dead: a new one is made", log_str("topic", l->conf.name),
             log_str("why", reason));
    l->fatal = true;
}

static void hand_out(struct klive *l, const rd_kafka_message_t *m)
{
    struct live_part *p =
        m->partition >= 0 && m->partition < l->conf.partitions ? &l->parts[m->partition] : NULL;
    if (m->err || !p || !p->wanted || m->offset < p->next)
        return;
    p->next = m->offset + 1;
    const struct record r = kfeed_record(m, l->conf.topic);
    l->conf.message(l->conf.ctx, &r);
}

static void on_wake(struct loop_waker *w)
{
    struct klive *l = container_of(container_of(w, struct kfeed, waker), struct klive, feed);
    rd_kafka_message_t *m = NULL;
    int n = 0;
    while (n < KFEED_TURN && (m = rd_kafka_consumer_poll(l->feed.rk, 0))) {
        hand_out(l, m);
        rd_kafka_message_destroy(m);
        n++;
    }
    if (l->fatal)
        later(l);
    else if (n == KFEED_TURN)
        loop_wake(w);
}

static int make_client(struct klive *l)
{
    l->fatal = false;
    return kfeed_init(&l->feed, l->loop, &l->conf.kafka, &(struct kfeed_fetch){.reset = "latest"}, on_wake, l,
                      on_error);
}

/* The whole list anew; who was there goes on where it was. */
static int assign(struct klive *l)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(l->conf.partitions);
    for (int32_t i = 0; i < l->conf.partitions; i++)
        if (l->parts[i].wanted)
            rd_kafka_topic_partition_list_add(list, l->conf.name, i)->offset = l->parts[i].next;
    rd_kafka_resp_err_t err = rd_kafka_assign(l->feed.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return err;
}

static void on_assign(struct loop_job *job)
{
    struct klive *l = container_of(job, struct klive, assign_job);
    if ((!l->feed.rk && make_client(l)) || assign(l))
        later(l);
}

static void on_again(struct timer *t)
{
    struct klive *l = container_of(t, struct klive, again);
    if (l->fatal)
        kfeed_release(&l->feed, l->loop);
    loop_defer(l->loop, &l->assign_job, on_assign);
}

struct klive *klive_new(struct loop *loop, const struct klive_conf *conf)
{
    struct klive *l = calloc(1, sizeof *l + (size_t)conf->partitions * sizeof *l->parts);
    if (!l)
        return NULL;
    l->loop = loop;
    l->conf = *conf;
    timer_init(&l->again, on_again);
    return l;
}

void klive_free(struct klive *l)
{
    if (!l)
        return;
    loop_timer_stop(l->loop, &l->again);
    loop_cancel(l->loop, &l->assign_job);
    kfeed_release(&l->feed, l->loop);
    free(l);
}

static void set(struct klive *l, int32_t part, bool wanted)
{
    if (!l || part < 0 || part >= l->conf.partitions || l->parts[part].wanted == wanted)
        return;
    l->parts[part] = (struct live_part){wanted, RD_KAFKA_OFFSET_END};
    loop_defer(l->loop, &l->assign_job, on_assign); /* those of one turn together */
}

void klive_add(struct klive *l, int32_t part)
{
    set(l, part, true);
}

void klive_remove(struct klive *l, int32_t part)
{
    set(l, part, false);
}
