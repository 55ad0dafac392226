/* Rules 2: two people. Their friendship and who blocked whom are in the header.
 *
 *   friend   0: no; 1: the first of the pair asked, 2: the second did; 3: yes
 *   blocked  1: by the first of the pair, 2: by the second; or both */
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

#define FRIENDS 3

static void join(struct conv *c, struct id16 user)
{
    struct conv_member *m = conv_member_get(c, user);
    if (m->exists)
        return;
    m->loaded = m->exists = m->dirty = true;
    conv_member_open(m, 1);
    conv_member_touch(c, m);
}

uint16_t conv_direct_create(struct conv *c, const struct conv_event *e)
{
    static const struct id16 nobody; /* what was given by its id names no peer */
    if (id_eq(e->peer, nobody) || !id_eq(id_direct(e->user, e->peer), c->id))
        return IM__CODE__NOT_A_MEMBER;
    if (e->kind == IM__CONV_KIND__CONV_RECEIPT)
        return IM__CODE__NO_CHANGE;
    bool swap = id_cmp(e->user, e->peer) > 0;
    c->pair[0] = swap ? e->peer : e->user;
    c->pair[1] = swap ? e->user : e->peer;
    c->type = CONV_DIRECT;
    c->exists = c->dirty = true;
    join(c, c->pair[0]);
    join(c, c->pair[1]);
    return 0;
}

uint16_t conv_direct_admit(const struct conv *c, const struct conv_event *e)
{
    static const struct id16 nobody;
    if (!conv_in_pair(c, e->user))
        return IM__CODE__NOT_A_MEMBER;
    /* Not everything that is done in a conversation names the other one. */
    const struct id16 *other = &c->pair[id_eq(e->user, c->pair[0])];
    return id_eq(e->peer, *other) || id_eq(e->peer, nobody) ? 0 : IM__CODE__NOT_A_MEMBER;
}

/* As a bit: 1 or 2. */
static uint8_t side(const struct conv *c, struct id16 user)
{
    return id_eq(user, c->pair[0]) ? 1 : 2;
}

static uint16_t may_speak(const struct conv *c)
{
    return c->blocked ? IM__CODE__BLOCKED : 0;
}

static uint16_t message(const struct conv *c, const struct conv_event *e, const struct conv_member *m)
{
    if (c->blocked)
        return IM__CODE__BLOCKED;
    if (e->settings.strangers_refused && c->friend != FRIENDS && !id_eq(c->pair[0], c->pair[1]))
        return IM__CODE__NOT_FRIENDS;
    return conv_reply_check(c, e, m);
}

static uint16_t set_friend(struct conv *c, uint8_t value)
{
    if (c->friend == value)
        return IM__CODE__NO_CHANGE;
    c->friend = value;
    return 0;
}

static uint16_t request(struct conv *c, uint8_t me)
{
    if (c->friend == FRIENDS || c->friend == me)
        return IM__CODE__NO_CHANGE;
    if (c->blocked)
        return IM__CODE__BLOCKED;
    return set_friend(c, c->friend ? FRIENDS : me); /* the other one asked before: that settles it */
}

static uint16_t block(struct conv *c, uint8_t me)
{
    if (c->blocked & me)
        return IM__CODE__NO_CHANGE;
    c->blocked |= me;
    c->friend = 0;
    c->dirty = true;
    return CONV_NOTE;
}

static uint16_t unblock(struct conv *c, uint8_t me)
{
    if (!(c->blocked & me))
        return IM__CODE__NO_CHANGE;
    c->blocked &= (uint8_t)~me;
    c->dirty = true;
    return CONV_NOTE;
}

static uint16_t friendship(struct conv *c, const struct conv_event *e)
{
    uint8_t me = side(c, e->user), other = me ^ 3;
    if (id_eq(c->pair[0], c->pair[1]))
        return IM__CODE__REFUSED;
    switch (e->kind) {
    case IM__CONV_KIND__CONV_FRIEND_REQUEST:
        return request(c, me);
    case IM__CONV_KIND__CONV_FRIEND_CONFIRM:
        return c->friend == other ? set_friend(c, FRIENDS) : IM__CODE__NO_CHANGE;
    case IM__CONV_KIND__CONV_FRIEND_REFUSE:
        return c->friend == other ? set_friend(c, 0) : IM__CODE__NO_CHANGE;
    case IM__CONV_KIND__CONV_FRIEND_REMOVE:
        return c->friend == FRIENDS || c->friend == me ? set_friend(c, 0) : IM__CODE__NO_CHANGE;
    case IM__CONV_KIND__CONV_BLOCK:
        return block(c, me);
    default:
        return unblock(c, me);
    }
}

uint16_t conv_direct_judge(struct conv *c, const struct conv_event *e, struct conv_member *m,
                           struct conv_outcome *out)
{
    switch (e->kind) {
    case IM__CONV_KIND__CONV_MESSAGE:
        return message(c, e, m);
    case IM__CONV_KIND__CONV_EDIT:
    case IM__CONV_KIND__CONV_RECALL:
    case IM__CONV_KIND__CONV_REACT:
    case IM__CONV_KIND__CONV_PIN:
    case IM__CONV_KIND__CONV_UNPIN:
        return conv_target_judge(c, e, m, may_speak(c), out->time_ms);
    case IM__CONV_KIND__CONV_FRIEND_REQUEST:
    case IM__CONV_KIND__CONV_FRIEND_CONFIRM:
    case IM__CONV_KIND__CONV_FRIEND_REFUSE:
    case IM__CONV_KIND__CONV_FRIEND_REMOVE:
    case IM__CONV_KIND__CONV_BLOCK:
    case IM__CONV_KIND__CONV_UNBLOCK:
        return friendship(c, e);
    default:
        return IM__CODE__REFUSED;
    }
}

uint32_t conv_friend(const struct conv *c, struct id16 user)
{
    if (!c->exists || c->type != CONV_DIRECT || !c->friend)
        return IM__FRIEND_STATE__NO_FRIEND;
    return c->friend == FRIENDS         ? IM__FRIEND_STATE__FRIEND
           : c->friend == side(c, user) ? IM__FRIEND_STATE__ASKED
                                        : IM__FRIEND_STATE__ASKED_ME;
}

bool conv_blocked_by(const struct conv *c, struct id16 user)
{
    return c->exists && c->type == CONV_DIRECT && conv_in_pair(c, user) && c->blocked & side(c, user);
}
