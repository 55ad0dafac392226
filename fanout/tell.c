#include "fanout/tell.h"

#include "common/base/metrics.h"
#include "common/im/push.h"
#include "fanout/tell_int.h"

#include <stdlib.h>

METRIC_COUNTER(items, "parley_fanout_items_total", "Recipients of pushed messages and outcomes.");
METRIC_COUNTER(offline, "parley_fanout_offline_total",
               "Members with a device that has to get a message later.");

struct tell *tell_new(const struct fanout_views *views)
{
    struct tell *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->views = views;
    t->deliver = deliver_new(lease_slots(views->lease));
    t->once = crowd_new(views);
    bool ok = t->deliver && t->once;
    for (size_t i = 0; i < TELL_CROWDS; i++)
        ok &= (t->kept[i] = crowd_new(views)) != NULL;
    if (ok)
        return t;
    tell_free(t);
    return NULL;
}

void tell_free(struct tell *t)
{
    if (!t)
        return;
    deliver_free(t->deliver);
    crowd_free(t->once);
    for (size_t i = 0; i < TELL_CROWDS; i++)
        crowd_free(t->kept[i]);
    free(t);
}

void tell_count(size_t sessions)
{
    metric_add(&items, (int64_t)sessions);
}

void tell_count_offline(size_t users)
{
    metric_add(&offline, (int64_t)users);
}

const struct session *tell_from(const struct tell *t, const struct convrec *rec)
{
    return presence_device(t->views->presence, rec->event.user, rec->event.device);
}

struct deliver_item tell_item(Im__ItemKind kind, Im__FrameType type, struct slice payload,
                              const struct convrec *rec)
{
    return (struct deliver_item){.kind = kind, .frame_type = type, .payload = payload, .trace = rec->trace};
}

/* By its epoch alone: the presence of a session may arrive after its first send. An edge drops what is for a
 * connection that is gone. */
static void tell_sender(struct tell *t, struct fx *fx, const struct convrec *rec,
                        const struct conv_outcome *out)
{
    uint8_t payload[PUSH_ACK_MAX];
    if (!rec->has_origin || !lease_live(t->views->lease, rec->origin.slot, rec->origin.epoch))
        return;
    const struct deliver_item item = tell_item(IM__ITEM_KIND__ITEM_EVENT, IM__FRAME_TYPE__MSG_ACK,
                                               (struct slice){payload, push_outcome(rec, out, payload)}, rec);
    deliver_add(t->deliver, fx, &item, &rec->origin, 1);
    tell_count(1);
}

static void tell_one(struct tell *t, struct fx *fx, struct id16 user, const struct convrec *rec,
                     const struct deliver_item *item)
{
    const struct session *live[PRESENCE_LIVE_MAX];
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
        served[n_served++] = live[i]->device;
        live[n_to++] = live[i];
    }
    deliver_each(t->deliver, fx, item, live, n_to);
    tell_count(n_to);
    /* Nobody live: which devices there are is not known here. */
    if (n == 0 || n_devices == 0 || crowd_misses(devices, n_devices, served, n_served)) {
        const struct push_item queued = {.conv = item->conv, .seq = item->seq, .payload = item->payload};
        push_offline(fx, user, &queued, served, n_served, rec->trace);
        tell_count_offline(1);
    }
}

void tell_direct(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
                 const struct conv_outcome *out)
{
    struct id16 pair[2];
    struct deliver_item item =
        tell_item(IM__ITEM_KIND__ITEM_MESSAGE, IM__FRAME_TYPE__CHAT_PUSH, push_chat(fx, conv, rec, out), rec);
    item.conv = rec->event.conv;
    item.seq = out->seq;
    size_t n = conv_pair(conv, pair);
    for (size_t i = 0; i < n; i++)
        tell_one(t, fx, pair[i], rec, &item);
}

bool tell_outcome(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
                  const struct conv_outcome *out)
{
    bool ok = true;
    if (out->verdict == CONV_NOTED) {
        ok = tell_note(t, fx, conv, rec, out);
    } else if (out->verdict == CONV_ACCEPTED) {
        enum conv_type type = conv_type(conv);
        if (type == CONV_GROUP)
            ok = tell_group(t, fx, conv, rec, out);
        else if (type == CONV_SYSTEM)
            tell_system(t, fx, conv, rec, out);
        else
            tell_direct(t, fx, conv, rec, out);
    }
    tell_sender(t, fx, rec, out); /* last: the message's own record leaves first */
    return ok;
}

void tell_end(struct tell *t, struct fx *fx)
{
    deliver_flush(t->deliver, fx);
}
