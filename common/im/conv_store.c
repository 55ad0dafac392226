/* Loading cells, handing out changed ones, the digest over all of them. */
#include "common/im/conv_private.h"
#include "common/im/wire.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

static int load_header(struct conv *c, struct slice s)
{
    struct conv t = *c;
    int rc = s.n ? cell_get_header(&t, s) : 0;
    if (rc)
        return rc;
    t.loaded = true;
    t.exists = s.n > 0;
    for (size_t i = 0; i < c->n_members; i++)
        if (t.exists && conv_in_pair(&t, c->members[i].user) && c->members[i].loaded && !c->members[i].exists)
            return -EBADMSG; /* a member without its cell: torn */
    *c = t;
    for (size_t i = c->n_members; i-- > 0;)
        if (!c->exists || !conv_in_pair(c, c->members[i].user))
            conv_member_drop(c, i);
    return 0;
}

static int load_member(struct conv *c, struct id16 user, struct slice s)
{
    struct conv_member *m = conv_member_find(c, user);
    if (m && m->loaded)
        return 0;
    struct conv_member t = m ? *m : (struct conv_member){.user = user};
    int rc = s.n ? cell_get_member(&t, s) : c->loaded ? -EBADMSG : 0;
    if (rc)
        return rc;
    for (size_t i = 0; i < t.n_rings; i++)
        if (!t.rings[i].exists && conv_ringed(&t, t.rings[i].device)) {
            free(t.floors);
            return -EBADMSG;
        }
    t.loaded = true;
    t.exists = s.n > 0;
    m = conv_member_get(c, user);
    *m = t;
    for (size_t i = m->n_rings; i-- > 0;)
        if (!conv_ringed(m, m->rings[i].device))
            conv_ring_drop(m, i);
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
    *conv_ring_get(conv_member_get(c, user), device) = t;
    return 0;
}

int conv_load(struct conv *c, const struct conv_cell *cell)
{
    if (cell->key_n < 1)
        return -EBADMSG;
    if (cell->key[0] == CELL_HEADER)
        return cell->key_n != 1 ? -EBADMSG : c->loaded ? 0 : load_header(c, cell->bytes);
    bool member = cell->key[0] == CELL_MEMBER;
    if ((!member && cell->key[0] != CELL_RING) || cell->key_n != 1 + ID_SIZE + (member ? 0u : 4u))
        return -EBADMSG;
    struct wire w = {cell->key + 1, cell->key + cell->key_n, false};
    struct id16 user;
    memcpy(user.b, wire_take(&w, ID_SIZE).p, ID_SIZE);
    if (c->loaded && (!c->exists || !conv_in_pair(c, user)))
        return 0; /* was asked for before the header was known */
    return member ? load_member(c, user, cell->bytes)
                  : load_ring(c, user, (uint32_t)wire_be(&w, 4), cell->bytes);
}

/* ---- every cell in ascending key order ---- */

struct walk {
    const struct conv *c;
    enum cell_kind kind;
    size_t member;
    int64_t device; /* the last one; -1: none yet */
};

struct spot { /* a cell in memory; exactly one is set, or none for the header */
    struct conv_member *m;
    struct conv_ring *r;
};

static struct conv_ring *ring_above(struct conv_member *m, int64_t device)
{
    struct conv_ring *best = NULL;
    for (size_t i = 0; i < m->n_rings; i++) {
        struct conv_ring *r = &m->rings[i];
        if (r->device > device && (!best || r->device < best->device))
            best = r;
    }
    return best;
}

static bool walk_next(struct walk *w, struct spot *s)
{
    const struct conv *c = w->c;
    *s = (struct spot){NULL, NULL};
    if (w->kind == CELL_HEADER) {
        w->kind = CELL_MEMBER;
        return true;
    }
    if (w->kind == CELL_MEMBER) {
        if (w->member < c->n_members) {
            s->m = &c->members[w->member++];
            return true;
        }
        *w = (struct walk){c, CELL_RING, 0, -1};
    }
    for (; w->member < c->n_members; w->member++, w->device = -1) {
        s->m = &c->members[w->member];
        s->r = ring_above(s->m, w->device);
        if (s->r) {
            w->device = s->r->device;
            return true;
        }
    }
    return false;
}

/* The cell as bytes; 0: it does not exist. */
static size_t encode(const struct conv *c, const struct spot *s, uint8_t *out)
{
    if (s->r)
        return s->r->exists ? cell_put_ring(s->r, out) : 0;
    if (s->m)
        return s->m->exists ? cell_put_member(s->m, out) : 0;
    return c->exists ? cell_put_header(c, out) : 0;
}

static size_t key_of(const struct spot *s, uint8_t *out)
{
    return s->r   ? cell_key(out, CELL_RING, &s->m->user, s->r->device)
           : s->m ? cell_key(out, CELL_MEMBER, &s->m->user, 0)
                  : cell_key(out, CELL_HEADER, NULL, 0);
}

static void drop_removed(struct conv *c)
{
    for (size_t i = 0; i < c->n_members; i++) {
        struct conv_member *m = &c->members[i];
        for (size_t r = m->n_rings; r-- > 0;)
            if (m->loaded && !m->rings[r].exists && !m->rings[r].dirty)
                conv_ring_drop(m, r);
    }
}

size_t conv_dirty(struct conv *c, struct conv_cell *out, size_t max)
{
    uint8_t cell[CELL_MAX];
    size_t n = 0, used = 0;
    struct walk w = {c, CELL_HEADER, 0, -1};
    struct spot s;
    while (n < max && walk_next(&w, &s)) {
        bool *dirty = s.r ? &s.r->dirty : s.m ? &s.m->dirty : &c->dirty;
        if (!*dirty)
            continue;
        *dirty = false;
        size_t size = encode(c, &s, cell);
        if (used + size > c->cap_scratch) {
            c->cap_scratch = used + size + 256;
            c->scratch = conv_realloc(c->scratch, c->cap_scratch);
        }
        memcpy(c->scratch + used, cell, size);
        out[n].key_n = key_of(&s, out[n].key);
        out[n++].bytes = (struct slice){NULL, size};
        used += size;
    }
    /* Only now does the scratch memory stay where it is. */
    for (size_t i = 0, at = 0; i < n; at += out[i++].bytes.n)
        out[i].bytes.p = out[i].bytes.n ? c->scratch + at : NULL;
    drop_removed(c);
    return n;
}

void conv_digest(const struct conv *c, uint8_t out[32])
{
    crypto_generichash_state st;
    uint8_t cell[CELL_MAX], head[1 + CONV_CELL_KEY + 4];
    struct walk w = {c, CELL_HEADER, 0, -1};
    struct spot s;
    crypto_generichash_init(&st, NULL, 0, 32);
    while (walk_next(&w, &s)) {
        size_t size = encode(c, &s, cell);
        if (!size)
            continue;
        size_t key_n = key_of(&s, head + 1);
        head[0] = (uint8_t)key_n;
        uint8_t *end = wire_put_be(head + 1 + key_n, size, 4);
        crypto_generichash_update(&st, head, (size_t)(end - head));
        crypto_generichash_update(&st, cell, size);
    }
    crypto_generichash_final(&st, out, 32);
}
