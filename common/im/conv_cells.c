/* Cells to and from bytes. Integers are big-endian, ring entries are differences to the one before (a busy
 * ring is some 350 bytes instead of 1.7 KiB).
 *
 *   header  format:1 type:1 head:8 time_ms:8 | direct: pair 2 × 16, ascending
 *   member  format:1 | n:1 { from:8 to:8 } | n:1 { device:4 } latest use first | n:1 { device:4 highest:8 }
 * latest first ring    format:1 evicted:8 n:1 { varint client_seq - previous; varint reason; zigzag time -
 * previous; when the reason is 0: zigzag seq - previous }        previous: evicted, 0, 0 at first */
#include "common/im/conv_private.h"
#include "common/im/wire.h"

#include <errno.h>

size_t cell_key(uint8_t *out, enum cell_kind kind, const struct id16 *user, uint32_t device)
{
    out[0] = (uint8_t)kind;
    if (kind == CELL_HEADER)
        return 1;
    memcpy(out + 1, user->b, ID_SIZE);
    if (kind == CELL_MEMBER)
        return 1 + ID_SIZE;
    wire_put_be(out + 1 + ID_SIZE, device, 4);
    return 1 + ID_SIZE + 4;
}

size_t cell_put_header(const struct conv *c, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = CELL_FORMAT;
    *p++ = c->type;
    p = wire_put_be(p, c->head, 8);
    p = wire_put_be(p, (uint64_t)c->time_ms, 8);
    p = wire_put(p, c->pair, sizeof c->pair);
    return (size_t)(p - out);
}

size_t cell_put_member(const struct conv_member *m, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = CELL_FORMAT;
    *p++ = m->n_visible;
    for (size_t i = 0; i < m->n_visible; i++) {
        p = wire_put_be(p, m->visible[i].from, 8);
        p = wire_put_be(p, m->visible[i].to, 8);
    }
    *p++ = m->n_ringed;
    for (size_t i = 0; i < m->n_ringed; i++)
        p = wire_put_be(p, m->ringed[i], 4);
    *p++ = m->n_floors;
    for (size_t i = 0; i < m->n_floors; i++) {
        p = wire_put_be(p, m->floors[i].device, 4);
        p = wire_put_be(p, m->floors[i].highest, 8);
    }
    return (size_t)(p - out);
}

size_t cell_put_ring(const struct conv_ring *r, uint8_t *out)
{
    uint8_t *p = out;
    uint64_t number = r->evicted, seq = 0, time = 0;
    *p++ = CELL_FORMAT;
    p = wire_put_be(p, r->evicted, 8);
    *p++ = r->n;
    for (size_t i = 0; i < r->n; i++) {
        const struct conv_entry *e = &r->entries[i];
        p = wire_put_varint(p, e->client_seq - number);
        p = wire_put_varint(p, e->reason);
        p = wire_put_varint(p, wire_zigzag((int64_t)((uint64_t)e->time_ms - time)));
        number = e->client_seq;
        time = (uint64_t)e->time_ms;
        if (e->reason)
            continue;
        p = wire_put_varint(p, wire_zigzag((int64_t)(e->seq - seq)));
        seq = e->seq;
    }
    return (size_t)(p - out);
}

static int format(struct wire *w)
{
    uint64_t f = wire_be(w, 1);
    return f == CELL_FORMAT ? 0 : f > CELL_FORMAT ? -ENOTSUP : -EBADMSG;
}

int cell_get_header(struct conv *c, struct slice s)
{
    struct wire w = wire_of(s);
    struct id16 pair[2];
    int rc = format(&w);
    if (rc)
        return rc;
    uint8_t type = (uint8_t)wire_be(&w, 1);
    uint64_t head = wire_be(&w, 8);
    int64_t time = (int64_t)wire_be(&w, 8);
    struct slice ids = wire_take(&w, sizeof pair);
    if (w.bad || w.p != w.end || type != HEADER_DIRECT)
        return -EBADMSG;
    memcpy(pair, ids.p, sizeof pair);
    if (id_cmp(pair[0], pair[1]) > 0 || !id_eq(id_direct(pair[0], pair[1]), c->id))
        return -EBADMSG;
    c->type = type;
    c->head = head;
    c->time_ms = time;
    memcpy(c->pair, pair, sizeof pair);
    return 0;
}

static bool visible_ok(const struct conv_member *m)
{
    uint64_t last = 0;
    for (size_t i = 0; i < m->n_visible; i++) {
        const struct conv_interval *v = &m->visible[i];
        if (v->from <= last || (v->to == 0 ? i + 1u < m->n_visible : v->to < v->from))
            return false;
        last = v->to;
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

int cell_get_member(struct conv_member *out, struct slice s)
{
    struct conv_member m = *out;
    struct conv_floor floors[CONV_FLOORS];
    struct wire w = wire_of(s);
    int rc = format(&w);
    if (rc)
        return rc;
    m.n_visible = (uint8_t)wire_be(&w, 1);
    if (m.n_visible > CONV_VISIBLE)
        return -EBADMSG;
    for (size_t i = 0; i < m.n_visible; i++) {
        m.visible[i].from = wire_be(&w, 8);
        m.visible[i].to = wire_be(&w, 8);
    }
    m.n_ringed = (uint8_t)wire_be(&w, 1);
    if (m.n_ringed > CONV_RINGS)
        return -EBADMSG;
    for (size_t i = 0; i < m.n_ringed; i++)
        m.ringed[i] = (uint32_t)wire_be(&w, 4);
    m.n_floors = (uint8_t)wire_be(&w, 1);
    if (m.n_floors > CONV_FLOORS)
        return -EBADMSG;
    for (size_t i = 0; i < m.n_floors; i++) {
        floors[i].device = (uint32_t)wire_be(&w, 4);
        floors[i].highest = wire_be(&w, 8);
    }
    if (w.bad || w.p != w.end || !visible_ok(&m) || !devices_ok(&m, floors))
        return -EBADMSG;
    if (m.n_floors) {
        m.floors = conv_realloc(m.floors, sizeof floors);
        memcpy(m.floors, floors, m.n_floors * sizeof *floors);
    }
    *out = m;
    return 0;
}

static bool entry_get(struct wire *w, struct conv_entry *e, const struct conv_entry *before)
{
    uint64_t delta = wire_varint(w), reason = wire_varint(w);
    e->client_seq = before->client_seq + delta;
    e->reason = (uint16_t)reason;
    e->time_ms = (int64_t)((uint64_t)before->time_ms + (uint64_t)wire_unzigzag(wire_varint(w)));
    e->seq = reason ? 0 : before->seq + (uint64_t)wire_unzigzag(wire_varint(w));
    return !w->bad && e->client_seq > before->client_seq && reason <= UINT16_MAX && (reason || e->seq);
}

int cell_get_ring(struct conv_ring *out, struct slice s)
{
    struct conv_entry entries[CONV_RING], before = {0};
    struct wire w = wire_of(s);
    int rc = format(&w);
    if (rc)
        return rc;
    uint64_t evicted = before.client_seq = wire_be(&w, 8);
    size_t n = wire_be(&w, 1);
    if (n < 1 || n > CONV_RING)
        return -EBADMSG;
    for (size_t i = 0; i < n; i++) {
        if (!entry_get(&w, &entries[i], &before))
            return -EBADMSG;
        uint64_t seq = entries[i].reason ? before.seq : entries[i].seq;
        before = entries[i];
        before.seq = seq;
    }
    if (w.p != w.end)
        return -EBADMSG;
    size_t cap = n <= 4 ? 4 : n <= 16 ? 16 : CONV_RING;
    out->entries = conv_realloc(out->entries, cap * sizeof *entries);
    memcpy(out->entries, entries, n * sizeof *entries);
    out->evicted = evicted;
    out->n = (uint8_t)n;
    out->cap = (uint8_t)cap;
    return 0;
}
