#include "common/base/kview.h"
#include "common/base/kview_int.h"

#include <errno.h>
#include <stdlib.h>

struct krange {
    struct loop *loop;
    struct krange_conf conf;
    struct kfeed feed;
    struct loop_job start;
    rd_kafka_message_t *kept; /* refused by the owner: comes first after a resume */
    bool full, fatal;
    bool *dead; /* set when freed inside a callback */
};

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct krange *r = opaque;
    (void)rk;
    (void)reason;
    if (err == RD_KAFKA_RESP_ERR__FATAL)
        r->fatal = true;
}

/* 1: go on; 0: the range is at its end; negative: it cannot be read */
static int judge(const struct krange *r, const rd_kafka_message_t *m)
{
    if (!m->err)
        return m->offset < r->conf.to;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return m->offset >= r->conf.to ? 0 : -ERANGE; /* the last offsets may have been compacted away */
    int rc = kconf_errno(m->err);
    return rc == -EAGAIN ? 1 : rc == -ERANGE ? rc : -EIO;
}

/* False: stop polling. May have freed r: look at *dead first. */
static bool hand_out(struct krange *r, rd_kafka_message_t *m, const bool *dead)
{
    int rc = judge(r, m);
    if (rc == 1 && !m->err) {
        const struct record rec = kfeed_record(m, r->conf.topic);
        bool taken = r->conf.message(r->conf.ctx, &rec);
        if (*dead) {
            rd_kafka_message_destroy(m);
            return false;
        }
        if (!taken) {
            r->kept = m;
            r->full = true;
            return false;
        }
        if (rec.offset + 1 >= r->conf.to)
            rc = 0;
    }
    rd_kafka_message_destroy(m);
    if (rc == 1)
        return true;
    r->conf.done(r->conf.ctx, rc);
    return false;
}

static void on_wake(struct loop_waker *w)
{
    struct krange *r = container_of(container_of(w, struct kfeed, waker), struct krange, feed);
    bool dead = false;
    int n = 0;
    r->dead = &dead;
    while (!dead && !r->full && n < KFEED_TURN) {
        rd_kafka_message_t *m = r->kept ? r->kept : rd_kafka_consumer_poll(r->feed.rk, 0);
        r->kept = NULL;
        if (!m)
            break;
        n++;
        if (!hand_out(r, m, &dead))
            break;
    }
    if (dead)
        return;
    r->dead = NULL;
    if (r->fatal)
        r->conf.done(r->conf.ctx, -EIO);
    else if (n == KFEED_TURN && !r->full)
        loop_wake(w);
}

static void on_start(struct loop_job *job)
{
    struct krange *r = container_of(job, struct krange, start);
    r->conf.done(r->conf.ctx, 0);
}

struct krange *krange_new(struct loop *loop, const struct krange_conf *conf)
{
    struct krange *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->loop = loop;
    r->conf = *conf;
    if (conf->to <= conf->from) {
        loop_defer(loop, &r->start, on_start);
        return r;
    }
    if (kfeed_init(&r->feed, loop, &conf->kafka, &(struct kfeed_fetch){.reset = "error"}, on_wake, r,
                   on_error) ||
        kfeed_assign(&r->feed, conf->name, conf->part, 1, conf->from)) {
        krange_free(r);
        return NULL;
    }
    return r;
}

void krange_resume(struct krange *r)
{
    if (!r->full)
        return;
    r->full = false;
    loop_wake(&r->feed.waker);
}

void krange_free(struct krange *r)
{
    if (!r)
        return;
    if (r->dead)
        *r->dead = true;
    loop_cancel(r->loop, &r->start);
    if (r->kept)
        rd_kafka_message_destroy(r->kept);
    kfeed_release(&r->feed, r->loop);
    free(r);
}
