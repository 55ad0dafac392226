#include "common/im/follow.h"

#include "common/base/kview.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <errno.h>

/* Many logins are many small batches, and many processes have a view: better late than a fetch for each. */
#define LATER_BYTES 16384
#define LATER_MS    20

METRIC_COUNTER(unreadable, "parley_views_unreadable_total",
               "Records of im.lease and im.presence that no version can read.");

static void judge(struct follow *f, const struct record *r, int rc)
{
    if (rc == 0)
        return;
    if (rc == -ENOTSUP) {
        log_error("a view's record is newer than this program: upgrade it", log_int("offset", r->offset));
        daemon_fail(f->run);
        return;
    }
    metric_add(&unreadable, 1);
    log_warn("a view's record cannot be read", log_int("topic", r->topic), log_int("part", r->part),
             log_int("offset", r->offset));
}

static void on_lease(void *ctx, const struct record *r)
{
    struct follow *f = ctx;
    judge(f, r, lease_feed(f->lease, r->key, r->value, r->offset));
    if (f->changed)
        f->changed(f->ctx);
}

static bool find(const struct follow *f, struct slice key, struct session *out)
{
    uint32_t slot, handle;
    uint64_t epoch;
    const struct session *s = key_presence_parse(key, &slot, &epoch, &handle) == 0
                                  ? presence_find(f->presence, slot, epoch, handle)
                                  : NULL;
    if (s)
        *out = *s;
    return s;
}

static void on_presence(void *ctx, const struct record *r)
{
    struct follow *f = ctx;
    struct session before;
    bool known = f->moved && find(f, r->key, &before);
    judge(f, r, presence_feed(f->presence, r->key, r->value));
    struct session after;
    if (f->moved && find(f, r->key, &after))
        f->moved(f->ctx, &after, false);
    else if (known)
        f->moved(f->ctx, &before, true);
}

void follow_moves(struct follow *f, void (*moved)(void *ctx, const struct session *, bool gone))
{
    f->moved = moved;
}

bool follow_ready(const struct follow *f)
{
    return f->run && (!f->lease || (f->lease_log && kview_caught_up(f->lease_log))) &&
           (!f->presence || (f->presence_log && kview_caught_up(f->presence_log)));
}

static void caught_up(void *ctx)
{
    struct follow *f = ctx;
    if (!follow_ready(f))
        return;
    ready_ok(f->run->ready, "views");
    void (*fn)(void *) = f->caught_up;
    f->caught_up = NULL;
    if (fn)
        fn(f->ctx);
}

static void on_error(void *ctx, bool fatal, const char *reason)
{
    struct follow *f = ctx;
    if (!fatal)
        return;
    log_error("a view's Kafka client is dead", log_str("why", reason));
    daemon_fail(f->run);
}

static struct kview *start(struct follow *f, const struct deploy *d, uint16_t topic, bool later,
                           void (*message)(void *, const struct record *))
{
    const struct kview_conf conf = {
        .kafka = d->kafka,
        .topic = topic,
        .name = topics_name(d->topics, topic),
        .partitions = topics_get(d->topics, topic)->parts,
        .fetch_min_bytes = later ? LATER_BYTES : 0,
        .fetch_wait_ms = later ? LATER_MS : 0,
        .ctx = f,
        .message = message,
        .caught_up = caught_up,
        .error = on_error,
    };
    return kview_new(f->run->loop, &conf);
}

int follow_init(struct follow *f, struct daemon_run *run, const struct deploy *d, unsigned what,
                void (*fn)(void *ctx), void (*changed)(void *ctx), void *ctx)
{
    bool lease = what & FOLLOW_LEASE, presence = what & FOLLOW_PRESENCE;
    *f = (struct follow){.run = run, .caught_up = fn, .changed = changed, .ctx = ctx};
    f->lease = lease ? lease_new(topics_slots(d->topics)) : NULL;
    f->presence = presence ? presence_new(f->lease) : NULL;
    if ((lease && !f->lease) || (presence && !f->presence) ||
        (what & FOLLOW_ENDED && presence_remember(f->presence, FOLLOW_ENDED_MAX))) {
        follow_release(f);
        return -ENOMEM;
    }
    ready_wait(run->ready, "views", "reading who is where");
    if (lease)
        f->lease_log = start(f, d, T_LEASE, false, on_lease);
    if (presence)
        f->presence_log = start(f, d, T_PRESENCE, what & FOLLOW_LATER, on_presence);
    if ((lease && !f->lease_log) || (presence && !f->presence_log)) {
        log_error("cannot make the views' Kafka clients");
        follow_release(f);
        return -EIO;
    }
    return 0;
}

void follow_release(struct follow *f)
{
    kview_free(f->lease_log);
    kview_free(f->presence_log);
    presence_free(f->presence);
    lease_free(f->lease);
    *f = (struct follow){0};
}
