#include "tests/support/convstore.h"

#include "common/im/wire.h"

#include <sodium.h>
#include <stdlib.h>

void convstore_release(struct convstore *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((void *)(uintptr_t)s->rows[i].cell.bytes.p);
    free(s->rows);
    *s = (struct convstore){0};
}

static int key_cmp(const struct conv_cell *a, const struct conv_cell *b)
{
    int rc = memcmp(a->key, b->key, a->key_n < b->key_n ? a->key_n : b->key_n);
    return rc ? rc : (a->key_n > b->key_n) - (a->key_n < b->key_n);
}

static size_t place(const struct convstore *s, const struct conv_cell *c, bool *found)
{
    size_t i = 0;
    while (i < s->n && key_cmp(&s->rows[i].cell, c) < 0)
        i++;
    *found = i < s->n && key_cmp(&s->rows[i].cell, c) == 0;
    return i;
}

static void put(struct convstore *s, const struct conv_cell *c)
{
    bool found;
    size_t at = place(s, c, &found);
    if (found) {
        free((void *)(uintptr_t)s->rows[at].cell.bytes.p);
        s->n--;
        memmove(s->rows + at, s->rows + at + 1, (s->n - at) * sizeof *s->rows);
    }
    if (c->bytes.n == 0)
        return;
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->rows = realloc(s->rows, s->cap * sizeof *s->rows);
    }
    void *copy = malloc(c->bytes.n);
    if (!s->rows || !copy)
        abort();
    memcpy(copy, c->bytes.p, c->bytes.n);
    memmove(s->rows + at + 1, s->rows + at, (s->n - at) * sizeof *s->rows);
    s->rows[at].cell = *c;
    s->rows[at].cell.bytes.p = copy;
    s->n++;
}

bool convstore_plan(const struct convstore *s, struct conv *c, const struct conv_event *e)
{
    struct conv_cell need[CONV_NEEDS_MAX];
    for (int round = 0; round < 4; round++) {
        size_t n = conv_needs(c, e, need);
        if (n == 0)
            return true;
        for (size_t i = n; i-- > 0;) { /* backwards: the order must not matter */
            bool found;
            size_t at = place(s, &need[i], &found);
            if (found)
                need[i].bytes = s->rows[at].cell.bytes;
            if (conv_load(c, &need[i]))
                abort();
        }
    }
    return conv_needs(c, e, need) == 0;
}

void convstore_save(struct convstore *s, struct conv *c)
{
    struct conv_cell cells[3];
    for (size_t n; (n = conv_dirty(c, cells, 3)) > 0;)
        for (size_t i = 0; i < n; i++)
            put(s, &cells[i]);
}

struct conv *convstore_load(const struct convstore *s, struct id16 id, struct rng *rng)
{
    struct conv *c = conv_new(id);
    size_t start = s->n ? rng_below(rng, s->n) : 0;
    for (size_t i = 0; i < s->n; i++)
        if (conv_load(c, &s->rows[(start + i) % s->n].cell))
            abort();
    return c;
}

void convstore_digest(const struct convstore *s, uint8_t out[32])
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, 32);
    for (size_t i = 0; i < s->n; i++) {
        const struct conv_cell *c = &s->rows[i].cell;
        uint8_t n1 = (uint8_t)c->key_n, n4[4];
        wire_put_be(n4, c->bytes.n, 4);
        crypto_generichash_update(&st, &n1, 1);
        crypto_generichash_update(&st, c->key, c->key_n);
        crypto_generichash_update(&st, n4, 4);
        crypto_generichash_update(&st, c->bytes.p, c->bytes.n);
    }
    crypto_generichash_final(&st, out, 32);
}

void convlog_init(struct convlog *l, uint64_t seed)
{
    *l = (struct convlog){.rng = {seed}, .time_ms = INT64_C(1700000000000)};
    l->a = id_user("anna");
    l->b = id_user("bert");
    l->stranger = id_user("carl");
    l->devices = 1 + (uint32_t)rng_below(&l->rng, 14);
    if (rng_below(&l->rng, 8) == 0)
        l->b = l->a; /* notes to oneself */
    l->conv = id_direct(l->a, l->b);
}

static uint64_t pick_number(struct convlog *l, uint64_t *next)
{
    switch (rng_below(&l->rng, 12)) {
    case 0: /* a repeat, mostly of something recent */
        return *next - rng_below(&l->rng, *next < 8 ? *next + 1 : 8);
    case 1: /* perhaps stale */
        return *next - rng_below(&l->rng, *next < 90 ? *next + 1 : 90);
    case 2: /* skips some: they may come later */
        *next += rng_below(&l->rng, 5);
        return ++*next;
    case 3:
        if (rng_below(&l->rng, 20) == 0)
            *next += rng_below(&l->rng, UINT64_C(1) << 40);
        return ++*next;
    case 4:
        return rng_below(&l->rng, 4) ? ++*next : 0;
    default:
        return ++*next;
    }
}

struct conv_event convlog_next(struct convlog *l)
{
    bool from_a = rng_below(&l->rng, 2) == 0;
    uint64_t odd = rng_below(&l->rng, 40);
    struct conv_event e = {.rules = 1, .kind = 1, .conv = l->conv};
    e.user = from_a ? l->a : l->b;
    e.peer = from_a ? l->b : l->a;
    if (odd == 0)
        e.user = l->stranger;
    else if (odd == 1)
        e.peer = l->stranger;
    else if (odd == 2)
        e.conv.b[3] ^= 1;
    else if (odd == 3)
        e.kind = (uint32_t)rng_below(&l->rng, 5);
    /* Few devices do most of the talking. */
    e.device = 1 + (uint32_t)rng_below(&l->rng, 1 + rng_below(&l->rng, l->devices));
    e.client_seq = pick_number(l, &l->next[odd == 0 ? 2 : from_a ? 0 : 1][e.device]);
    l->time_ms += (int64_t)rng_below(&l->rng, 3000) - 900;
    e.time_ms = l->time_ms;
    return e;
}
