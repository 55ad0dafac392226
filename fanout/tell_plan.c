/* tell_plan.c: which cells telling an event looks at, beyond those that judging it does. */
#include "fanout/tell_int.h"

static bool both(enum core_rc a, enum core_rc b)
{
    return a == CORE_MORE || b == CORE_MORE;
}

/* Who is no member is refused, and only they hear of it. Whatever makes them one in the same batch wants the roster
 * itself. */
static bool outsider(const struct conv *c, const struct conv_event *ev)
{
    struct conv_cell missing[CONV_NEEDS_MAX];
    struct conv_member_view m;
    return ev->kind != IM__CONV_KIND__CONV_GROUP_JOIN && conv_needs_member(c, ev->user, missing) == 0 &&
           (!conv_member(c, ev->user, &m) || m.role == 0);
}

enum core_rc tell_plan(struct convcache *convs, const struct conv_event *ev, bool past, struct want *want)
{
    const struct conv *c = convcache_find(convs, ev->conv);
    if (!c || conv_type(c) != CONV_GROUP)
        return CORE_OK; /* also while its header is on its way: the judging asks again then */
    if (!past && outsider(c, ev))
        return CORE_OK;
    switch (ev->kind) {
    case IM__CONV_KIND__CONV_GROUP_CREATE: /* there is a group: a repeat, of which only the sender hears, or the past */
        return past ? convcache_plan_roster(convs, ev->conv, want) : CORE_OK;
    case IM__CONV_KIND__CONV_RECEIPT: /* who makes the group smaller in the same batch wants its roster too */
        return conv_count(c) > ev->settings.receipt_cap ? CORE_OK
                                                        : convcache_plan_roster(convs, ev->conv, want);
    case IM__CONV_KIND__CONV_GROUP_DECLINE:
        return convcache_plan_admins(convs, ev->conv, want);
    case IM__CONV_KIND__CONV_GROUP_JOIN: /* accepted or noted: what comes before it may decide that */
        return both(convcache_plan_roster(convs, ev->conv, want),
                    convcache_plan_admins(convs, ev->conv, want))
                   ? CORE_MORE
                   : CORE_OK;
    default:
        return convcache_plan_roster(convs, ev->conv, want);
    }
}
