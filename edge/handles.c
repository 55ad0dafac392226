#include "edge/handles.h"

#include <stdlib.h>

struct handle_slot {
    uint32_t handle, conn; /* handle 0: free */
};

static uint32_t home(const struct handles *h, uint32_t handle)
{
    return handle * 2654435769u & (h->cap - 1);
}

void handles_release(struct handles *h)
{
    free(h->v);
    *h = (struct handles){0};
}

static void put(struct handles *h, uint32_t handle, uint32_t conn)
{
    uint32_t i = home(h, handle);
    while (h->v[i].handle)
        i = (i + 1) & (h->cap - 1);
    h->v[i] = (struct handle_slot){handle, conn};
}

bool handles_add(struct handles *h, uint32_t handle, uint32_t conn)
{
    if (h->n >= h->cap / 4 * 3) {
        struct handles old = *h;
        uint32_t cap = old.cap ? old.cap * 2 : 64;
        struct handle_slot *v = calloc(cap, sizeof *v);
        if (!v)
            return false;
        *h = (struct handles){v, cap, old.n};
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.v[i].handle)
                put(h, old.v[i].handle, old.v[i].conn);
        free(old.v);
    }
    put(h, handle, conn);
    h->n++;
    return true;
}

uint32_t handles_get(const struct handles *h, uint32_t handle)
{
    if (!h->n || !handle)
        return UINT32_MAX;
    for (uint32_t i = home(h, handle); h->v[i].handle; i = (i + 1) & (h->cap - 1))
        if (h->v[i].handle == handle)
            return h->v[i].conn;
    return UINT32_MAX;
}

void handles_del(struct handles *h, uint32_t handle)
{
    if (!h->n || !handle)
        return;
    uint32_t i = home(h, handle);
    while (h->v[i].handle != handle) {
        if (!h->v[i].handle)
            return;
        i = (i + 1) & (h->cap - 1);
    }
    h->n--;
    /* close the hole: move back whatever would no longer be found behind it */
    for (uint32_t j = i;;) {
        h->v[i].handle = 0;
        do {
            j = (j + 1) & (h->cap - 1);
            if (!h->v[j].handle)
                return;
        } while (((j - home(h, h->v[j].handle)) & (h->cap - 1)) < ((j - i) & (h->cap - 1)));
        h->v[i] = h->v[j];
        i = j;
    }
}
