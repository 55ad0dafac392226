#include "edge/throttle.h"

#include <stdlib.h>

struct place {
    uint64_t key; /* 0: free */
    uint32_t at_ms;
};

struct throttle {
    uint32_t mask;
    struct place places[];
};

struct throttle *throttle_new(uint32_t places)
{
    struct throttle *t = calloc(1, sizeof *t + places * sizeof t->places[0]);
    if (t)
        t->mask = places - 1;
    return t;
}

void throttle_free(struct throttle *t)
{
    free(t);
}

bool throttle_pass(struct throttle *t, uint32_t who, struct id16 conv, uint32_t now_ms, uint32_t every_ms)
{
    uint64_t key;
    memcpy(&key, conv.b, sizeof key);
    key = (key + (uint64_t)who * 0x9e3779b97f4a7c15u) * 0xc2b2ae3d27d4eb4fu | 1;
    struct place *p = &t->places[key >> 32 & t->mask];
    if (p->key == key && now_ms - p->at_ms < every_ms)
        return false;
    *p = (struct place){key, now_ms};
    return true;
}
