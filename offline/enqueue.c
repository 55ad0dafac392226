/* Into a device's queue, and at once to its session when that is live: it stays queued until a cursor covers it. */
#include "common/base/metrics.h"
#include "offline/parcel.h"
#include "offline/state.h"

METRIC_COUNTER(queued, "parley_offline_queued_total", "Messages put into device queues.");
METRIC_COUNTER(over_cap, "parley_offline_over_cap_total",
               "Messages that left a full queue; they are in history only.");
METRIC_COUNTER(pushed, "parley_offline_pushed_total", "Queued messages sent to a live session at once.");

bool queue_live(const struct offline *o, const struct queue *q)
{
    return q->login > q->ended && !lease_over(o->lease, q->session.slot, q->session.epoch);
}

void queue_over(struct offline *o, struct queue *q, uint64_t login)
{
    if (login <= q->ended)
        return;
    q->ended = login;
    q->header_dirty = true;
    rows_touch_queue(o, q);
}

static void forget(void *ctx, const struct queue *q, const struct entry *e)
{
    rows_forget_item(ctx, q, e->pos);
}

struct cut { /* the first n entries */
    struct offline *o;
    uint32_t n;
};

static bool is_cut(void *ctx, const struct entry *e)
{
    struct cut *c = ctx;
    (void)e;
    return c->n > 0 && c->n--;
}

static void cut_gone(void *ctx, const struct queue *q, const struct entry *e)
{
    forget(((struct cut *)ctx)->o, q, e);
}

static void keep_cap(struct offline *o, struct queue *q, struct fx *fx)
{
    uint32_t n = 0, left = q->n;
    uint64_t bytes = q->bytes;
    for (size_t i = 0; i < q->n_segments; i++)
        for (size_t k = 0; k < q->segments[i]->n; k++) {
            if (left <= (uint64_t)o->settings->cap_items && bytes <= (uint64_t)o->settings->cap_bytes)
                goto counted;
            left--;
            bytes -= q->segments[i]->e[k].bytes;
            n++;
        }
counted:
    if (n == 0)
        return;
    q->rest_in_history = true;
    q->header_dirty = true;
    queue_remove(q, is_cut, cut_gone, &(struct cut){o, n}, fx);
    metric_add(&over_cap, n);
}

static void push(struct offline *o, const struct queue *q, const struct arrival *a, struct fx *fx)
{
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_MESSAGE,
                                .frame_type = IM__FRAME_TYPE__CHAT_PUSH,
                                .payload = parcel_open(o->settings->bodies, a->payload, fx),
                                .conv = a->conv,
                                .seq = a->seq,
                                .trace = a->trace};
    deliver_add(o->out, fx, &item, &q->session, 1);
    metric_add(&pushed, 1);
}

void enqueue(struct offline *o, struct queue *q, const struct arrival *a, struct fx *fx)
{
    const struct cursors *c = rows_cursors(o, q->user, q->device, cursors_bucket(a->conv));
    if ((c && cursors_cover(c, a->conv, a->seq)) || queue_find(q, a->conv, a->seq))
        return;
    struct entry e = {.conv = a->conv, .seq = a->seq, .pos = a->pos, .bytes = (uint32_t)a->payload.n};
    if (e.pos <= queue_last(q))
        e.pos = queue_last(q) + 1;
    rows_add_item(o, q, e.pos, a->payload, fx);
    queue_append(q, &e, fx);
    rows_touch_queue(o, q);
    metric_add(&queued, 1);
    if (queue_live(o, q))
        push(o, q, a, fx);
    keep_cap(o, q, fx);
}
