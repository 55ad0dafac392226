/* tell_note.c: what was done without a number. Nothing of it is queued: a client that was away asks. */
#include "common/im/push.h"
#include "fanout/tell_int.h"

/* The user's sessions but the acting device's. */
static void tell_user(struct tell *t, struct fx *fx, struct id16 user, const struct convrec *rec,
                      const struct deliver_item *item)
{
    const struct session *live[PRESENCE_LIVE_MAX];
    bool own = id_eq(user, rec->event.user);
    size_t n = presence_sessions(t->views->presence, user, live), k = 0;
    for (size_t i = 0; i < n; i++)
        if (!own || live[i]->device != rec->event.device)
            live[k++] = live[i];
    deliver_each(t->deliver, fx, item, live, k);
    tell_count(k);
}

static bool tell_receipt(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
                         const struct conv_outcome *out)
{
    struct conv_cell missing[CONV_NEEDS_MAX];
    struct conv_member_view member;
    struct id16 pair[2];
    const struct conv_event *ev = &rec->event;
    const struct deliver_item item = tell_item(IM__ITEM_KIND__ITEM_EVENT, IM__FRAME_TYPE__RECEIPT_PUSH,
                                               push_receipt(fx, conv, rec, out), rec);
    size_t n = conv_pair(conv, pair);
    for (size_t i = 0; i < n; i++)
        tell_user(t, fx, pair[i], rec, &item);
    if (n)
        return true;
    if (conv_count(conv) > ev->settings.receipt_cap || !conv_member(conv, ev->user, &member) ||
        member.role == 0) {
        tell_user(t, fx, ev->user, rec, &item);
        return true;
    }
    if (conv_needs_roster(conv, missing))
        return false;
    /* Who joined after what was read learns nothing from it. */
    uint64_t seq = out->read > out->delivered ? out->read : out->delivered;
    struct crowd *c = tell_members(t, conv, seq, rec);
    tell_count(crowd_tell(c, t->deliver, fx, &item, tell_from(t, rec)));
    return true;
}

static bool tell_admins(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
                        const struct deliver_item *item)
{
    struct conv_cell missing[CONV_NEEDS_MAX];
    struct id16 admins[CONV_ADMINS];
    if (conv_needs_admins(conv, missing))
        return false;
    size_t n = conv_admins(conv, admins);
    for (size_t i = 0; i < n; i++)
        tell_user(t, fx, admins[i], rec, item);
    return true;
}

/* Each who asked, and was declined, hears of oneself alone. */
static void tell_declined(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
                          const struct conv_outcome *out)
{
    const uint8_t *users = rec->event.users.p;
    for (size_t i = 0; i < rec->event.users.n / ID_SIZE; i++) {
        struct id16 user;
        struct conv_outcome one = *out;
        one.changed[0] = one.changed[1] = 0;
        one.changed[i / 64] = out->changed[i / 64] & UINT64_C(1) << i % 64;
        if (!one.changed[i / 64])
            continue;
        memcpy(user.b, users + i * ID_SIZE, ID_SIZE);
        const struct deliver_item item = tell_item(IM__ITEM_KIND__ITEM_EVENT, IM__FRAME_TYPE__NOTE_PUSH,
                                                   push_note(fx, conv, rec, &one), rec);
        tell_user(t, fx, user, rec, &item);
    }
}

bool tell_note(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
               const struct conv_outcome *out)
{
    const struct conv_event *ev = &rec->event;
    if (ev->kind == IM__CONV_KIND__CONV_RECEIPT)
        return tell_receipt(t, fx, conv, rec, out);
    const struct deliver_item item =
        tell_item(IM__ITEM_KIND__ITEM_EVENT, IM__FRAME_TYPE__NOTE_PUSH, push_note(fx, conv, rec, out), rec);
    switch (ev->kind) {
    case IM__CONV_KIND__CONV_BLOCK:
    case IM__CONV_KIND__CONV_UNBLOCK:
        tell_user(t, fx, ev->user, rec, &item);
        return true;
    case IM__CONV_KIND__CONV_GROUP_DECLINE:
        tell_declined(t, fx, conv, rec, out);
        return tell_admins(t, fx, conv, rec, &item);
    default:
        return tell_admins(t, fx, conv, rec, &item);
    }
}
