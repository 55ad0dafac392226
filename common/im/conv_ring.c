/* The rings of a member's devices, in memory. */
#include "common/base/crash.h"
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

#include <stdlib.h>

struct conv_ring *conv_ring_find(const struct conv_member *m, uint32_t device)
{
    for (size_t i = 0; i < m->n_rings; i++)
        if (m->rings[i].device == device)
            return &m->rings[i];
    return NULL;
}

struct conv_ring *conv_ring_get(struct conv_member *m, uint32_t device)
{
    struct conv_ring *r = conv_ring_find(m, device);
    if (r)
        return r;
    if (m->n_rings == m->cap_rings) {
        m->cap_rings = m->cap_rings ? 2 * m->cap_rings : 1;
        m->rings = conv_realloc(m->rings, m->cap_rings * sizeof *m->rings);
    }
    r = &m->rings[m->n_rings++];
    *r = (struct conv_ring){.device = device};
    return r;
}

void conv_ring_drop(struct conv_member *m, size_t index)
{
    free(m->rings[index].entries);
    m->rings[index] = m->rings[--m->n_rings];
}

static int ringed_at(const struct conv_member *m, uint32_t device)
{
    for (int i = 0; i < m->n_ringed; i++)
        if (m->ringed[i] == device)
            return i;
    return -1;
}

bool conv_ringed(const struct conv_member *m, uint32_t device)
{
    return ringed_at(m, device) >= 0;
}

uint64_t conv_floor_of(const struct conv_member *m, uint32_t device)
{
    for (size_t i = 0; i < m->n_floors; i++)
        if (m->floors[i].device == device)
            return m->floors[i].highest;
    return 0;
}

/* First entry whose number is not below. */
static size_t lower_bound(const struct conv_ring *r, uint64_t client_seq)
{
    if (r->n == 0 || r->entries[r->n - 1].client_seq < client_seq)
        return r->n; /* nearly always */
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r->entries[mid].client_seq < client_seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool conv_ring_lookup(const struct conv_member *m, uint32_t device, uint64_t client_seq,
                      struct conv_outcome *out)
{
    if (planted("no-duplicate-check"))
        return false;
    const struct conv_ring *r = conv_ringed(m, device) ? conv_ring_find(m, device) : NULL;
    if (r) {
        size_t at = lower_bound(r, client_seq);
        if (at < r->n && r->entries[at].client_seq == client_seq) {
            const struct conv_entry *e = &r->entries[at];
            *out = (struct conv_outcome){.verdict = CONV_DUPLICATE,
                                         .reason = e->reason == CONV_NOTE ? 0 : e->reason,
                                         .seq = e->seq,
                                         .time_ms = e->time_ms};
            return true;
        }
    }
    if (client_seq > (r ? r->evicted : conv_floor_of(m, device)))
        return false;
    out->verdict = CONV_REFUSED;
    out->reason = IM__CODE__STALE;
    out->seq = 0;
    return true;
}

/* Takes a device's floor out of the list and returns it. */
static uint64_t floor_take(struct conv_member *m, uint32_t device)
{
    for (size_t i = 0; i < m->n_floors; i++)
        if (m->floors[i].device == device) {
            uint64_t highest = m->floors[i].highest;
            m->n_floors--;
            memmove(&m->floors[i], &m->floors[i + 1], (m->n_floors - i) * sizeof *m->floors);
            return highest;
        }
    return 0;
}

static void floor_put(struct conv_member *m, uint32_t device, uint64_t highest)
{
    if (!m->floors)
        m->floors = conv_realloc(NULL, CONV_FLOORS * sizeof *m->floors);
    if (m->n_floors < CONV_FLOORS)
        m->n_floors++;
    memmove(m->floors + 1, m->floors, (m->n_floors - 1u) * sizeof *m->floors);
    m->floors[0] = (struct conv_floor){device, highest};
}

/* The least recently used ring goes; how far it got stays. */
static void evict_ring(struct conv_member *m)
{
    uint32_t device = m->ringed[--m->n_ringed];
    struct conv_ring *r = conv_ring_find(m, device);
    if (!r || !r->loaded)
        conv_broken("evicting a ring that was not loaded");
    floor_put(m, device, r->n ? r->entries[r->n - 1].client_seq : r->evicted);
    free(r->entries);
    *r = (struct conv_ring){.device = device, .loaded = true, .dirty = true};
}

/* Moves the device to the front of the list, making its ring when it has none. */
static struct conv_ring *touch(struct conv_member *m, uint32_t device)
{
    int at = ringed_at(m, device);
    if (at == 0)
        return conv_ring_find(m, device);
    m->dirty = true;
    if (at < 0) {
        uint64_t below = floor_take(m, device);
        if (m->n_ringed == CONV_RINGS)
            evict_ring(m);
        struct conv_ring *r = conv_ring_get(m, device);
        r->loaded = r->exists = true;
        r->evicted = below;
        at = m->n_ringed++;
    }
    memmove(m->ringed + 1, m->ringed, (size_t)at * sizeof *m->ringed);
    m->ringed[0] = device;
    return conv_ring_find(m, device);
}

void conv_ring_record(struct conv_member *m, uint32_t device, const struct conv_entry *e)
{
    struct conv_ring *r = touch(m, device);
    if (!r || !r->loaded)
        conv_broken("a ring was not loaded");
    r->dirty = true;
    size_t at = lower_bound(r, e->client_seq);
    if (r->n == CONV_RING) { /* the lowest falls out: it may be the new one */
        r->evicted = at ? r->entries[0].client_seq : e->client_seq;
        if (at == 0)
            return;
        memmove(r->entries, r->entries + 1, (at - 1) * sizeof *r->entries);
        r->entries[at - 1] = *e;
        return;
    }
    if (r->n == r->cap) {
        r->cap = (uint8_t)(r->cap ? 2 * r->cap : 4);
        r->entries = conv_realloc(r->entries, r->cap * sizeof *r->entries);
    }
    memmove(r->entries + at + 1, r->entries + at, (r->n - at) * sizeof *r->entries);
    r->entries[at] = *e;
    r->n++;
}
