/* Looking at a conversation. */
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

enum conv_type conv_type(const struct conv *c)
{
    return c->exists ? (enum conv_type)c->type : CONV_NOTHING;
}

uint64_t conv_head(const struct conv *c)
{
    return c->head;
}

static const struct conv_group *group_of(const struct conv *c)
{
    return c->exists && c->type == CONV_GROUP ? c->group : NULL;
}

uint32_t conv_flags(const struct conv *c)
{
    const struct conv_group *g = group_of(c);
    return g ? g->flags : 0;
}

bool conv_dissolved(const struct conv *c)
{
    const struct conv_group *g = group_of(c);
    return g && g->dissolved;
}

uint32_t conv_count(const struct conv *c)
{
    const struct conv_group *g = group_of(c);
    struct id16 pair[2];
    return g ? g->count : (uint32_t)conv_pair(c, pair);
}

struct id16 conv_owner(const struct conv *c)
{
    const struct conv_group *g = group_of(c);
    return g ? g->owner : (struct id16){{0}};
}

size_t conv_pair(const struct conv *c, struct id16 out[2])
{
    if (!c->exists || c->type != CONV_DIRECT)
        return 0;
    out[0] = c->pair[0];
    out[1] = c->pair[1];
    return id_eq(c->pair[0], c->pair[1]) ? 1 : 2;
}

bool conv_member(const struct conv *c, struct id16 user, struct conv_member_view *out)
{
    const struct conv_member *m = conv_member_find(c, user);
    if (!c->exists || !m || !m->exists || (c->type == CONV_DIRECT && !conv_in_pair(c, user)))
        return false;
    struct conv_interval last = {0, 0};
    if (m->n_visible)
        last = conv_intervals_of(m)[m->n_visible - 1];
    *out = (struct conv_member_view){.role = c->type == CONV_DIRECT ? IM__ROLE__MEMBER : m->role,
                                     .from = last.from,
                                     .to = last.to,
                                     .read = m->read,
                                     .delivered = m->delivered,
                                     .muted_until_ms = m->muted_until_ms};
    return true;
}

size_t conv_visible(const struct conv *c, struct id16 user, struct conv_interval out[CONV_VISIBLE])
{
    const struct conv_member *m = conv_member_find(c, user);
    if (!c->exists || !m || !m->exists)
        return 0;
    memcpy(out, conv_intervals_of(m), m->n_visible * sizeof *out);
    return m->n_visible;
}

bool conv_may_read(const struct conv *c, struct id16 user, uint64_t seq)
{
    if (!c->exists || seq < 1)
        return false;
    if (c->type == CONV_SYSTEM)
        return true;
    if (c->type == CONV_DIRECT)
        return conv_in_pair(c, user);
    const struct conv_member *m = conv_member_find(c, user);
    return m && conv_member_sees(m, seq);
}

size_t conv_roster(const struct conv *c, unsigned bucket, const struct conv_seat **out)
{
    const struct conv_group *g = group_of(c);
    *out = g ? g->buckets[bucket].seats : NULL;
    return g ? g->buckets[bucket].n : 0;
}

size_t conv_admins(const struct conv *c, struct id16 out[CONV_ADMINS])
{
    const struct conv_group *g = group_of(c);
    if (!g)
        return 0;
    if (g->n_admins)
        memcpy(out, g->admins, g->n_admins * sizeof *out);
    return g->n_admins;
}

size_t conv_pins(const struct conv *c, const uint64_t **out)
{
    *out = c->pins;
    return c->pins_loaded ? c->n_pins : 0;
}
