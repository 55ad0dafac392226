#include "edge/departed.h"

#include "edge/handles.h"

#include <stdlib.h>

struct departed {
    struct handles map; /* handle → place in the ring */
    uint32_t max, n, at;
    struct departed_one ring[]; /* pages nobody wrote to cost nothing */
};

struct departed *departed_new(uint32_t max)
{
    struct departed *d = calloc(1, sizeof *d + max * sizeof d->ring[0]);
    if (d)
        d->max = max;
    return d;
}

void departed_free(struct departed *d)
{
    if (!d)
        return;
    handles_release(&d->map);
    free(d);
}

void departed_clear(struct departed *d)
{
    handles_release(&d->map);
    d->n = d->at = 0;
}

void departed_add(struct departed *d, const struct departed_one *one)
{
    struct departed_one *place = &d->ring[d->at];
    if (d->n == d->max) {
        handles_del(&d->map, place->handle);
        d->n--;
    }
    if (!handles_add(&d->map, one->handle, d->at))
        return;
    *place = *one;
    d->at = d->at + 1 == d->max ? 0 : d->at + 1;
    d->n++;
}

const struct departed_one *departed_get(const struct departed *d, uint32_t handle)
{
    uint32_t at = handles_get(&d->map, handle);
    return at == UINT32_MAX ? NULL : &d->ring[at];
}
