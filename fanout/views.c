#include "fanout/views.h"

#include "common/base/kview.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <errno.h>

METRIC_COUNTER(unreadable, "parley_fanout_view_unreadable_total", "View records that no version can read.");
METRIC_GAUGE(sessions, "parley_fanout_sessions", "Sessions in the presence view.");

static void judge(struct views *v, const struct record *r, int rc)
{
    if (rc == 0)
        return;
    if (rc == -ENOTSUP) {
        log_error("a view's record is newer than this program: upgrade it", log_int("offset", r->offset));
        daemon_fail(v->run);
        return;
    }
    metric_add(&unreadable, 1);
    log_warn("a view's record cannot be read", log_int("topic", r->topic), log_int("part", r->part),
             log_int("offset", r->offset));
}

static void on_lease(void *ctx, const struct record *r)
{
    struct views *v = ctx;
    judge(v, r, lease_feed(v->lease, r->key, r->value, r->offset));
}

static void on_presence(void *ctx, const struct record *r)
{
    struct views *v = ctx;
    judge(v, r, presence_feed(v->presence, r->key, r->value));
    metric_set(&sessions, (int64_t)presence_count(v->presence));
}

static void caught_up(void *ctx)
{
    struct views *v = ctx;
    bool lease = v->lease_log && kview_caught_up(v->lease_log);
    bool presence = v->presence_log && kview_caught_up(v->presence_log);
    if (lease)
        ready_ok(v->run->ready, "leases");
    if (presence)
        ready_ok(v->run->ready, "presence");
    if (lease && presence && v->caught_up) {
        void (*fn)(void *) = v->caught_up;
        v->caught_up = NULL;
        fn(v->ctx);
    }
}

static void on_error(void *ctx, bool fatal, const char *reason)
{
    struct views *v = ctx;
    if (!fatal)
        return;
    log_error("a view's Kafka client is dead", log_str("why", reason));
    daemon_fail(v->run);
}

static struct kview *follow(struct views *v, const struct deploy *d, uint16_t topic,
                            void (*message)(void *, const struct record *))
{
    const struct kview_conf conf = {
        .kafka = d->kafka,
        .topic = topic,
        .name = topics_name(d->topics, topic),
        .partitions = topics_get(d->topics, topic)->parts,
        .ctx = v,
        .message = message,
        .caught_up = caught_up,
        .error = on_error,
    };
    return kview_new(v->run->loop, &conf);
}

int views_init(struct views *v, struct daemon_run *run, const struct deploy *d, void (*fn)(void *ctx), void *ctx)
{
    *v = (struct views){.run = run, .caught_up = fn, .ctx = ctx};
    v->lease = lease_new(topics_slots(d->topics));
    v->presence = v->lease ? presence_new(v->lease) : NULL;
    if (!v->presence) {
        views_release(v);
        return -ENOMEM;
    }
    v->cores = (struct fanout_views){.presence = v->presence, .lease = v->lease};
    ready_wait(run->ready, "leases", "reading");
    ready_wait(run->ready, "presence", "reading");
    v->lease_log = follow(v, d, T_LEASE, on_lease);
    v->presence_log = follow(v, d, T_PRESENCE, on_presence);
    if (!v->lease_log || !v->presence_log) {
        log_error("cannot make the views' Kafka clients");
        views_release(v);
        return -EIO;
    }
    return 0;
}

void views_release(struct views *v)
{
    kview_free(v->lease_log);
    kview_free(v->presence_log);
    presence_free(v->presence);
    lease_free(v->lease);
    *v = (struct views){0};
}
