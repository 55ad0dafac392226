#include "client/lib/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ranges_release(struct ranges *r)
{
    free(r->v);
    *r = (struct ranges){0};
}

bool ranges_has(const struct ranges *r, uint64_t seq)
{
    for (uint32_t i = r->n; i-- > 0;)
        if (seq >= r->v[i].from)
            return seq <= r->v[i].upto;
    return false;
}

struct range ranges_last(const struct ranges *r)
{
    return r->n ? r->v[r->n - 1] : (struct range){0};
}

static int grow(struct ranges *r)
{
    uint32_t cap = r->cap ? r->cap * 2 : 1;
    if (r->n < r->cap)
        return 0;
    struct range *v = realloc(r->v, cap * sizeof *v);
    if (!v)
        return -ENOMEM;
    r->v = v;
    r->cap = cap;
    return 0;
}

int ranges_add(struct ranges *r, uint64_t from, uint64_t upto)
{
    if (from == 0 || from > upto || upto == UINT64_MAX)
        return -EINVAL;
    uint32_t lo = 0, hi;
    while (lo < r->n && r->v[lo].upto + 1 < from)
        lo++;
    for (hi = lo; hi < r->n && r->v[hi].from <= upto + 1; hi++)
        ;
    if (hi > lo) { /* lo … hi - 1 touch it */
        if (r->v[lo].from < from)
            from = r->v[lo].from;
        if (r->v[hi - 1].upto > upto)
            upto = r->v[hi - 1].upto;
        memmove(r->v + lo + 1, r->v + hi, (r->n - hi) * sizeof *r->v);
        r->n -= hi - lo - 1;
    } else {
        if (grow(r))
            return -ENOMEM;
        memmove(r->v + lo + 1, r->v + lo, (r->n - lo) * sizeof *r->v);
        r->n++;
    }
    r->v[lo] = (struct range){from, upto};
    if (r->n > (r->max ? r->max : RANGES_MAX))
        return ranges_add(r, r->v[0].from, r->v[1].upto);
    return 0;
}
