/* Rings to and from bytes: see conv_cells.c. */
#include "common/im/conv_private.h"

#include <errno.h>

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
    uint64_t format;
    int rc = cell_format(&w, CELL_FORMAT, &format);
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
