/* Handing out changed cells, the digest over all of them. */
#include "common/im/conv_private.h"

#include <sodium.h>
#include <stdlib.h>

/* ---- cells in ascending key order ---- */

struct walk {
    const struct conv *c;
    struct conv_member **members; /* all, or those that were touched */
    size_t n_members;
    enum cell_kind kind; /* of the next one */
    size_t at;
    int64_t device; /* rings: the last one; -1: none yet */
    bool dirty;     /* of blocks and buckets only those that were changed */
};

struct spot { /* a cell in memory */
    enum cell_kind kind;
    size_t at;
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

static bool next_ring(struct walk *w, struct spot *s)
{
    for (; w->at < w->n_members; w->at++, w->device = -1) {
        s->m = w->members[w->at];
        s->r = ring_above(s->m, w->device);
        if (s->r) {
            w->device = s->r->device;
            return true;
        }
    }
    return false;
}

/* From `at` on; SIZE_MAX: none. */
static size_t next_bit(uint64_t map, size_t at)
{
    map = at < 64 ? map >> at << at : 0;
    return map ? (size_t)__builtin_ctzll(map) : SIZE_MAX;
}

static bool next_of_map(struct walk *w, struct spot *s, uint64_t map)
{
    s->at = next_bit(map, w->at);
    w->at = s->at + 1;
    return s->at != SIZE_MAX;
}

static bool next_single(struct walk *w, bool there)
{
    return there && w->at++ == 0;
}

static uint64_t blocks_here(const struct conv *c)
{
    uint64_t map = 0;
    for (unsigned i = 0; c->blocks && i < CONV_BLOCKS; i++)
        map |= (uint64_t)(c->blocks[i] != NULL) << i;
    return map;
}

static bool next_of_kind(struct walk *w, struct spot *s)
{
    const struct conv *c = w->c;
    switch (w->kind) {
    case CELL_HEADER:
        return next_single(w, true);
    case CELL_MEMBER:
        if (w->at == w->n_members)
            return false;
        s->m = w->members[w->at++];
        return true;
    case CELL_RING:
        return next_ring(w, s);
    case CELL_BLOCK:
        return next_of_map(w, s, w->dirty ? c->blocks_dirty : blocks_here(c));
    case CELL_ROSTER:
        return c->group && next_of_map(w, s, w->dirty ? c->group->dirty : UINT64_MAX);
    case CELL_ADMINS:
        return next_single(w, c->group != NULL);
    case CELL_PINS:
        return next_single(w, c->pins != NULL);
    }
    return false;
}

static bool walk_next(struct walk *w, struct spot *s)
{
    for (; w->kind <= CELL_PINS; w->kind++, w->at = 0) {
        *s = (struct spot){.kind = w->kind};
        if (next_of_kind(w, s))
            return true;
    }
    return false;
}

/* At most so many bytes. */
static size_t bound(const struct conv *c, const struct spot *s)
{
    if (s->kind == CELL_ROSTER)
        return 5 + c->group->buckets[s->at].n * (ID_SIZE + 8u);
    return CELL_MAX;
}

/* The cell as bytes; 0: it does not exist. */
static size_t encode(const struct conv *c, const struct spot *s, uint8_t *out)
{
    switch (s->kind) {
    case CELL_HEADER:
        return c->exists ? cell_put_header(c, out) : 0;
    case CELL_MEMBER:
        return s->m->exists ? cell_put_member(s->m, out) : 0;
    case CELL_RING:
        return s->r->exists ? cell_put_ring(s->r, out) : 0;
    case CELL_BLOCK:
        return conv_block_cell(c->blocks[s->at], out);
    case CELL_ROSTER:
        return c->group->buckets[s->at].n ? conv_bucket_put(&c->group->buckets[s->at], out) : 0;
    case CELL_ADMINS:
        return c->group->n_admins ? conv_admins_cell(c->group, out) : 0;
    case CELL_PINS:
        return c->n_pins ? cell_put_pins(c, out) : 0;
    }
    return 0;
}

static size_t key_of(const struct spot *s, uint8_t *out)
{
    switch (s->kind) {
    case CELL_MEMBER:
        return cell_key(out, s->kind, &s->m->user, 0);
    case CELL_RING:
        return cell_key(out, s->kind, &s->m->user, s->r->device);
    case CELL_BLOCK:
    case CELL_ROSTER:
        return cell_key_number(out, s->kind, s->at, 1);
    default:
        return cell_key(out, s->kind, NULL, 0);
    }
}

static bool take(bool *dirty)
{
    bool was = *dirty;
    *dirty = false;
    return was;
}

/* Was it changed? Not any more. */
static bool take_dirty(struct conv *c, const struct spot *s)
{
    switch (s->kind) {
    case CELL_MEMBER:
        return take(&s->m->dirty);
    case CELL_RING:
        return take(&s->r->dirty);
    case CELL_BLOCK:
        c->blocks_dirty &= ~(UINT64_C(1) << s->at);
        return true;
    case CELL_ROSTER:
        c->group->dirty &= ~(UINT64_C(1) << s->at);
        return true;
    case CELL_ADMINS:
        return take(&c->group->admins_dirty);
    case CELL_PINS:
        return take(&c->pins_dirty);
    default:
        return take(&c->dirty);
    }
}

static void all_clean(struct conv *c)
{
    for (size_t i = 0; i < c->n_touched; i++) {
        struct conv_member *m = c->touched[i];
        for (size_t r = m->n_rings; r-- > 0;)
            if (m->loaded && !m->rings[r].exists)
                conv_ring_drop(m, r);
        m->touched = false;
        conv_member_weigh(c, m);
    }
    c->n_touched = 0;
}

size_t conv_dirty(struct conv *c, struct conv_cell *out, size_t max)
{
    size_t n = 0, used = 0;
    struct walk w = {.c = c, .members = c->touched, .n_members = c->n_touched, .device = -1, .dirty = true};
    struct spot s;
    while (n < max && walk_next(&w, &s)) {
        if (!take_dirty(c, &s))
            continue;
        size_t room = used + bound(c, &s);
        if (room > c->cap_scratch) {
            c->cap_scratch = room + 256;
            c->scratch = conv_realloc(c->scratch, c->cap_scratch);
        }
        size_t size = encode(c, &s, c->scratch + used);
        out[n].key_n = key_of(&s, out[n].key);
        out[n++].bytes = (struct slice){NULL, size};
        used += size;
    }
    /* Only now does the scratch memory stay where it is. */
    for (size_t i = 0, at = 0; i < n; at += out[i++].bytes.n)
        out[i].bytes.p = out[i].bytes.n ? c->scratch + at : NULL;
    if (n < max)
        all_clean(c);
    return n;
}

void conv_digest(const struct conv *c, uint8_t out[32])
{
    crypto_generichash_state st;
    uint8_t head[1 + CONV_CELL_KEY + 4], *cell = NULL;
    size_t cap = 0;
    struct walk w = {.c = c, .members = c->members, .n_members = c->n_members, .device = -1};
    struct spot s;
    crypto_generichash_init(&st, NULL, 0, 32);
    while (walk_next(&w, &s)) {
        if (bound(c, &s) > cap)
            cell = conv_realloc(cell, cap = bound(c, &s));
        size_t size = encode(c, &s, cell);
        if (!size)
            continue;
        size_t key_n = key_of(&s, head + 1);
        head[0] = (uint8_t)key_n;
        uint8_t *end = wire_put_be(head + 1 + key_n, size, 4);
        crypto_generichash_update(&st, head, (size_t)(end - head));
        crypto_generichash_update(&st, cell, size);
    }
    free(cell);
    crypto_generichash_final(&st, out, 32);
}
