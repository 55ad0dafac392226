/* Rules version 1: direct conversations of two (or of one with itself), messages only. Frozen. */
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

static void join(struct conv *c, struct id16 user)
{
    struct conv_member *m = conv_member_get(c, user);
    if (m->exists)
        return;
    m->loaded = m->exists = m->dirty = true;
    conv_member_open(m, 1);
    conv_member_touch(c, m);
}

static uint16_t create(struct conv *c, const struct conv_event *e)
{
    if (!id_eq(id_direct(e->user, e->peer), c->id) || !id_eq(e->conv, c->id))
        return IM__CODE__NOT_A_MEMBER;
    bool swap = id_cmp(e->user, e->peer) > 0;
    c->pair[0] = swap ? e->peer : e->user;
    c->pair[1] = swap ? e->user : e->peer;
    c->type = CONV_DIRECT;
    c->exists = c->dirty = true;
    join(c, c->pair[0]);
    join(c, c->pair[1]);
    return 0;
}

static uint16_t admit(const struct conv *c, const struct conv_event *e)
{
    if (c->type != CONV_DIRECT)
        return IM__CODE__NOT_A_MEMBER; /* known to rules 2 only */
    /* The id is the hash of the pair: comparing with the pair is comparing with the id. */
    bool same = (id_eq(e->user, c->pair[0]) && id_eq(e->peer, c->pair[1])) ||
                (id_eq(e->user, c->pair[1]) && id_eq(e->peer, c->pair[0]));
    return same && id_eq(e->conv, c->id) ? 0 : IM__CODE__NOT_A_MEMBER;
}

static uint16_t judge(struct conv *c, const struct conv_event *e, struct conv_member *m,
                      struct conv_outcome *out)
{
    (void)c, (void)m, (void)out;
    return e->kind == IM__CONV_KIND__CONV_MESSAGE ? 0 : IM__CODE__REFUSED;
}

const struct conv_rules conv_rules1 = {.create = create, .admit = admit, .judge = judge};
