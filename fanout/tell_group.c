/* tell_group.c: events of a group: one item per slot and one queue record per partition, whatever its size. */
#include "common/base/crash.h"
#include "common/im/push.h"
#include "fanout/tell_int.h"

#include <stdlib.h>

/* Does the event change who is a member? Then what is kept of it is over. */
static bool moves(uint32_t kind)
{
    switch (kind) {
    case IM__CONV_KIND__CONV_GROUP_CREATE:
    case IM__CONV_KIND__CONV_GROUP_JOIN:
    case IM__CONV_KIND__CONV_GROUP_LEAVE:
    case IM__CONV_KIND__CONV_GROUP_INVITE:
    case IM__CONV_KIND__CONV_GROUP_REMOVE:
    case IM__CONV_KIND__CONV_GROUP_APPROVE:
    case IM__CONV_KIND__CONV_GROUP_DISSOLVE:
        return true;
    default:
        return false;
    }
}

static struct crowd **kept(struct tell *t, struct id16 conv)
{
    return &t->kept[conv.b[ID_SIZE - 1] % TELL_CROWDS];
}

struct crowd *tell_members(struct tell *t, const struct conv *conv, uint64_t seq, const struct convrec *rec)
{
    struct id16 id = conv_id(conv), user = rec->event.user;
    struct crowd *c = *kept(t, id);
    /* A device that has just logged in may not be seen yet: it counts as reached, this once. */
    bool seen = !rec->event.device || tell_from(t, rec), fresh = crowd_fresh(c, id);
    if (seen && fresh && crowd_from(c) <= seq)
        return c;
    if (!seen || fresh) /* what is kept is good for others */
        c = t->once;
    crowd_begin(c, id);
    crowd_add_roster(c, conv, seq, user, seen ? 0 : rec->event.device);
    if (crowd_from(c) > seq)
        crowd_spoil(c); /* some were left out */
    return c;
}

static int by_user(const void *key, const void *seat)
{
    return id_cmp(*(const struct id16 *)key, ((const struct conv_seat *)seat)->user);
}

static bool seated(const struct conv *conv, struct id16 user, uint64_t seq)
{
    const struct conv_seat *seats;
    size_t n = conv_roster(conv, user.b[0] & (CONV_BUCKETS - 1), &seats);
    const struct conv_seat *s = n ? bsearch(&user, seats, n, sizeof *seats, by_user) : NULL;
    return s && s->from <= seq;
}

/* They see their own going as the last thing. */
static void gather_leaving(struct crowd *c, const struct conv *conv, uint64_t seq, const struct convrec *rec)
{
    const uint8_t *users = rec->event.users.p;
    crowd_begin(c, rec->event.conv);
    if (rec->event.kind == IM__CONV_KIND__CONV_GROUP_LEAVE && !seated(conv, rec->event.user, seq))
        crowd_add_leaving(c, rec->event.user, rec->event.device);
    if (rec->event.kind != IM__CONV_KIND__CONV_GROUP_REMOVE)
        return;
    for (size_t i = 0; i < rec->event.users.n / ID_SIZE; i++) {
        struct id16 user;
        memcpy(user.b, users + i * ID_SIZE, ID_SIZE);
        if (!seated(conv, user, seq))
            crowd_add_leaving(c, user, 0);
    }
}

static void tell_crowd(struct tell *t, struct fx *fx, struct crowd *c, bool left, const struct convrec *rec,
                       const struct deliver_item *item)
{
    tell_count(crowd_tell(c, t->deliver, fx, item, tell_from(t, rec)));
    tell_count_offline(crowd_queue(c, fx, item->seq, left, rec->trace));
}

bool tell_group(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
                const struct conv_outcome *out)
{
    struct conv_cell missing[CONV_NEEDS_MAX];
    const struct conv_event *ev = &rec->event;
    struct deliver_item item =
        tell_item(IM__ITEM_KIND__ITEM_POINTED, IM__FRAME_TYPE__CHAT_PUSH, push_chat(fx, conv, rec, out), rec);
    if (conv_needs_roster(conv, missing))
        return false;
    item.conv = ev->conv;
    item.seq = out->seq;
    if (moves(ev->kind)) {
        struct crowd *c = *kept(t, ev->conv);
        bool forgotten = planted("left-still-told") && ev->kind == IM__CONV_KIND__CONV_GROUP_REMOVE;
        if (crowd_fresh(c, ev->conv) && !forgotten)
            crowd_spoil(c);
        gather_leaving(t->once, conv, out->seq, rec);
        tell_crowd(t, fx, t->once, true, rec, &item);
    }
    tell_crowd(t, fx, tell_members(t, conv, out->seq, rec), false, rec, &item);
    return true;
}
