/* Who is in a group now: the roster in 64 cells, owner and admins in one.
 *
 *   roster  format:1 n:4 { user:16 from:8 } ascending
 *   admins  format:1 n:1 { user:16 } ascending */
#include "common/im/conv_private.h"

#include <errno.h>
#include <stdlib.h>

struct conv_group *conv_group_get(struct conv *c)
{
    if (!c->group) {
        c->group = conv_realloc(NULL, sizeof *c->group);
        *c->group = (struct conv_group){0};
        c->weight += sizeof *c->group;
    }
    return c->group;
}

void conv_group_free(struct conv *c)
{
    if (!c->group)
        return;
    c->weight -= sizeof *c->group + (c->group->admins ? CONV_ADMINS * sizeof *c->group->admins : 0);
    for (size_t i = 0; i < CONV_BUCKETS; i++) {
        c->weight -= c->group->buckets[i].cap * sizeof *c->group->buckets[i].seats;
        free(c->group->buckets[i].seats);
    }
    free(c->group->admins);
    free(c->group);
    c->group = NULL;
}

static void reserve(struct conv *c, struct conv_bucket *b, size_t n)
{
    if (n <= b->cap)
        return;
    size_t cap = n < 4 ? 4 : n + n / 2;
    b->seats = conv_realloc(b->seats, cap * sizeof *b->seats);
    c->weight += (cap - b->cap) * sizeof *b->seats;
    b->cap = (uint32_t)cap;
}

static size_t seat_place(const struct conv_bucket *b, struct id16 user)
{
    size_t lo = 0, hi = b->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (id_cmp(b->seats[mid].user, user) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* One that is not in the header's map is empty, loaded or not. */
static struct conv_bucket *bucket(struct conv *c, struct id16 user)
{
    unsigned at = conv_bucket_of(user);
    struct conv_bucket *b = &c->group->buckets[at];
    if (!b->loaded && c->group->map >> at & 1)
        conv_broken("applied without a part of the roster");
    b->loaded = true;
    c->group->dirty |= UINT64_C(1) << at;
    return b;
}

void conv_roster_put(struct conv *c, struct id16 user, uint64_t from)
{
    struct conv_bucket *b = bucket(c, user);
    size_t at = seat_place(b, user);
    if (at == b->n || !id_eq(b->seats[at].user, user)) {
        reserve(c, b, b->n + 1u);
        memmove(b->seats + at + 1, b->seats + at, (b->n - at) * sizeof *b->seats);
        b->n++;
    }
    b->seats[at] = (struct conv_seat){user, from};
    c->group->map |= UINT64_C(1) << conv_bucket_of(user);
}

void conv_roster_remove(struct conv *c, struct id16 user)
{
    struct conv_bucket *b = bucket(c, user);
    size_t at = seat_place(b, user);
    if (at == b->n || !id_eq(b->seats[at].user, user))
        return;
    b->n--;
    memmove(b->seats + at, b->seats + at + 1, (b->n - at) * sizeof *b->seats);
    if (b->n == 0)
        c->group->map &= ~(UINT64_C(1) << conv_bucket_of(user));
}

static void admins_room(struct conv *c)
{
    if (c->group->admins)
        return;
    c->group->admins = conv_realloc(NULL, CONV_ADMINS * sizeof *c->group->admins);
    c->weight += CONV_ADMINS * sizeof *c->group->admins;
}

void conv_admins_put(struct conv *c, struct id16 user)
{
    struct conv_group *g = c->group;
    size_t at = 0;
    admins_room(c);
    while (at < g->n_admins && id_cmp(g->admins[at], user) < 0)
        at++;
    if (at < g->n_admins && id_eq(g->admins[at], user))
        return;
    if (g->n_admins == CONV_ADMINS)
        conv_broken("more admins than there may be");
    memmove(g->admins + at + 1, g->admins + at, (g->n_admins - at) * sizeof *g->admins);
    g->admins[at] = user;
    g->n_admins++;
    g->admins_dirty = true;
}

void conv_admins_remove(struct conv *c, struct id16 user)
{
    struct conv_group *g = c->group;
    for (size_t i = 0; i < g->n_admins; i++) {
        if (!id_eq(g->admins[i], user))
            continue;
        g->n_admins--;
        memmove(g->admins + i, g->admins + i + 1, (g->n_admins - i) * sizeof *g->admins);
        g->admins_dirty = true;
        return;
    }
}

size_t conv_bucket_put(const struct conv_bucket *b, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = CELL_FORMAT;
    p = wire_put_be(p, b->n, 4);
    for (size_t i = 0; i < b->n; i++) {
        p = wire_put(p, b->seats[i].user.b, ID_SIZE);
        p = wire_put_be(p, b->seats[i].from, 8);
    }
    return (size_t)(p - out);
}

int conv_bucket_get(struct conv *c, unsigned at, struct slice s)
{
    struct wire w = wire_of(s);
    uint64_t format;
    struct id16 last = {{0}};
    int rc = cell_format(&w, CELL_FORMAT, &format);
    if (rc)
        return rc;
    uint64_t n = wire_be(&w, 4);
    if (w.bad || n < 1 || (uint64_t)(w.end - w.p) != n * (ID_SIZE + 8))
        return -EBADMSG;
    struct conv_seat *seats = conv_realloc(NULL, n * sizeof *seats);
    for (size_t i = 0; i < n; i++) {
        memcpy(seats[i].user.b, wire_take(&w, ID_SIZE).p, ID_SIZE);
        seats[i].from = wire_be(&w, 8);
        if ((i && id_cmp(last, seats[i].user) >= 0) || conv_bucket_of(seats[i].user) != at) {
            free(seats);
            return -EBADMSG;
        }
        last = seats[i].user;
    }
    struct conv_bucket *b = &conv_group_get(c)->buckets[at];
    *b = (struct conv_bucket){.seats = seats, .n = (uint32_t)n, .cap = (uint32_t)n, .loaded = true};
    c->weight += n * sizeof *seats;
    return 0;
}

size_t conv_admins_cell(const struct conv_group *g, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = CELL_FORMAT;
    *p++ = (uint8_t)g->n_admins;
    p = wire_put(p, g->admins, g->n_admins * sizeof *g->admins);
    return (size_t)(p - out);
}

int conv_admins_get(struct conv *c, struct slice s)
{
    struct wire w = wire_of(s);
    uint64_t format;
    int rc = cell_format(&w, CELL_FORMAT, &format);
    if (rc)
        return rc;
    size_t n = wire_be(&w, 1);
    struct slice ids = wire_take(&w, n * ID_SIZE);
    if (w.bad || w.p != w.end || n < 1 || n > CONV_ADMINS)
        return -EBADMSG;
    for (size_t i = 1; i < n; i++)
        if (memcmp((const uint8_t *)ids.p + (i - 1) * ID_SIZE, (const uint8_t *)ids.p + i * ID_SIZE,
                   ID_SIZE) >= 0)
            return -EBADMSG;
    struct conv_group *g = conv_group_get(c);
    admins_room(c);
    memcpy(g->admins, ids.p, ids.n);
    g->n_admins = n;
    return 0;
}
