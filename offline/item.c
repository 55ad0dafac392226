/* What was not served live: an item for some of a user's devices, or what an edge could not hand over. */
#include "common/base/crash.h"
#include "common/base/metrics.h"
#include "offline/state.h"

METRIC_COUNTER(bounces, "parley_offline_bounces_total", "Sessions that ended with unconfirmed messages.");

static uint64_t position(const struct offrec *r, size_t at)
{
    return ((uint64_t)r->rec->offset + 1) << 16 | (at < UINT16_MAX ? at : UINT16_MAX);
}

static struct arrival arrival_of(const struct offrec *r, const Im__QueueItem *it, size_t at)
{
    return (struct arrival){.conv = codec_id(it->conversation),
                            .seq = it->seq,
                            .pos = position(r, at),
                            .payload = codec_slice(it->payload),
                            .trace = r->trace};
}

static struct missed missed_of(const struct offrec *r, const Im__QueueItem *it)
{
    return (struct missed){codec_id(it->conversation), it->seq, offrec_at(r), false, r->trace};
}

enum core_rc off_item(struct offline *o, const struct offrec *r, struct fx *fx)
{
    const Im__OffItem *b = r->m->item;
    struct user *u = rows_user(o, r->user);
    if (!u)
        return CORE_STOP;
    if (b->item->payload.len == 0) {
        struct missed e = missed_of(r, b->item);
        return mark_missed(o, u, &e, b->served, b->n_served, fx);
    }
    struct arrival a = arrival_of(r, b->item, 0);
    for (size_t i = 0; i < u->n_devices; i++) {
        bool served = false;
        for (size_t k = 0; k < b->n_served; k++)
            served |= b->served[k] == u->devices[i].no;
        if (served)
            continue;
        struct queue *q = rows_queue(o, r->user, u->devices[i].no);
        if (!q)
            return CORE_STOP;
        enqueue(o, q, &a, fx);
        crash_at("offline:item");
    }
    return CORE_OK;
}

/* The session is over whoever reads this, also when its login comes later than the bounce. */
enum core_rc off_bounce(struct offline *o, const struct offrec *r, struct fx *fx)
{
    const Im__OffBounce *b = r->m->bounce;
    struct user *u = rows_user(o, r->user);
    struct queue *q = rows_queue(o, r->user, b->session->device);
    if (!u || !q)
        return CORE_STOP;
    if (b->session->device == 0 || !user_may_have(u, b->session->device))
        return CORE_OK;
    queue_over(o, q, b->session->login_offset);
    live_as_queue(o, u, q);
    metric_add(&bounces, 1);
    enum core_rc rc = CORE_OK;
    for (size_t i = 0; i < b->n_items && rc == CORE_OK; i++) {
        struct arrival a = arrival_of(r, b->items[i], i);
        struct missed e = missed_of(r, b->items[i]);
        if (a.payload.n)
            enqueue(o, q, &a, fx);
        else
            rc = mark_bounced(o, u, q, &e, fx);
    }
    return rc;
}
