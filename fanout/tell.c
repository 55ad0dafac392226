#include "fanout/tell.h"

#include "common/base/metrics.h"
#include "common/im/deliver.h"
#include "common/im/push.h"

#include <stdlib.h>

#define MEMBERS_MAX 2

METRIC_COUNTER(items, "parley_fanout_items_total", "Recipients of pushed messages and outcomes.");
METRIC_COUNTER(offline, "parley_fanout_offline_total",
               "Members with a device that has to get a message later.");

struct tell {
    const struct fanout_views *views;
    struct deliver *deliver;
};

struct tell *tell_new(const struct fanout_views *views)
{
    struct tell *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->views = views;
    t->deliver = deliver_new(lease_slots(views->lease));
    if (!t->deliver) {
        free(t);
        return NULL;
    }
    return t;
}

void tell_free(struct tell *t)
{
    if (!t)
        return;
    deliver_free(t->deliver);
    free(t);
}

/* By its epoch alone: the presence of a session may arrive after its first send. An edge drops what is for a
 * connection that is gone. */
static void tell_sender(struct tell *t, struct fx *fx, const struct convrec *rec,
                        const struct conv_outcome *out)
{
    uint8_t payload[PUSH_ACK_MAX];
    if (!rec->has_origin || !lease_live(t->views->lease, rec->origin.slot, rec->origin.epoch))
        return;
    const struct deliver_item item = {
        .kind = IM__ITEM_KIND__ITEM_EVENT,
        .frame_type = IM__FRAME_TYPE__MSG_ACK,
        .payload = {payload, push_outcome(rec, out, payload)},
        .trace = rec->trace,
    };
    deliver_add(t->deliver, fx, &item, &rec->origin, 1);
    metric_add(&items, 1);
}

static bool holds(const uint32_t *list, size_t n, uint32_t device)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == device)
            return true;
    }
    return false;
}

/* Is there a device that none of `served` is? */
static bool misses(const uint32_t *devices, size_t n, const uint32_t *served, size_t n_served)
{
    for (size_t i = 0; i < n; i++) {
        if (!holds(served, n_served, devices[i]))
            return true;
    }
    return false;
}

static void tell_member(struct tell *t, struct fx *fx, struct id16 user, const struct convrec *rec,
                        const struct deliver_item *item)
{
    const struct session *live[PRESENCE_LIVE_MAX];
    struct session to[PRESENCE_LIVE_MAX];
    uint32_t served[PRESENCE_LIVE_MAX + 1];
    const struct presence *p = t->views->presence;
    bool sender = id_eq(user, rec->event.user);
    const uint32_t *devices;
    size_t n_devices, n = presence_reach(p, user, live, &devices, &n_devices), n_to = 0, n_served = 0;
    if (sender)
        served[n_served++] = rec->event.device;
    for (size_t i = 0; i < n; i++) {
        if (sender && live[i]->device == rec->event.device)
            continue;
        to[n_to++] = *live[i];
        served[n_served++] = live[i]->device;
    }
    if (n_to) {
        deliver_add(t->deliver, fx, item, to, n_to);
        metric_add(&items, (int64_t)n_to);
    }
    /* Nobody live: which devices there are is not known here. */
    if (n == 0 || n_devices == 0 || misses(devices, n_devices, served, n_served)) {
        const struct push_item queued = {.conv = item->conv, .seq = item->seq, .payload = item->payload};
        push_offline(fx, user, &queued, served, n_served, rec->trace);
        metric_add(&offline, 1);
    }
}

void tell_outcome(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
                  const struct conv_outcome *out)
{
    struct id16 members[MEMBERS_MAX];
    if (out->verdict != CONV_ACCEPTED) {
        tell_sender(t, fx, rec, out);
        return;
    }
    const struct deliver_item item = {
        .kind = IM__ITEM_KIND__ITEM_MESSAGE,
        .frame_type = IM__FRAME_TYPE__CHAT_PUSH,
        .payload = push_chat(fx, conv, rec, out),
        .conv = rec->event.conv,
        .seq = out->seq,
        .trace = rec->trace,
    };
    size_t n = conv_pair(conv, members);
    for (size_t i = 0; i < n; i++)
        tell_member(t, fx, members[i], rec, &item);
    tell_sender(t, fx, rec, out); /* last: the message's own record leaves first */
}

void tell_end(struct tell *t, struct fx *fx)
{
    deliver_flush(t->deliver, fx);
}
