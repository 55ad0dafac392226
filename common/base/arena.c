#include "common/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = alignof(max_align_t) };

struct chunk {
    struct chunk *next;
    size_t size, used;
    alignas(max_align_t) unsigned char data[];
};

struct arena {
    size_t chunk_size;
    size_t used, held;
    size_t recent;      /* what recent batches needed at most; falls by an eighth with each smaller one */
    struct chunk *full; /* and the current one in front */
    struct chunk *spare;
};

struct arena *arena_new(size_t chunk)
{
    struct arena *a = calloc(1, sizeof *a);
    if (a)
        a->chunk_size = chunk ? chunk : 64 * 1024;
    return a;
}

static void free_chunks(struct arena *a, struct chunk *c)
{
    while (c) {
        struct chunk *next = c->next;
        a->held -= c->size;
        free(c);
        c = next;
    }
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    free_chunks(a, a->full);
    free_chunks(a, a->spare);
    free(a);
}

/* A chunk with room for n in front: a spare one when it is large enough, else a new one. */
static struct chunk *next_chunk(struct arena *a, size_t n)
{
    struct chunk *c = a->spare;
    if (c && c->size >= n) {
        a->spare = c->next;
    } else {
        size_t size = n > a->chunk_size ? n : a->chunk_size;
        c = malloc(sizeof *c + size);
        if (!c)
            return NULL;
        c->size = size;
        a->held += size;
    }
    c->used = 0;
    c->next = a->full;
    a->full = c;
    return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    n = n ? (n + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    struct chunk *c = a->full;
    if (!c || c->size - c->used < n) {
        c = next_chunk(a, n);
        if (!c)
            return NULL;
    }
    void *p = c->data + c->used;
    c->used += n;
    a->used += n;
    return p;
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

void arena_reset(struct arena *a)
{
    a->recent -= a->recent / 8;
    if (a->used > a->recent)
        a->recent = a->used;
    a->used = 0;

    struct chunk **end = &a->spare;
    while (*end)
        end = &(*end)->next;
    *end = a->full;
    a->full = NULL;

    /* Keep about what the high-water mark asks for: no chunk that is larger than that, at least one of usual
     * size. */
    size_t need = a->recent > a->chunk_size ? a->recent : a->chunk_size, kept = 0;
    struct chunk *drop = NULL;
    for (end = &a->spare; *end;) {
        struct chunk *c = *end;
        if (kept < need && c->size <= need) {
            kept += c->size;
            end = &c->next;
        } else {
            *end = c->next;
            c->next = drop;
            drop = c;
        }
    }
    free_chunks(a, drop);
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

size_t arena_held(const struct arena *a)
{
    return a->held;
}

bool arena_owns(const struct arena *a, const void *p)
{
    for (const struct chunk *c = a->full; c; c = c->next) {
        if ((uintptr_t)p - (uintptr_t)c->data < c->used)
            return true;
    }
    return false;
}
