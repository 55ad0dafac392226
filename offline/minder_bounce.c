/* Whom an item of a dead edge was for, and back to them. */
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/codec.h"
#include "common/im/topics.h"
#include "common/im/traceid.h"
#include "offline/minder_state.h"

#include <stdlib.h>

METRIC_COUNTER(bounced, "parley_offline_minder_bounced_total", "Messages of dead edges handed back.");
METRIC_COUNTER(unknown, "parley_offline_minder_unknown_total",
               "Messages of dead edges for connections that are not known any more.");

static void bounce(struct minder_core *m, uint32_t slot, const struct session *to, const Im__DeliverItem *it,
                   ticket held)
{
    Im__Session session;
    session_to_pb(to, &session);
    Im__QueueItem q = IM__QUEUE_ITEM__INIT, *items[1] = {&q};
    q.conversation = it->conversation;
    q.seq = it->seq;
    if (it->kind == IM__ITEM_KIND__ITEM_MESSAGE)
        q.payload = it->payload;
    Im__OffBounce b = IM__OFF_BOUNCE__INIT;
    b.session = &session;
    b.n_items = 1;
    b.items = items;
    Im__OfflineRecord r = IM__OFFLINE_RECORD__INIT;
    r.version = CODEC_VERSION;
    r.user = codec_bytes(slice_id(&to->user));
    r.trace = it->trace;
    r.body_case = IM__OFFLINE_RECORD__BODY_BOUNCE;
    r.bounce = &b;
    minder_send_held(m, slot, FX_BY_KEY, slice_id(&to->user), &r, held);
    metric_add(&bounced, 1);
}

static bool is_named(const Im__DeliverItem *it)
{
    return it->users.len == it->n_handles * ID_SIZE && it->n_devices == it->n_handles &&
           it->n_logins == it->n_handles;
}

/* The recipients are named in the item, or known to the presence view. */
static bool recipient(const struct minder_core *m, uint32_t slot, uint64_t epoch, const Im__DeliverItem *it,
                      size_t i, struct session *out)
{
    if (is_named(it)) {
        *out = (struct session){.device = it->devices[i],
                                .slot = slot,
                                .epoch = epoch,
                                .handle = it->handles[i],
                                .login_offset = it->logins[i]};
        memcpy(out->user.b, it->users.data + i * ID_SIZE, ID_SIZE);
        return true;
    }
    const struct session *known = presence_find(m->conf.presence, slot, epoch, it->handles[i]);
    if (!known)
        known = presence_ended(m->conf.presence, slot, epoch, it->handles[i]);
    if (known)
        *out = *known;
    return known;
}

static int by_part_and_user(const void *a, const void *b)
{
    const struct mpoint *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return id_cmp(x->user, y->user);
}

/* One record for the points of a partition, each user once. `users` has room for all of them. */
static void send_points(struct minder_core *m, uint32_t slot, const struct mpoint *p, size_t n,
                        uint8_t *users, const Im__DeliverItem *it, ticket held)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !id_eq(p[i].user, p[i - 1].user))
            memcpy(users + k++ * ID_SIZE, p[i].user.b, ID_SIZE);
    Im__OffGroup g = IM__OFF_GROUP__INIT;
    g.conversation = it->conversation;
    g.seq = it->seq;
    g.users = (ProtobufCBinaryData){k * ID_SIZE, users};
    Im__OfflineRecord r = IM__OFFLINE_RECORD__INIT;
    r.version = CODEC_VERSION;
    r.trace = it->trace;
    r.body_case = IM__OFFLINE_RECORD__BODY_GROUP;
    r.group = &g;
    minder_send_held(m, slot, p[0].part, (struct slice){NULL, 0}, &r, held);
}

/* Many, of an event that is in history: their sessions are over with the epoch, so a list of users is enough. */
static void point(struct minder_core *m, uint32_t slot, const struct mpoint *p, size_t n,
                  const Im__DeliverItem *it, ticket held)
{
    uint8_t *users = malloc(n * ID_SIZE + 1);
    if (!users)
        abort();
    for (size_t at = 0, end; at < n; at = end) {
        for (end = at + 1; end < n && p[end].part == p[at].part;)
            end++;
        send_points(m, slot, p + at, end - at, users, it, held);
    }
    free(users);
    metric_add(&bounced, (int64_t)n);
}

static struct mpoint *room_for(struct minder_core *m, size_t n)
{
    if (n > m->cap_points) {
        m->cap_points = n;
        m->points = realloc(m->points, n * sizeof *m->points);
        if (!m->points)
            abort();
    }
    return m->points;
}

void minder_bounce_item(struct minder_core *m, uint32_t slot, uint64_t epoch, const Im__DeliverItem *it,
                        ticket held)
{
    bool pointed = it->kind == IM__ITEM_KIND__ITEM_POINTED;
    if (it->kind != IM__ITEM_KIND__ITEM_MESSAGE && !pointed)
        return;
    bool together = pointed && !is_named(it);
    struct mpoint *points = together ? room_for(m, it->n_handles) : NULL;
    size_t lost = 0, n = 0;
    for (size_t i = 0; i < it->n_handles; i++) {
        struct session to;
        if (!recipient(m, slot, epoch, it, i, &to))
            lost++;
        else if (together)
            points[n++] = (struct mpoint){(int32_t)((topics_murmur2(slice_id(&to.user)) & 0x7fffffff) %
                                                    (uint32_t)m->conf.offline_parts),
                                          to.user};
        else
            bounce(m, slot, &to, it, held);
    }
    if (n) {
        qsort(points, n, sizeof *points, by_part_and_user);
        point(m, slot, points, n, it, held);
    }
    if (lost) {
        metric_add(&unknown, (int64_t)lost);
        log_warn("a dead edge's message is for connections that nobody knows any more",
                 log_uint("slot", slot), log_uint("epoch", epoch), log_uint("connections", lost),
                 log_uint("seq", it->seq), traceid_log(codec_slice(it->trace)));
    }
}
