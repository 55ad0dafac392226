/* Which cells have to be here before an event can be applied, or before
 * something can be looked at. What is found not to be needed must stay so,
 * whatever is applied in between: the events of a batch are planned together.
 */
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

struct needs {
    struct conv_cell *out;
    size_t n;
};

static struct conv_cell *next(struct needs *l)
{
    struct conv_cell *cell = &l->out[l->n++];
    cell->bytes = (struct slice){NULL, 0};
    return cell;
}

static void need(struct needs *l, enum cell_kind kind, const struct id16 *user, uint32_t device)
{
    struct conv_cell *cell = next(l);
    cell->key_n = cell_key(cell->key, kind, user, device);
}

static void need_number(struct needs *l, enum cell_kind kind, uint64_t number, unsigned bytes)
{
    struct conv_cell *cell = next(l);
    cell->key_n = cell_key_number(cell->key, kind, number, bytes);
}

static bool ring_loaded(const struct conv_member *m, uint32_t device)
{
    const struct conv_ring *r = m ? conv_ring_find(m, device) : NULL;
    return r && r->loaded;
}

static void need_rings(struct needs *l, const struct conv_member *m, const struct conv_event *e)
{
    if (!m || !m->loaded || conv_ringed(m, e->device)) {
        if (!ring_loaded(m, e->device))
            need(l, CELL_RING, &e->user, e->device);
        return;
    }
    /* A device without a ring takes the place of another one. Which, depends on what earlier records of the
     * same batch do: all of them, then. */
    for (size_t i = 0; i < m->n_ringed; i++)
        if (!ring_loaded(m, m->ringed[i]))
            need(l, CELL_RING, &e->user, m->ringed[i]);
}

static void need_block(struct needs *l, const struct conv *c, uint64_t target)
{
    if (!c->loaded || !conv_block_kept(c, target))
        return; /* is in memory when it is a later one, and never comes back when it is an older one */
    uint64_t number = conv_block_of(target);
    if (!conv_block_find(c, number))
        need_number(l, CELL_BLOCK, number % CONV_BLOCKS, 1);
}

static void need_bucket(struct needs *l, const struct conv *c, struct id16 user, uint64_t *named)
{
    unsigned at = conv_bucket_of(user);
    uint64_t bit = UINT64_C(1) << at;
    if (*named & bit || (c->loaded && !(c->group->map & bit)) || (c->group && c->group->buckets[at].loaded))
        return;
    *named |= bit;
    need_number(l, CELL_ROSTER, at, 1);
}

static void need_group(struct needs *l, const struct conv *c, const struct conv_event *e)
{
    bool members = conv_names_members(e->kind), roster = conv_changes_roster(e->kind);
    uint64_t named = 0;
    size_t n = conv_n_users(e);
    for (size_t i = 0; members && i < n; i++) {
        struct id16 user = conv_user(e, i);
        const struct conv_member *m = conv_member_find(c, user);
        if ((!m || !m->loaded) && !id_eq(user, e->user))
            need(l, CELL_MEMBER, &user, 0);
        if (roster)
            need_bucket(l, c, user, &named);
    }
    if (roster && !members)
        need_bucket(l, c, e->user, &named);
    if (conv_changes_admins(e->kind) && !(c->group && c->group->admins_loaded))
        need(l, CELL_ADMINS, NULL, 0);
}

size_t conv_needs(const struct conv *c, const struct conv_event *e, struct conv_cell out[CONV_NEEDS_MAX])
{
    struct needs l = {out, 0};
    if (!c->loaded)
        need(&l, CELL_HEADER, NULL, 0);
    else if (c->fresh || (c->type == CONV_DIRECT && !conv_in_pair(c, e->user)))
        return 0; /* there are no cells, or none of this user's */
    const struct conv_member *m = conv_member_find(c, e->user);
    if (!m || !m->loaded)
        need(&l, CELL_MEMBER, &e->user, 0);
    if (e->client_seq)
        need_rings(&l, m, e);
    if (e->kind == IM__CONV_KIND__CONV_MESSAGE || e->rules < 2)
        return l.n;
    if (e->target)
        need_block(&l, c, e->target);
    if ((e->kind == IM__CONV_KIND__CONV_PIN || e->kind == IM__CONV_KIND__CONV_UNPIN) && !c->pins_loaded)
        need(&l, CELL_PINS, NULL, 0);
    if (!c->loaded || c->type == CONV_GROUP)
        need_group(&l, c, e);
    return l.n;
}

size_t conv_needs_roster(const struct conv *c, struct conv_cell out[CONV_NEEDS_MAX])
{
    struct needs l = {out, 0};
    if (!c->loaded)
        need(&l, CELL_HEADER, NULL, 0);
    else if (c->exists && c->type == CONV_GROUP && !c->fresh)
        for (unsigned i = 0; i < CONV_BUCKETS; i++)
            if (c->group->map >> i & 1 && !c->group->buckets[i].loaded)
                need_number(&l, CELL_ROSTER, i, 1);
    return l.n;
}

size_t conv_needs_admins(const struct conv *c, struct conv_cell out[CONV_NEEDS_MAX])
{
    struct needs l = {out, 0};
    if (!c->loaded)
        need(&l, CELL_HEADER, NULL, 0);
    if (!c->loaded || (c->exists && c->type == CONV_GROUP && !c->fresh))
        if (!c->group || !c->group->admins_loaded)
            need(&l, CELL_ADMINS, NULL, 0);
    return l.n;
}

size_t conv_needs_member(const struct conv *c, struct id16 user, struct conv_cell out[CONV_NEEDS_MAX])
{
    struct needs l = {out, 0};
    if (!c->loaded)
        need(&l, CELL_HEADER, NULL, 0);
    else if (c->fresh || (c->type == CONV_DIRECT && !conv_in_pair(c, user)))
        return 0;
    const struct conv_member *m = conv_member_find(c, user);
    if (!m || !m->loaded)
        need(&l, CELL_MEMBER, &user, 0);
    return l.n;
}
