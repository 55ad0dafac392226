#include "bench/hist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF (HIST_SUB / 2)

/* Magnitude 0 has HIST_SUB steps of 1; every further one has HALF steps, twice as wide as the ones before. */
static unsigned slot_of(int64_t v)
{
    unsigned mag = 0;
    if (v >= HIST_SUB)
        mag = 63u - (unsigned)__builtin_clzll((unsigned long long)v) - 10u;
    return mag * HALF + (unsigned)(v >> mag);
}

static int64_t middle_of(unsigned slot)
{
    unsigned mag = slot < HIST_SUB ? 0 : slot / HALF - 1;
    int64_t low = (int64_t)(slot - mag * HALF) << mag;
    return low + ((INT64_C(1) << mag) >> 1);
}

struct hist *hist_new(void)
{
    struct hist *h = malloc(sizeof *h);
    if (h)
        hist_clear(h);
    return h;
}

void hist_free(struct hist *h)
{
    free(h);
}

void hist_clear(struct hist *h)
{
    memset(h, 0, sizeof *h);
    h->min = INT64_MAX;
}

void hist_add(struct hist *h, int64_t v)
{
    if (v < 0)
        v = 0;
    if (v > HIST_TOP) {
        v = HIST_TOP;
        h->over++;
    }
    h->count++;
    h->sum += (double)v;
    if (v < h->min)
        h->min = v;
    if (v > h->max)
        h->max = v;
    h->slots[slot_of(v)]++;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    into->count += from->count;
    into->over += from->over;
    into->sum += from->sum;
    if (from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    for (unsigned i = 0; i < HIST_SLOTS; i++)
        into->slots[i] += from->slots[i];
}

int64_t hist_at(const struct hist *h, double q)
{
    if (!h->count)
        return 0;
    uint64_t want = (uint64_t)ceil(q * (double)h->count), seen = 0;
    if (want < 1)
        want = 1;
    for (unsigned i = 0; i < HIST_SLOTS; i++) {
        seen += h->slots[i];
        if (seen >= want) {
            int64_t v = middle_of(i);
            return v > h->max ? h->max : v < h->min ? h->min : v;
        }
    }
    return h->max;
}

double hist_mean(const struct hist *h)
{
    return h->count ? h->sum / (double)h->count : 0;
}
