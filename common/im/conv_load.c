/* Loading cells, in any order. */
#include "common/im/conv_private.h"

#include <errno.h>
#include <stdlib.h>

/* What came before the header must fit it. */
static bool group_fits(const struct conv *c)
{
    const struct conv_group *g = c->group;
    if (!c->exists || c->type != CONV_GROUP)
        return true;
    for (unsigned i = 0; i < CONV_BUCKETS; i++)
        if (g->buckets[i].loaded && (g->map >> i & 1) != (g->buckets[i].n > 0))
            return false;
    return !g->admins_loaded || (g->n_admins > 0) == (g->count > 0);
}

static bool pair_fits(const struct conv *c)
{
    for (size_t i = 0; i < c->n_members; i++)
        if (c->exists && c->type == CONV_DIRECT && conv_in_pair(c, c->members[i]->user) &&
            c->members[i]->loaded && !c->members[i]->exists)
            return false; /* a member without its cell: torn */
    return true;
}

static bool blocks_fit(const struct conv *c)
{
    for (unsigned i = 0; c->exists && c->blocks && i < CONV_BLOCKS; i++)
        if (c->blocks[i] && !conv_block_fits(c, c->blocks[i]->number))
            return false;
    return true;
}

static void drop_what_does_not_belong(struct conv *c)
{
    for (size_t i = c->n_members; i-- > 0;)
        if (!c->exists || (c->type == CONV_DIRECT && !conv_in_pair(c, c->members[i]->user)))
            conv_member_drop(c, i);
    for (unsigned i = 0; !c->exists && i < CONV_BLOCKS; i++)
        conv_block_free(c, i);
    if (!c->exists || c->type != CONV_GROUP)
        conv_group_free(c);
    if (!c->exists) {
        c->n_pins = 0;
        c->pins_loaded = true;
    }
}

static int load_header(struct conv *c, struct slice s)
{
    struct conv t = *c;
    int rc = s.n ? cell_get_header(&t, s) : 0;
    if (rc)
        return rc;
    t.loaded = true;
    t.exists = s.n > 0;
    t.fresh = !t.exists;
    if (!pair_fits(&t) || !group_fits(&t) || !blocks_fit(&t)) {
        if (t.group != c->group)
            conv_group_free(&t);
        free(t.tail.authors);
        return -EBADMSG;
    }
    *c = t;
    drop_what_does_not_belong(c);
    return 0;
}

static int load_member(struct conv *c, struct id16 user, struct slice s)
{
    struct conv_member *m = conv_member_find(c, user);
    if (m && m->loaded)
        return 0;
    struct conv_member t = m ? *m : (struct conv_member){.user = user};
    int rc = s.n ? cell_get_member(&t, s) : c->loaded && c->type == CONV_DIRECT ? -EBADMSG : 0;
    if (rc)
        return rc;
    for (size_t i = 0; i < t.n_rings; i++)
        if (!t.rings[i].exists && conv_ringed(&t, t.rings[i].device)) {
            free(t.floors);
            free(t.many);
            return -EBADMSG;
        }
    t.loaded = true;
    t.exists = s.n > 0;
    m = conv_member_get(c, user);
    t.weight = m->weight;
    *m = t;
    for (size_t i = m->n_rings; i-- > 0;)
        if (!conv_ringed(m, m->rings[i].device))
            conv_ring_drop(m, i);
    conv_member_weigh(c, m);
    return 0;
}

static int load_ring(struct conv *c, struct id16 user, uint32_t device, struct slice s)
{
    struct conv_member *m = conv_member_find(c, user);
    if (m && m->loaded && !conv_ringed(m, device))
        return 0; /* not there: known from the member cell */
    struct conv_ring *r = m ? conv_ring_find(m, device) : NULL;
    if (r && r->loaded)
        return 0;
    struct conv_ring t = {.device = device, .loaded = true, .exists = s.n > 0};
    int rc = s.n ? cell_get_ring(&t, s) : m && m->loaded ? -EBADMSG : 0;
    if (rc)
        return rc;
    m = conv_member_get(c, user);
    *conv_ring_get(m, device) = t;
    conv_member_weigh(c, m);
    return 0;
}

static int load_of_user(struct conv *c, const struct conv_cell *cell)
{
    bool member = cell->key[0] == CELL_MEMBER;
    if (cell->key_n != 1 + ID_SIZE + (member ? 0u : 4u))
        return -EBADMSG;
    struct wire w = {cell->key + 1, cell->key + cell->key_n, false};
    struct id16 user;
    memcpy(user.b, wire_take(&w, ID_SIZE).p, ID_SIZE);
    if (c->loaded && c->type == CONV_DIRECT && !conv_in_pair(c, user))
        return 0; /* was asked for before the header was known */
    return member ? load_member(c, user, cell->bytes)
                  : load_ring(c, user, (uint32_t)wire_be(&w, 4), cell->bytes);
}

static int load_block(struct conv *c, const struct conv_cell *cell)
{
    unsigned slot = cell->key[1];
    if (cell->key_n != 2 || slot >= CONV_BLOCKS)
        return -EBADMSG;
    if (c->blocks && c->blocks[slot])
        return 0;
    if (cell->bytes.n == 0)
        return c->loaded ? -EBADMSG : 0;
    return conv_block_load(c, slot, cell->bytes);
}

static int load_bucket(struct conv *c, const struct conv_cell *cell)
{
    unsigned at = cell->key[1];
    if (cell->key_n != 2 || at >= CONV_BUCKETS)
        return -EBADMSG;
    if (c->loaded && (c->type != CONV_GROUP || !(c->group->map >> at & 1)))
        return 0;
    if (c->group && c->group->buckets[at].loaded)
        return 0;
    if (cell->bytes.n)
        return conv_bucket_get(c, at, cell->bytes);
    if (c->loaded)
        return -EBADMSG;
    conv_group_get(c)->buckets[at].loaded = true;
    return 0;
}

static int load_admins(struct conv *c, const struct conv_cell *cell)
{
    if (cell->key_n != 1)
        return -EBADMSG;
    if ((c->loaded && c->type != CONV_GROUP) || (c->group && c->group->admins_loaded))
        return 0;
    int rc = cell->bytes.n ? conv_admins_get(c, cell->bytes) : c->loaded && c->group->count ? -EBADMSG : 0;
    if (rc == 0)
        conv_group_get(c)->admins_loaded = true;
    return rc;
}

static int load_pins(struct conv *c, const struct conv_cell *cell)
{
    if (cell->key_n != 1)
        return -EBADMSG;
    int rc = cell->bytes.n && !c->pins_loaded ? cell_get_pins(c, cell->bytes) : 0;
    if (rc == 0)
        c->pins_loaded = true;
    return rc;
}

int conv_load(struct conv *c, const struct conv_cell *cell)
{
    if (cell->key_n < 1)
        return -EBADMSG;
    if (cell->key[0] == CELL_HEADER)
        return cell->key_n != 1 ? -EBADMSG : c->loaded ? 0 : load_header(c, cell->bytes);
    if (c->fresh)
        return 0; /* all is here; it was asked for before that was known */
    switch (cell->key[0]) {
    case CELL_MEMBER:
    case CELL_RING:
        return load_of_user(c, cell);
    case CELL_BLOCK:
        return load_block(c, cell);
    case CELL_ROSTER:
        return load_bucket(c, cell);
    case CELL_ADMINS:
        return load_admins(c, cell);
    case CELL_PINS:
        return load_pins(c, cell);
    }
    return -EBADMSG;
}
