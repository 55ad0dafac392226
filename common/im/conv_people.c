/* Members, in memory. */
#include "common/im/conv_private.h"

#include <stdlib.h>

bool conv_in_pair(const struct conv *c, struct id16 user)
{
    return id_eq(user, c->pair[0]) || id_eq(user, c->pair[1]);
}

/* The first that is not below. */
static size_t place(const struct conv *c, struct id16 user)
{
    size_t lo = 0, hi = c->n_members;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (id_cmp(c->members[mid]->user, user) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct conv_member *conv_member_find(const struct conv *c, struct id16 user)
{
    if (c->n_members <= 2) { /* nearly always */
        for (size_t i = 0; i < c->n_members; i++)
            if (id_eq(c->members[i]->user, user))
                return c->members[i];
        return NULL;
    }
    size_t at = place(c, user);
    return at < c->n_members && id_eq(c->members[at]->user, user) ? c->members[at] : NULL;
}

struct conv_member *conv_member_get(struct conv *c, struct id16 user)
{
    size_t at = place(c, user);
    if (at < c->n_members && id_eq(c->members[at]->user, user))
        return c->members[at];
    if (c->n_members == c->cap_members) {
        c->cap_members = c->cap_members ? 2 * c->cap_members : 2;
        c->members = conv_realloc(c->members, c->cap_members * sizeof *c->members);
    }
    memmove(c->members + at + 1, c->members + at, (c->n_members - at) * sizeof *c->members);
    struct conv_member *m = c->members[at] = conv_realloc(NULL, sizeof *m);
    *m = (struct conv_member){.user = user};
    c->n_members++;
    conv_member_weigh(c, m);
    return m;
}

struct conv_member *conv_member_here(struct conv *c, struct id16 user)
{
    struct conv_member *m = conv_member_find(c, user);
    if (!m && c->fresh) {
        m = conv_member_get(c, user);
        m->loaded = true;
    }
    if (!m || !m->loaded)
        conv_broken("applied without a member's cell");
    return m;
}

void conv_member_drop(struct conv *c, size_t index)
{
    struct conv_member *m = c->members[index];
    if (m->touched) {
        size_t i = 0;
        while (c->touched[i] != m)
            i++;
        memmove(c->touched + i, c->touched + i + 1, (--c->n_touched - i) * sizeof *c->touched);
    }
    while (m->n_rings)
        conv_ring_drop(m, m->n_rings - 1);
    c->weight -= m->weight;
    free(m->rings);
    free(m->floors);
    free(m->many);
    free(m);
    c->n_members--;
    memmove(c->members + index, c->members + index + 1, (c->n_members - index) * sizeof *c->members);
}

void conv_member_touch(struct conv *c, struct conv_member *m)
{
    if (m->touched)
        return;
    if (c->n_touched == c->cap_touched) {
        c->cap_touched = c->cap_touched ? 2 * c->cap_touched : 2;
        c->touched = conv_realloc(c->touched, c->cap_touched * sizeof *c->touched);
    }
    size_t at = c->n_touched++;
    for (; at > 0 && id_cmp(c->touched[at - 1]->user, m->user) > 0; at--)
        c->touched[at] = c->touched[at - 1];
    c->touched[at] = m;
    m->touched = true;
}

void conv_member_weigh(struct conv *c, struct conv_member *m)
{
    size_t now = sizeof *m + sizeof m + m->cap_rings * sizeof *m->rings +
                 (m->floors ? CONV_FLOORS * sizeof *m->floors : 0) +
                 (m->many ? CONV_VISIBLE * sizeof *m->many : 0);
    for (size_t r = 0; r < m->n_rings; r++)
        now += m->rings[r].cap * sizeof *m->rings[r].entries;
    c->weight += now - m->weight;
    m->weight = now;
}

void conv_member_open(struct conv_member *m, uint64_t from)
{
    if (m->n_visible == 0) {
        m->n_visible = 1;
        conv_intervals(m)[0] = (struct conv_interval){.from = from, .to = 0};
        return;
    }
    if (!m->many) {
        m->many = conv_realloc(NULL, CONV_VISIBLE * sizeof *m->many);
        m->many[0] = m->one;
    }
    if (m->n_visible == CONV_VISIBLE)
        memmove(m->many, m->many + 1, --m->n_visible * sizeof *m->many);
    m->many[m->n_visible++] = (struct conv_interval){.from = from, .to = 0};
}

bool conv_member_sees(const struct conv_member *m, uint64_t seq)
{
    const struct conv_interval *v = conv_intervals_of(m);
    for (size_t i = m->n_visible; i-- > 0;)
        if (seq >= v[i].from)
            return v[i].to == 0 || seq <= v[i].to;
    return false;
}
