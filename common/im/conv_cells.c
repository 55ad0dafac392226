/* Cells to and from bytes. Integers are big-endian, ring entries are differences to the one before (a busy ring is
 * some 350 bytes instead of 1.7 KiB).
 *
 *   header  format:1 type:1 head:8 time_ms:8 | direct: pair 2 × 16, ascending
 *     2     then | direct: friend:1 blocked:1 | group: flags:4 dissolved:1 count:4 asks:4 owner:16 map:8
 *           | tracked:8; when that is not 0: the block of head, up to head (conv_block.c)
 *   member  format:1 | n:1 { from:8 to:8 } | n:1 { device:4 } latest use first | n:1 { device:4 highest:8 } latest first
 *     2     then | role:1 asked:1 zigzag muted_until_ms, varint read, varint delivered
 *   ring    format:1 evicted:8 n:1 { varint client_seq - previous; varint reason; zigzag time - previous;
 *           when the reason is 0: zigzag seq - previous }; previous: evicted, 0, 0 at first
 *   pins    format:1 n:1 { varint seq - previous } */
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

#include <errno.h>
#include <stdlib.h>

size_t cell_key(uint8_t *out, enum cell_kind kind, const struct id16 *user, uint32_t device)
{
    out[0] = (uint8_t)kind;
    if (!user)
        return 1;
    memcpy(out + 1, user->b, ID_SIZE);
    if (kind == CELL_MEMBER)
        return 1 + ID_SIZE;
    wire_put_be(out + 1 + ID_SIZE, device, 4);
    return 1 + ID_SIZE + 4;
}

size_t cell_key_number(uint8_t *out, enum cell_kind kind, uint64_t number, unsigned bytes)
{
    out[0] = (uint8_t)kind;
    wire_put_be(out + 1, number, bytes);
    return 1 + bytes;
}

/* Format 1 as long as there is nothing that rules 1 did not know. */
static bool header_is_old(const struct conv *c)
{
    return c->type == CONV_DIRECT && !c->tracked && !c->friend && !c->blocked;
}

static uint8_t *put_group(const struct conv_group *g, uint8_t *p)
{
    p = wire_put_be(p, g->flags, 4);
    *p++ = g->dissolved;
    p = wire_put_be(p, g->count, 4);
    p = wire_put_be(p, g->asks, 4);
    p = wire_put(p, g->owner.b, ID_SIZE);
    return wire_put_be(p, g->map, 8);
}

size_t cell_put_header(const struct conv *c, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = header_is_old(c) ? CELL_FORMAT : CELL_FORMAT2;
    *p++ = c->type;
    p = wire_put_be(p, c->head, 8);
    p = wire_put_be(p, (uint64_t)c->time_ms, 8);
    if (c->type == CONV_DIRECT)
        p = wire_put(p, c->pair, sizeof c->pair);
    if (header_is_old(c))
        return (size_t)(p - out);
    if (c->type == CONV_DIRECT) {
        *p++ = c->friend;
        *p++ = c->blocked;
    } else if (c->type == CONV_GROUP) {
        p = put_group(c->group, p);
    }
    p = wire_put_be(p, c->tracked, 8);
    if (c->tracked)
        p = conv_block_put(&c->tail, c->head - c->tail.number * CONV_BLOCK, p);
    return (size_t)(p - out);
}

static bool member_is_old(const struct conv_member *m)
{
    return !m->role && !m->asked && !m->muted_until_ms && !m->read && !m->delivered;
}

size_t cell_put_member(const struct conv_member *m, uint8_t *out)
{
    const struct conv_interval *v = conv_intervals_of(m);
    uint8_t *p = out;
    *p++ = member_is_old(m) ? CELL_FORMAT : CELL_FORMAT2;
    *p++ = m->n_visible;
    for (size_t i = 0; i < m->n_visible; i++) {
        p = wire_put_be(p, v[i].from, 8);
        p = wire_put_be(p, v[i].to, 8);
    }
    *p++ = m->n_ringed;
    for (size_t i = 0; i < m->n_ringed; i++)
        p = wire_put_be(p, m->ringed[i], 4);
    *p++ = m->n_floors;
    for (size_t i = 0; i < m->n_floors; i++) {
        p = wire_put_be(p, m->floors[i].device, 4);
        p = wire_put_be(p, m->floors[i].highest, 8);
    }
    if (member_is_old(m))
        return (size_t)(p - out);
    *p++ = m->role;
    *p++ = m->asked;
    p = wire_put_varint(p, wire_zigzag(m->muted_until_ms));
    p = wire_put_varint(p, m->read);
    p = wire_put_varint(p, m->delivered);
    return (size_t)(p - out);
}

int cell_format(struct wire *w, uint64_t newest, uint64_t *format)
{
    *format = wire_be(w, 1);
    return *format > newest ? -ENOTSUP : *format ? 0 : -EBADMSG;
}

static bool get_pair(struct wire *w, struct conv *t)
{
    struct slice ids = wire_take(w, sizeof t->pair);
    if (w->bad)
        return false;
    memcpy(t->pair, ids.p, sizeof t->pair);
    return id_cmp(t->pair[0], t->pair[1]) <= 0 && id_eq(id_direct(t->pair[0], t->pair[1]), t->id);
}

static bool get_group(struct wire *w, struct conv_group *g)
{
    g->flags = (uint32_t)wire_be(w, 4);
    g->dissolved = wire_be(w, 1) != 0;
    g->count = (uint32_t)wire_be(w, 4);
    g->asks = (uint32_t)wire_be(w, 4);
    struct slice owner = wire_take(w, ID_SIZE);
    g->map = wire_be(w, 8);
    if (w->bad)
        return false;
    memcpy(g->owner.b, owner.p, ID_SIZE);
    return true;
}

/* Last: it may have memory of its own. */
static bool get_tail(struct wire *w, struct conv *t)
{
    t->tracked = wire_be(w, 8);
    t->tail = (struct conv_block){0};
    if (!t->tracked)
        return !w->bad && w->p == w->end;
    if (t->tracked > t->head)
        return false;
    uint64_t number = conv_block_of(t->head);
    if (!conv_block_get(w, t->head - number * CONV_BLOCK, &t->tail))
        return false;
    t->tail.number = number;
    if (w->p == w->end)
        return true;
    free(t->tail.authors);
    return false;
}

int cell_get_header(struct conv *c, struct slice s)
{
    struct wire w = wire_of(s);
    struct conv t = *c;
    struct conv_group g = {0};
    uint64_t format;
    int rc = cell_format(&w, CELL_FORMAT2, &format);
    if (rc)
        return rc;
    t.type = (uint8_t)wire_be(&w, 1);
    t.head = wire_be(&w, 8);
    t.time_ms = (int64_t)wire_be(&w, 8);
    if (t.type < CONV_DIRECT || t.type > CONV_SYSTEM || (t.type == CONV_DIRECT && !get_pair(&w, &t)))
        return -EBADMSG;
    if (format == CELL_FORMAT) {
        if (w.bad || w.p != w.end || t.type != CONV_DIRECT)
            return -EBADMSG;
    } else {
        if (t.type == CONV_DIRECT) {
            t.friend = (uint8_t)wire_be(&w, 1);
            t.blocked = (uint8_t)wire_be(&w, 1);
        } else if (t.type == CONV_GROUP && !get_group(&w, &g)) {
            return -EBADMSG;
        }
        if (!get_tail(&w, &t))
            return -EBADMSG;
    }
    if (t.type == CONV_GROUP) { /* cells of the group may be here already */
        struct conv_group *have = conv_group_get(c);
        have->flags = g.flags;
        have->dissolved = g.dissolved;
        have->count = g.count;
        have->asks = g.asks;
        have->owner = g.owner;
        have->map = g.map;
        t.group = have;
        t.weight = c->weight;
    }
    *c = t;
    return 0;
}

static bool visible_ok(const struct conv_interval *v, size_t n)
{
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i].from <= last || (v[i].to == 0 ? i + 1u < n : v[i].to < v[i].from))
            return false;
        last = v[i].to;
    }
    return true;
}

/* No device is named twice. */
static bool devices_ok(const struct conv_member *m, const struct conv_floor *floors)
{
    for (size_t i = 0; i < (size_t)m->n_ringed + m->n_floors; i++) {
        uint32_t device = i < m->n_ringed ? m->ringed[i] : floors[i - m->n_ringed].device;
        for (size_t k = 0; k < i; k++)
            if (device == (k < m->n_ringed ? m->ringed[k] : floors[k - m->n_ringed].device))
                return false;
    }
    return true;
}

/* The lists of format 1. */
static bool get_lists(struct wire *w, struct conv_member *m, struct conv_interval *v,
                      struct conv_floor *floors)
{
    m->n_visible = (uint8_t)wire_be(w, 1);
    if (m->n_visible > CONV_VISIBLE)
        return false;
    for (size_t i = 0; i < m->n_visible; i++) {
        v[i].from = wire_be(w, 8);
        v[i].to = wire_be(w, 8);
    }
    m->n_ringed = (uint8_t)wire_be(w, 1);
    if (m->n_ringed > CONV_RINGS)
        return false;
    for (size_t i = 0; i < m->n_ringed; i++)
        m->ringed[i] = (uint32_t)wire_be(w, 4);
    m->n_floors = (uint8_t)wire_be(w, 1);
    if (m->n_floors > CONV_FLOORS)
        return false;
    for (size_t i = 0; i < m->n_floors; i++) {
        floors[i].device = (uint32_t)wire_be(w, 4);
        floors[i].highest = wire_be(w, 8);
    }
    return !w->bad;
}

static bool get_standing(struct wire *w, struct conv_member *m)
{
    m->role = (uint8_t)wire_be(w, 1);
    m->asked = wire_be(w, 1) != 0;
    m->muted_until_ms = wire_unzigzag(wire_varint(w));
    m->read = wire_varint(w);
    m->delivered = wire_varint(w);
    return m->role <= IM__ROLE__OWNER;
}

int cell_get_member(struct conv_member *out, struct slice s)
{
    struct conv_member m = *out;
    struct conv_floor floors[CONV_FLOORS];
    struct conv_interval v[CONV_VISIBLE];
    struct wire w = wire_of(s);
    uint64_t format;
    int rc = cell_format(&w, CELL_FORMAT2, &format);
    if (rc)
        return rc;
    if (!get_lists(&w, &m, v, floors) || (format == CELL_FORMAT2 && !get_standing(&w, &m)) || w.bad ||
        w.p != w.end || !visible_ok(v, m.n_visible) || !devices_ok(&m, floors))
        return -EBADMSG;
    if (m.n_floors) {
        m.floors = conv_realloc(m.floors, sizeof floors);
        memcpy(m.floors, floors, m.n_floors * sizeof *floors);
    }
    if (m.n_visible > 1)
        m.many = conv_realloc(m.many, sizeof v);
    memcpy(conv_intervals(&m), v, m.n_visible * sizeof *v);
    *out = m;
    return 0;
}

size_t cell_put_pins(const struct conv *c, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = CELL_FORMAT;
    *p++ = c->n_pins;
    for (size_t i = 0; i < c->n_pins; i++)
        p = wire_put_varint(p, c->pins[i] - (i ? c->pins[i - 1] : 0));
    return (size_t)(p - out);
}

int cell_get_pins(struct conv *c, struct slice s)
{
    struct wire w = wire_of(s);
    uint64_t format, pins[CONV_PINS], last = 0;
    int rc = cell_format(&w, CELL_FORMAT, &format);
    if (rc)
        return rc;
    size_t n = wire_be(&w, 1);
    if (n < 1 || n > CONV_PINS)
        return -EBADMSG;
    for (size_t i = 0; i < n; i++) {
        uint64_t delta = wire_varint(&w);
        if (w.bad || delta == 0 || delta > UINT64_MAX - last)
            return -EBADMSG;
        pins[i] = last += delta;
    }
    if (w.p != w.end)
        return -EBADMSG;
    c->pins = conv_realloc(c->pins, sizeof pins);
    memcpy(c->pins, pins, n * sizeof *pins);
    c->n_pins = (uint8_t)n;
    return 0;
}
