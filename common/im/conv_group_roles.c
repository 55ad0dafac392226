/* Rules 2: groups: roles, mutes, settings, the end. */
#include "common/base/crash.h"
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

#define FOR_EVER (-1)

bool conv_names_members(uint32_t kind)
{
    switch (kind) {
    case IM__CONV_KIND__CONV_GROUP_INVITE:
    case IM__CONV_KIND__CONV_GROUP_REMOVE:
    case IM__CONV_KIND__CONV_GROUP_ROLE:
    case IM__CONV_KIND__CONV_GROUP_HAND_OVER:
    case IM__CONV_KIND__CONV_GROUP_MUTE:
    case IM__CONV_KIND__CONV_GROUP_UNMUTE:
    case IM__CONV_KIND__CONV_GROUP_APPROVE:
    case IM__CONV_KIND__CONV_GROUP_DECLINE:
        return true;
    }
    return false;
}

bool conv_changes_roster(uint32_t kind)
{
    return kind == IM__CONV_KIND__CONV_GROUP_JOIN || kind == IM__CONV_KIND__CONV_GROUP_LEAVE ||
           kind == IM__CONV_KIND__CONV_GROUP_INVITE || kind == IM__CONV_KIND__CONV_GROUP_APPROVE ||
           kind == IM__CONV_KIND__CONV_GROUP_REMOVE;
}

bool conv_changes_admins(uint32_t kind)
{
    return kind == IM__CONV_KIND__CONV_GROUP_LEAVE || kind == IM__CONV_KIND__CONV_GROUP_REMOVE ||
           kind == IM__CONV_KIND__CONV_GROUP_ROLE || kind == IM__CONV_KIND__CONV_GROUP_HAND_OVER;
}

bool conv_muted(const struct conv_member *m, int64_t time_ms)
{
    return m->muted_until_ms == FOR_EVER || m->muted_until_ms > time_ms;
}

uint16_t conv_below(struct conv *c, const struct conv_event *e, const struct conv_member *actor)
{
    size_t n = conv_n_users(e);
    if (actor->role < IM__ROLE__ADMIN)
        return IM__CODE__NOT_ALLOWED;
    for (size_t i = 0; i < n; i++)
        if (!conv_member_here(c, conv_user(e, i))->role)
            return IM__CODE__NO_SUCH_MEMBER;
    for (size_t i = 0; i < n; i++)
        if (conv_member_here(c, conv_user(e, i))->role >= actor->role)
            return IM__CODE__NOT_ALLOWED; /* oneself too */
    return 0;
}

static void changed(struct conv *c, struct conv_member *m, struct conv_outcome *out, size_t i)
{
    m->dirty = true;
    conv_member_touch(c, m);
    out->changed[i / 64] |= UINT64_C(1) << i % 64;
}

static uint16_t any(const struct conv_outcome *out)
{
    return out->changed[0] | out->changed[1] ? 0 : IM__CODE__NO_CHANGE;
}

static int64_t mute_until(uint64_t duration_s, int64_t time_ms)
{
    if (duration_s == 0)
        return FOR_EVER;
    int64_t room = time_ms > 0 ? INT64_MAX - time_ms : INT64_MAX;
    if (duration_s > (uint64_t)room / 1000)
        return INT64_MAX;
    int64_t until = time_ms + (int64_t)duration_s * 1000;
    return until > 0 ? until : 1; /* 0 and -1 mean something else */
}

static uint16_t mute(struct conv *c, const struct conv_event *e, const struct conv_member *actor,
                     struct conv_outcome *out)
{
    bool on = e->kind == IM__CONV_KIND__CONV_GROUP_MUTE;
    int64_t until = on ? mute_until(e->duration_s, out->time_ms) : 0;
    uint16_t reason = conv_below(c, e, actor);
    if (reason)
        return reason;
    for (size_t i = 0; i < conv_n_users(e); i++) {
        struct conv_member *m = conv_member_here(c, conv_user(e, i));
        if (on ? m->muted_until_ms == until : !conv_muted(m, out->time_ms))
            continue;
        if (!planted("conv-forget-mute"))
            m->muted_until_ms = until;
        changed(c, m, out, i);
    }
    if (until > 0)
        out->until_ms = until;
    return any(out);
}

static uint16_t role_check(struct conv *c, const struct conv_event *e, const struct conv_member *actor)
{
    size_t more = 0;
    if (actor->role != IM__ROLE__OWNER)
        return IM__CODE__NOT_ALLOWED;
    if (e->role != IM__ROLE__ADMIN && e->role != IM__ROLE__MEMBER)
        return IM__CODE__REFUSED;
    for (size_t i = 0; i < conv_n_users(e); i++)
        if (!conv_member_here(c, conv_user(e, i))->role)
            return IM__CODE__NO_SUCH_MEMBER;
    for (size_t i = 0; i < conv_n_users(e); i++) {
        uint8_t was = conv_member_here(c, conv_user(e, i))->role;
        if (was == IM__ROLE__OWNER)
            return IM__CODE__NOT_ALLOWED;
        more += was < e->role;
    }
    return more && c->group->n_admins + more > CONV_ADMINS ? IM__CODE__REFUSED : 0;
}

static uint16_t set_role(struct conv *c, const struct conv_event *e, const struct conv_member *actor,
                         struct conv_outcome *out)
{
    uint16_t reason = role_check(c, e, actor);
    if (reason)
        return reason;
    for (size_t i = 0; i < conv_n_users(e); i++) {
        struct conv_member *m = conv_member_here(c, conv_user(e, i));
        if (m->role == e->role)
            continue;
        m->role = (uint8_t)e->role;
        if (e->role == IM__ROLE__ADMIN)
            conv_admins_put(c, m->user);
        else
            conv_admins_remove(c, m->user);
        changed(c, m, out, i);
    }
    return any(out);
}

static uint16_t hand_over(struct conv *c, const struct conv_event *e, struct conv_member *actor,
                          struct conv_outcome *out)
{
    struct conv_group *g = c->group;
    if (actor->role != IM__ROLE__OWNER)
        return IM__CODE__NOT_ALLOWED;
    if (conv_n_users(e) != 1)
        return IM__CODE__REFUSED;
    struct conv_member *m = conv_member_here(c, conv_user(e, 0));
    if (!m->role)
        return IM__CODE__NO_SUCH_MEMBER;
    if (m == actor)
        return IM__CODE__NO_CHANGE;
    if (m->role < IM__ROLE__ADMIN && g->n_admins == CONV_ADMINS)
        return IM__CODE__REFUSED;
    actor->role = IM__ROLE__ADMIN;
    actor->dirty = true;
    m->role = IM__ROLE__OWNER;
    changed(c, m, out, 0);
    conv_admins_put(c, m->user);
    g->owner = m->user;
    return 0;
}

static uint16_t set_flags(struct conv *c, const struct conv_event *e)
{
    uint32_t mask = e->flags_mask & CONV_GROUP_FLAGS, flags = (c->group->flags & ~mask) | (e->flags & mask);
    if (flags == c->group->flags)
        return IM__CODE__NO_CHANGE;
    c->group->flags = flags;
    return 0;
}

uint16_t conv_group_rule(struct conv *c, const struct conv_event *e, struct conv_member *m,
                         struct conv_outcome *out)
{
    bool leads = m->role >= IM__ROLE__ADMIN;
    switch (e->kind) {
    case IM__CONV_KIND__CONV_GROUP_ROLE:
        return set_role(c, e, m, out);
    case IM__CONV_KIND__CONV_GROUP_HAND_OVER:
        return hand_over(c, e, m, out);
    case IM__CONV_KIND__CONV_GROUP_MUTE:
    case IM__CONV_KIND__CONV_GROUP_UNMUTE:
        return mute(c, e, m, out);
    case IM__CONV_KIND__CONV_GROUP_RENAME:
    case IM__CONV_KIND__CONV_GROUP_NOTICE: /* what they say is nobody's business here */
        return leads ? 0 : IM__CODE__NOT_ALLOWED;
    case IM__CONV_KIND__CONV_GROUP_SETTINGS:
        return leads ? set_flags(c, e) : IM__CODE__NOT_ALLOWED;
    case IM__CONV_KIND__CONV_GROUP_DISSOLVE:
        if (m->role != IM__ROLE__OWNER)
            return IM__CODE__NOT_ALLOWED;
        c->group->dissolved = true;
        return 0;
    default:
        return IM__CODE__REFUSED;
    }
}
