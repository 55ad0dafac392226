#include "edge/asked.h"

#include <stdlib.h>

struct asked {
    uint32_t n, cap, last_ms[2]; /* by kind */
    struct {
        uint32_t seq_id;
        enum asked_kind kind;
    } v[];
};

void asked_add(struct asked **set, enum asked_kind kind, uint32_t seq_id, uint32_t now_ms)
{
    struct asked *a = *set;
    if (!a || a->n == a->cap) {
        uint32_t n = a ? a->n : 0, cap = n ? 2 * n : 4;
        a = realloc(a, sizeof *a + cap * sizeof *a->v);
        if (!a)
            abort();
        a->n = n;
        a->cap = cap;
        *set = a;
    }
    a->last_ms[kind] = now_ms;
    a->v[a->n].seq_id = seq_id;
    a->v[a->n++].kind = kind;
}

void asked_free(struct asked **set)
{
    free(*set);
    *set = NULL;
}

bool asked_over(struct asked **set, enum asked_kind kind, uint32_t seq_id)
{
    struct asked *a = *set;
    for (uint32_t i = 0; a && i < a->n; i++) {
        if (a->v[i].seq_id != seq_id || a->v[i].kind != kind)
            continue;
        a->v[i] = a->v[--a->n];
        if (a->n == 0)
            asked_free(set);
        return true;
    }
    return false;
}

uint32_t asked_count(struct asked **set, enum asked_kind kind, uint32_t now_ms, uint32_t lost_ms)
{
    struct asked *a = *set;
    uint32_t n = 0;
    for (uint32_t i = a ? a->n : 0; i-- > 0;) {
        if (a->v[i].kind != kind)
            continue;
        if (now_ms - a->last_ms[kind] >= lost_ms)
            a->v[i] = a->v[--a->n];
        else
            n++;
    }
    if (a && a->n == 0)
        asked_free(set);
    return n;
}
