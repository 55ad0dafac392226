/* tell_signal.c: typing. Whatever is not known here is a reason to say nothing. */
#include "common/im/push.h"
#include "fanout/tell_int.h"

#define MEMBERS_MAX 200 /* of a group whose members see each other type */

/* What a message of this user's would look at, but no ring. */
static struct conv_event like_a_message(const Im__SignalRecord *s)
{
    return (struct conv_event){.rules = CONV_RULES,
                               .kind = IM__CONV_KIND__CONV_MESSAGE,
                               .conv = codec_id(s->conversation),
                               .user = codec_id(s->user),
                               .device = s->device};
}

enum core_rc tell_plan_signal(struct convcache *convs, const Im__SignalRecord *s, struct want *want)
{
    const struct conv_event ev = like_a_message(s);
    enum core_rc rc = convcache_plan(convs, &ev, want);
    if (rc == CORE_STOP)
        return CORE_OK;
    const struct conv *c = convcache_find(convs, ev.conv);
    if (!c || conv_type(c) != CONV_GROUP || conv_count(c) > MEMBERS_MAX)
        return rc;
    enum core_rc roster = convcache_plan_roster(convs, ev.conv, want);
    return rc == CORE_MORE || roster == CORE_MORE ? CORE_MORE : CORE_OK;
}

static bool may_type(const struct conv *c, struct id16 user, int64_t time_ms)
{
    struct conv_member_view m;
    if (!conv_member(c, user, &m) || m.role == 0 || conv_dissolved(c))
        return false;
    if (m.muted_until_ms < 0 || m.muted_until_ms > time_ms)
        return false;
    return !(conv_flags(c) & IM__GROUP_FLAG__GROUP_QUIET) || m.role > IM__ROLE__MEMBER;
}

/* As of a message: who may not write does not type either. */
static bool two_may_type(const struct conv *c, const struct id16 pair[2], bool strangers_refused)
{
    if (conv_blocked_by(c, pair[0]) || conv_blocked_by(c, pair[1]))
        return false;
    return !strangers_refused || conv_friend(c, pair[0]) == IM__FRIEND_STATE__FRIEND;
}

static void tell_other(struct tell *t, struct fx *fx, const struct deliver_item *item, struct id16 user)
{
    const struct session *live[PRESENCE_LIVE_MAX];
    size_t n = presence_sessions(t->views->presence, user, live);
    deliver_each(t->deliver, fx, item, live, n);
    tell_count(n);
}

static void tell_others(struct tell *t, struct fx *fx, const struct deliver_item *item, const struct conv *c,
                        struct id16 user)
{
    for (unsigned b = 0; b < CONV_BUCKETS; b++) {
        const struct conv_seat *seats;
        size_t n = conv_roster(c, b, &seats);
        for (size_t i = 0; i < n; i++)
            if (!id_eq(seats[i].user, user))
                tell_other(t, fx, item, seats[i].user);
    }
}

void tell_signal(struct tell *t, struct fx *fx, const struct convcache *convs, const Im__SignalRecord *s,
                 int64_t time_ms)
{
    const struct conv_event ev = like_a_message(s);
    struct conv_cell missing[CONV_NEEDS_MAX];
    struct id16 pair[2];
    const struct conv *c = convcache_find(convs, ev.conv);
    if (!c || conv_needs(c, &ev, missing))
        return;
    bool group = conv_type(c) == CONV_GROUP;
    size_t n = conv_pair(c, pair);
    if (group ? conv_count(c) > MEMBERS_MAX || !may_type(c, ev.user, time_ms) || conv_needs_roster(c, missing)
              : n != 2 || !two_may_type(c, pair, s->strangers_refused))
        return;
    bool first = id_eq(pair[0], ev.user);
    if (!group && !first && !id_eq(pair[1], ev.user))
        return;
    const struct deliver_item item = {
        .kind = IM__ITEM_KIND__ITEM_SIGNAL,
        .frame_type = IM__FRAME_TYPE__TYPING_PUSH,
        .payload = push_typing(fx, ev.conv, ev.user, (struct slice){s->user_login, strlen(s->user_login)},
                               s->stopped, group),
    };
    if (group)
        tell_others(t, fx, &item, c, ev.user);
    else
        tell_other(t, fx, &item, pair[first]);
}
