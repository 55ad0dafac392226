#include "common/im/ended.h"

#include <stdlib.h>
#include <xxhash.h>

#define NONE UINT32_MAX

struct place {
    struct session s;
    uint32_t next; /* of the same bucket */
};

struct ended {
    uint32_t max, n, cap;
    uint32_t at;      /* the next one to be overwritten, once it is full */
    uint32_t *bucket; /* `cap` of them */
    struct place *place;
};

struct ended *ended_new(uint32_t max)
{
    struct ended *e = calloc(1, sizeof *e);
    if (e)
        e->max = max ? max : 1;
    return e;
}

void ended_free(struct ended *e)
{
    if (!e)
        return;
    free(e->bucket);
    free(e->place);
    free(e);
}

static uint32_t bucket_of(const struct ended *e, uint32_t slot, uint64_t epoch, uint32_t handle)
{
    const uint64_t key[2] = {epoch, (uint64_t)slot << 32 | handle};
    return (uint32_t)(XXH3_64bits(key, sizeof key) % e->cap);
}

static uint32_t *bucket(struct ended *e, const struct session *s)
{
    return &e->bucket[bucket_of(e, s->slot, s->epoch, s->handle)];
}

static void hang(struct ended *e, uint32_t i)
{
    uint32_t *b = bucket(e, &e->place[i].s);
    e->place[i].next = *b;
    *b = i;
}

static void unhang(struct ended *e, uint32_t i)
{
    uint32_t *at = bucket(e, &e->place[i].s);
    while (*at != i)
        at = &e->place[*at].next;
    *at = e->place[i].next;
}

static void grow(struct ended *e)
{
    uint32_t cap = e->cap ? e->cap * 2 : 64;
    e->cap = cap < e->max ? cap : e->max;
    e->place = realloc(e->place, e->cap * sizeof *e->place);
    e->bucket = realloc(e->bucket, e->cap * sizeof *e->bucket);
    if (!e->place || !e->bucket)
        abort();
    for (uint32_t i = 0; i < e->cap; i++)
        e->bucket[i] = NONE;
    for (uint32_t i = 0; i < e->n; i++)
        hang(e, i);
}

void ended_add(struct ended *e, const struct session *s)
{
    uint32_t i = e->n;
    if (e->n == e->cap && e->cap < e->max)
        grow(e);
    if (e->n < e->max) {
        e->n++;
    } else {
        i = e->at;
        e->at = (e->at + 1) % e->max;
        unhang(e, i);
    }
    e->place[i].s = *s;
    hang(e, i);
}

const struct session *ended_find(const struct ended *e, uint32_t slot, uint64_t epoch, uint32_t handle)
{
    if (e->cap == 0)
        return NULL;
    for (uint32_t i = e->bucket[bucket_of(e, slot, epoch, handle)]; i != NONE; i = e->place[i].next) {
        const struct session *s = &e->place[i].s;
        if (s->slot == slot && s->epoch == epoch && s->handle == handle)
            return s;
    }
    return NULL;
}
