#include "edge/cursors.h"

#include <errno.h>
#include <stdlib.h>

void edge_cursors_release(struct edge_cursors *c)
{
    free(c->v);
    *c = (struct edge_cursors){0};
}

void edge_range_merge(struct edge_range *into, const struct edge_range *r)
{
    bool apart = (into->upto < r->from && r->from - into->upto > 1) ||
                 (r->upto < into->from && into->from - r->upto > 1);
    if (apart) {
        if (r->upto > into->upto)
            *into = *r;
        return;
    }
    if (r->from < into->from)
        into->from = r->from;
    if (r->upto > into->upto)
        into->upto = r->upto;
}

bool edge_cursors_have(const struct edge_cursors *c, struct id16 conv)
{
    for (uint32_t i = c->n; i > 0; i--) /* the newest are the likeliest */
        if (id_eq(c->v[i - 1].conv, conv))
            return true;
    return false;
}

int edge_cursors_add(struct edge_cursors *c, const struct edge_range *r)
{
    for (uint32_t i = c->n; i > 0; i--) /* the newest are the likeliest */
        if (id_eq(c->v[i - 1].conv, r->conv)) {
            edge_range_merge(&c->v[i - 1], r);
            return 0;
        }
    if (c->n == EDGE_CURSORS_MAX)
        return -ENOSPC;
    if (c->n == c->cap) {
        uint32_t cap = c->cap ? c->cap * 2 : 4;
        struct edge_range *v = realloc(c->v, cap * sizeof *v);
        if (!v)
            return -ENOMEM;
        c->v = v;
        c->cap = cap;
    }
    c->v[c->n++] = *r;
    return 0;
}
