/* Rules 2: groups: who comes and who goes, and that the others may speak. */
#include "common/base/crash.h"
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

static void mark(struct conv_outcome *out, size_t i)
{
    out->changed[i / 64] |= UINT64_C(1) << i % 64;
}

static bool marked(const struct conv_outcome *out, size_t i)
{
    return out->changed[i / 64] >> i % 64 & 1;
}

static void forget_ask(struct conv *c, struct conv_member *m)
{
    if (!m->asked)
        return;
    m->asked = false;
    m->dirty = true;
    c->group->asks--;
    c->dirty = true;
    conv_member_touch(c, m);
}

/* A member from number n on; who was one before keeps what they saw. */
static void enter(struct conv *c, struct conv_member *m, uint64_t n)
{
    if (c->group->flags & IM__GROUP_FLAG__GROUP_HISTORY) {
        m->n_visible = 0;
        n = 1;
    }
    conv_member_open(m, n);
    forget_ask(c, m);
    m->role = IM__ROLE__MEMBER;
    m->exists = m->dirty = true;
    conv_member_touch(c, m);
    conv_roster_put(c, m->user, n);
    c->group->count++;
}

/* Sees number n, but nothing after it. */
static void leave(struct conv *c, struct conv_member *m, uint64_t n)
{
    if (m->n_visible)
        conv_intervals(m)[m->n_visible - 1].to = n;
    if (m->role >= IM__ROLE__ADMIN)
        conv_admins_remove(c, m->user);
    m->role = IM__ROLE__ROLE_NONE;
    m->dirty = true;
    conv_member_touch(c, m);
    conv_roster_remove(c, m->user);
    c->group->count--;
}

uint16_t conv_group_create(struct conv *c, const struct conv_event *e)
{
    size_t n = conv_n_users(e), count = n + 1;
    if (!id_eq(id_group(e->user, e->device, e->client_seq), c->id))
        return IM__CODE__NOT_A_MEMBER;
    for (size_t i = 0; i < n; i++)
        if (id_eq(conv_user(e, i), e->user))
            count--;
    if (count > e->settings.group_cap)
        return IM__CODE__GROUP_FULL;
    c->type = CONV_GROUP;
    c->exists = c->dirty = true;
    struct conv_group *g = conv_group_get(c);
    g->flags = e->flags & CONV_GROUP_FLAGS;
    g->owner = e->user;
    g->admins_loaded = true;
    struct conv_member *owner = conv_member_here(c, e->user);
    enter(c, owner, 1);
    owner->role = IM__ROLE__OWNER;
    conv_admins_put(c, e->user);
    for (size_t i = 0; i < n; i++)
        if (!id_eq(conv_user(e, i), e->user))
            enter(c, conv_member_here(c, conv_user(e, i)), 1);
    return 0;
}

static bool full(const struct conv *c, const struct conv_event *e, size_t more)
{
    return c->group->count + more > e->settings.group_cap;
}

static uint16_t ask(struct conv *c, struct conv_member *m)
{
    struct conv_group *g = c->group;
    if (m->asked)
        return IM__CODE__NO_CHANGE;
    if (g->asks >= CONV_ASKS)
        return IM__CODE__GROUP_FULL;
    m->asked = m->exists = m->dirty = true;
    g->asks++;
    c->dirty = true;
    return CONV_NOTE;
}

static uint16_t join(struct conv *c, const struct conv_event *e, struct conv_member *m)
{
    struct conv_group *g = c->group;
    if (m->role)
        return IM__CODE__NO_CHANGE;
    if (g->dissolved || g->flags & IM__GROUP_FLAG__GROUP_PRIVATE)
        return IM__CODE__NOT_A_MEMBER;
    if (g->flags & IM__GROUP_FLAG__GROUP_APPROVAL)
        return ask(c, m);
    if (full(c, e, 1))
        return IM__CODE__GROUP_FULL;
    enter(c, m, c->head + 1);
    return 0;
}

/* Those marked come in. */
static void enter_marked(struct conv *c, const struct conv_event *e, const struct conv_outcome *out)
{
    for (size_t i = 0; i < conv_n_users(e); i++)
        if (marked(out, i))
            enter(c, conv_member_here(c, conv_user(e, i)), c->head + 1);
}

static void unmark(struct conv_outcome *out)
{
    out->changed[0] = out->changed[1] = 0;
}

static uint16_t invite(struct conv *c, const struct conv_event *e, const struct conv_member *m,
                       struct conv_outcome *out)
{
    const uint32_t closed = IM__GROUP_FLAG__GROUP_APPROVAL | IM__GROUP_FLAG__GROUP_PRIVATE;
    size_t more = 0;
    if (c->group->flags & closed && m->role < IM__ROLE__ADMIN)
        return IM__CODE__NOT_ALLOWED;
    for (size_t i = 0; i < conv_n_users(e); i++)
        if (!conv_member_here(c, conv_user(e, i))->role) {
            mark(out, i);
            more++;
        }
    if (!more)
        return IM__CODE__NO_CHANGE;
    if (full(c, e, more)) {
        unmark(out);
        return IM__CODE__GROUP_FULL;
    }
    enter_marked(c, e, out);
    return 0;
}

static uint16_t answer(struct conv *c, const struct conv_event *e, const struct conv_member *m,
                       struct conv_outcome *out)
{
    bool approve = e->kind == IM__CONV_KIND__CONV_GROUP_APPROVE;
    size_t asked = 0;
    if (m->role < IM__ROLE__ADMIN)
        return IM__CODE__NOT_ALLOWED;
    for (size_t i = 0; i < conv_n_users(e); i++)
        if (conv_member_here(c, conv_user(e, i))->asked) {
            mark(out, i);
            asked++;
        }
    if (!asked)
        return IM__CODE__NO_SUCH_MEMBER;
    if (approve && full(c, e, asked)) {
        unmark(out);
        return IM__CODE__GROUP_FULL;
    }
    if (approve) {
        enter_marked(c, e, out);
        return 0;
    }
    for (size_t i = 0; i < conv_n_users(e); i++)
        if (marked(out, i))
            forget_ask(c, conv_member_here(c, conv_user(e, i)));
    return CONV_NOTE;
}

static uint16_t go(struct conv *c, struct conv_member *m)
{
    struct conv_group *g = c->group;
    if (m->role == IM__ROLE__OWNER && g->count > 1)
        return IM__CODE__OWNER_STAYS;
    leave(c, m, c->head + 1);
    g->dissolved = g->count == 0;
    return 0;
}

static uint16_t put_out(struct conv *c, const struct conv_event *e, const struct conv_member *actor,
                        struct conv_outcome *out)
{
    uint16_t reason = conv_below(c, e, actor);
    for (size_t i = 0; !reason && i < conv_n_users(e); i++) {
        leave(c, conv_member_here(c, conv_user(e, i)), c->head + 1);
        mark(out, i);
    }
    return reason;
}

static uint16_t silenced(const struct conv *c, const struct conv_member *m, int64_t time_ms)
{
    bool quiet = c->group->flags & IM__GROUP_FLAG__GROUP_QUIET && m->role < IM__ROLE__ADMIN;
    return quiet || conv_muted(m, time_ms) ? IM__CODE__MUTED : 0;
}

uint16_t conv_group_judge(struct conv *c, const struct conv_event *e, struct conv_member *m,
                          struct conv_outcome *out)
{
    if (e->kind == IM__CONV_KIND__CONV_GROUP_JOIN)
        return join(c, e, m);
    if (!m->role && !planted("conv-no-membership"))
        return IM__CODE__NOT_A_MEMBER;
    if (c->group->dissolved)
        return IM__CODE__GONE;
    if (conv_names_members(e->kind) && conv_n_users(e) == 0)
        return IM__CODE__REFUSED;
    uint16_t quiet = silenced(c, m, out->time_ms);
    switch (e->kind) {
    case IM__CONV_KIND__CONV_GROUP_CREATE: /* judged by create already */
        return c->head ? IM__CODE__REFUSED : 0;
    case IM__CONV_KIND__CONV_MESSAGE:
        return quiet ? quiet : conv_reply_check(c, e, m);
    case IM__CONV_KIND__CONV_EDIT:
    case IM__CONV_KIND__CONV_RECALL:
    case IM__CONV_KIND__CONV_REACT:
    case IM__CONV_KIND__CONV_PIN:
    case IM__CONV_KIND__CONV_UNPIN:
        return conv_target_judge(c, e, m, quiet, out->time_ms);
    case IM__CONV_KIND__CONV_GROUP_LEAVE:
        return go(c, m);
    case IM__CONV_KIND__CONV_GROUP_INVITE:
        return invite(c, e, m, out);
    case IM__CONV_KIND__CONV_GROUP_APPROVE:
    case IM__CONV_KIND__CONV_GROUP_DECLINE:
        return answer(c, e, m, out);
    case IM__CONV_KIND__CONV_GROUP_REMOVE:
        return put_out(c, e, m, out);
    default:
        return conv_group_rule(c, e, m, out);
    }
}
