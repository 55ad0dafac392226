/* sim_check_room.c: groups by a second set of rules, as small as can be: from the events of history alone, who was a
 * member at which place, and who might not write. What was accepted must fit to it. */
#include "proto/client.pb-c.h"
#include "tests/sim/sim_check_int.h"

struct model { /* a group before the next place */
    const struct sim *s;
    struct history *h;
    uint32_t members, leads, owner; /* bits */
    int64_t muted_until[SIM_USERS]; /* 0: not, INT64_MAX: for ever */
    uint32_t flags;
    bool dissolved;
};

static uint32_t bit_of(const struct sim *s, const void *id)
{
    for (uint32_t i = 0; i < s->conf.users; i++)
        if (!memcmp(s->world->users[i].id.b, id, ID_SIZE))
            return 1u << i;
    return 0;
}

static uint32_t named(const struct sim *s, const struct place *p)
{
    uint32_t all = 0;
    for (size_t i = 0; i < p->users.n / ID_SIZE; i++)
        all |= bit_of(s, (const uint8_t *)p->users.p + i * ID_SIZE);
    return all;
}

static void enter(struct model *m, uint32_t who, uint64_t seq)
{
    struct history *h = m->h;
    for (uint32_t u = 0; u < SIM_USERS; u++) {
        if (!(who & 1u << u))
            continue;
        if (m->members & 1u << u)
            sim_fail((struct sim *)(uintptr_t)m->s, "divergent",
                     "a member comes into a group again at place %lu", (unsigned long)seq);
        bool all = m->flags & IM__GROUP_FLAG__GROUP_HISTORY;
        if (all)
            h->n_times[u] = 0;
        if (h->n_times[u] == 16) { /* the oldest is forgotten */
            memmove(h->from[u], h->from[u] + 1, 15 * sizeof h->from[u][0]);
            memmove(h->to[u], h->to[u] + 1, 15 * sizeof h->to[u][0]);
            h->n_times[u]--;
        }
        h->from[u][h->n_times[u]] = all ? 1 : seq;
        h->to[u][h->n_times[u]++] = UINT64_MAX;
    }
    m->members |= who;
}

static void leave(struct model *m, uint32_t who, uint64_t seq)
{
    for (uint32_t u = 0; u < SIM_USERS; u++)
        if (who & m->members & 1u << u && m->h->n_times[u])
            m->h->to[u][m->h->n_times[u] - 1] = seq;
    m->members &= ~who;
    m->leads &= ~who;
}

static void mute(struct model *m, const struct place *p, uint32_t who)
{
    for (uint32_t u = 0; u < SIM_USERS; u++)
        if (who & 1u << u)
            m->muted_until[u] = p->row.kind == IM__CONV_KIND__CONV_GROUP_UNMUTE ? 0
                                : p->row.until_ms                               ? p->row.until_ms
                                                                                : INT64_MAX;
}

static void follow(struct model *m, const struct place *p, uint32_t actor)
{
    uint32_t who = named(m->s, p);
    m->flags = p->row.flags;
    switch (p->row.kind) {
    case IM__CONV_KIND__CONV_GROUP_CREATE:
        m->flags = 0; /* everybody begins at 1 */
        enter(m, actor | who, p->row.seq);
        m->flags = p->row.flags;
        m->leads = m->owner = actor;
        break;
    case IM__CONV_KIND__CONV_GROUP_JOIN:
        enter(m, actor, p->row.seq);
        break;
    case IM__CONV_KIND__CONV_GROUP_INVITE:
    case IM__CONV_KIND__CONV_GROUP_APPROVE:
        enter(m, who, p->row.seq);
        break;
    case IM__CONV_KIND__CONV_GROUP_LEAVE:
        leave(m, actor, p->row.seq);
        break;
    case IM__CONV_KIND__CONV_GROUP_REMOVE:
        leave(m, who, p->row.seq);
        break;
    case IM__CONV_KIND__CONV_GROUP_MUTE:
    case IM__CONV_KIND__CONV_GROUP_UNMUTE:
        mute(m, p, who);
        break;
    case IM__CONV_KIND__CONV_GROUP_ROLE:
        m->leads = p->row.role == IM__ROLE__ADMIN ? m->leads | who : m->leads & ~who;
        break;
    case IM__CONV_KIND__CONV_GROUP_HAND_OVER:
        m->owner = who;
        m->leads |= who;
        break;
    case IM__CONV_KIND__CONV_GROUP_DISSOLVE:
        m->dissolved = true;
        break;
    default:
        break;
    }
    m->h->opened |= (m->flags & IM__GROUP_FLAG__GROUP_HISTORY) != 0;
}

static uint32_t silent(const struct model *m, int64_t time_ms)
{
    uint32_t who = m->flags & IM__GROUP_FLAG__GROUP_QUIET ? ~m->leads : 0;
    for (uint32_t u = 0; u < SIM_USERS; u++)
        if (m->muted_until[u] > time_ms)
            who |= 1u << u;
    return who;
}

/* Might this be done by who did it? */
static void judge(struct sim *s, const struct model *m, const struct place *p, uint32_t actor)
{
    unsigned long seq = p->row.seq;
    bool comes =
        p->row.kind == IM__CONV_KIND__CONV_GROUP_CREATE || p->row.kind == IM__CONV_KIND__CONV_GROUP_JOIN;
    bool speaks = p->row.kind == IM__CONV_KIND__CONV_MESSAGE || p->row.kind == IM__CONV_KIND__CONV_EDIT ||
                  p->row.kind == IM__CONV_KIND__CONV_REACT;
    if (!actor || (comes ? m->members & actor : !(m->members & actor)))
        sim_fail(s, "trespass", "place %lu of a group, kind %u, is by somebody who is %s", seq, p->row.kind,
                 comes ? "a member already" : "no member");
    else if (speaks && silent(m, p->row.time_ms) & actor)
        sim_fail(s, "trespass", "place %lu of a group is by somebody who was muted", seq);
    else if (m->dissolved)
        sim_fail(s, "trespass", "place %lu is in a group that was dissolved", seq);
    else if (p->row.kind == IM__CONV_KIND__CONV_GROUP_REMOVE && !(m->leads & actor))
        sim_fail(s, "trespass", "place %lu: a removal by somebody who may not", seq);
}

void sim_room_model(struct check *k, struct history *h)
{
    struct model m = {.s = k->s, .h = h};
    for (uint64_t i = 0; i < h->n && h->v[i].row.seq; i++) {
        uint32_t actor = bit_of(k->s, h->v[i].row.sender.b);
        judge(k->s, &m, &h->v[i], actor);
        follow(&m, &h->v[i], actor);
    }
}

bool sim_room_sees(const struct history *h, uint64_t seq, uint32_t user)
{
    for (uint32_t i = 0; i < h->n_times[user]; i++)
        if (h->from[user][i] <= seq && seq <= h->to[user][i])
            return true;
    return false;
}

/* The rows that query goes by say the same. */
void sim_check_rooms(struct check *k)
{
    for (size_t i = 0; i < k->n; i++)
        for (uint32_t u = 0; k->h[i].room && u < k->s->conf.users; u++)
            for (uint64_t seq = 1; seq <= k->h[i].n + 1; seq++)
                if (sim_query_sees(k->s, k->s->world->users[u].id, k->h[i].conv, seq) !=
                    sim_room_sees(&k->h[i], seq, u))
                    sim_fail(k->s, "divergent", "memberships and events differ on whether %s sees place %lu",
                             k->s->world->users[u].login, (unsigned long)seq);
}
