/* offsets.c: a ring of open records; a ticket is a position in it, counted from 1. */
#include "common/base/offsets.h"

#include <assert.h>
#include <stdlib.h>

struct slot {
    int64_t offset;
    uint32_t holds; /* 0: closed */
};

struct offsets {
    uint64_t head, tail; /* tickets: head is the oldest not yet passed, tail the next to give */
    int64_t next;
    uint32_t mask;
    struct slot ring[];
};

struct offsets *offsets_new(int64_t next, uint32_t window)
{
    if (!window || (window & (window - 1)))
        return NULL;
    struct offsets *o = calloc(1, sizeof *o + (size_t)window * sizeof(struct slot));
    if (!o)
        return NULL;
    o->head = o->tail = 1;
    o->next = next;
    o->mask = window - 1;
    return o;
}

void offsets_free(struct offsets *o)
{
    free(o);
}

bool offsets_full(const struct offsets *o)
{
    return o->tail - o->head > o->mask;
}

uint32_t offsets_open_count(const struct offsets *o)
{
    return (uint32_t)(o->tail - o->head);
}

static struct slot *slot_of(struct offsets *o, ticket t)
{
    assert(t >= o->head && t < o->tail);
    return &o->ring[t & o->mask];
}

ticket offsets_open(struct offsets *o, int64_t offset)
{
    if (offsets_full(o) || offset < o->next)
        return 0;
    o->ring[o->tail & o->mask] = (struct slot){offset, 1};
    o->next = offset + 1;
    return o->tail++;
}

void offsets_hold(struct offsets *o, ticket t)
{
    struct slot *s = slot_of(o, t);
    assert(s->holds > 0);
    s->holds++;
}

void offsets_drop(struct offsets *o, ticket t)
{
    struct slot *s = slot_of(o, t);
    assert(s->holds > 0);
    if (--s->holds)
        return;
    while (o->head < o->tail && !o->ring[o->head & o->mask].holds)
        o->head++;
}

int64_t offsets_mark(const struct offsets *o)
{
    return o->head == o->tail ? o->next : o->ring[o->head & o->mask].offset;
}

int64_t offsets_next(const struct offsets *o)
{
    return o->next;
}
