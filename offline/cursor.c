/* A device has everything of a conversation up to here: that leaves its queue. */
#include "common/base/metrics.h"
#include "offline/state.h"

#include <errno.h>

METRIC_COUNTER(confirmed, "parley_offline_confirmed_total",
               "Messages that left a queue because the device has them.");

struct covering {
    struct offline *o;
    struct range range;
};

static bool covered(void *ctx, const struct entry *e)
{
    const struct range *r = &((struct covering *)ctx)->range;
    return r->from <= e->seq && e->seq <= r->upto && id_eq(r->conv, e->conv);
}

static void gone(void *ctx, const struct queue *q, const struct entry *e)
{
    rows_forget_item(((struct covering *)ctx)->o, q, e->pos);
}

enum core_rc off_cursor(struct offline *o, const struct record *rec, struct fx *fx)
{
    Im__CursorRecord *m;
    if (rec->value.n == 0)
        return CORE_OK; /* somebody tidied the topic */
    int rc = decode_cursor(o, rec, &m);
    if (rc)
        return rc == -ENOTSUP ? CORE_STOP : CORE_POISON;
    struct id16 user = codec_id(m->user);
    struct range in = {.conv = codec_id(m->conversation), .from = m->from, .upto = m->upto};
    struct user *u = rows_user(o, user);
    struct queue *q = rows_queue(o, user, m->device);
    struct cursors *c = rows_cursors(o, user, m->device, cursors_bucket(in.conv));
    if (!u || u->marks.missing || !q || !c)
        return CORE_STOP;
    if (!user_may_have(u, m->device) || !cursors_merge(c, &in))
        return CORE_OK;
    rows_touch_cursors(o, c);
    marks_cover(o, u, in.conv);
    struct covering what = {o, *cursors_find(c, in.conv)};
    size_t n = queue_remove(q, covered, gone, &what, fx);
    if (n == 0)
        return CORE_OK;
    metric_add(&confirmed, (int64_t)n);
    if (q->n == 0 && q->rest_in_history) { /* told with the page that these came in */
        q->rest_in_history = false;
        q->header_dirty = true;
    }
    rows_touch_queue(o, q);
    return CORE_OK;
}
