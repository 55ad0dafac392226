/* imfx.h: effects that are only remembered, for unit tests of what encodes into them. Include it once per test. */
#ifndef PARLEY_TESTS_IMFX_H
#define PARLEY_TESTS_IMFX_H

#include "common/base/core.h"

#include <stdlib.h>
#include <string.h>

struct fx {
    void *blocks[4096];
    size_t n_blocks, n;
    struct {
        uint16_t topic;
        int32_t part;
        struct slice key, value;
        uint64_t tag;
    } sent[256];
};

void *fx_alloc(struct fx *fx, size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p || fx->n_blocks == 4096)
        abort();
    return fx->blocks[fx->n_blocks++] = p;
}

static inline struct slice fx_keep(struct fx *fx, struct slice s)
{
    void *p = fx_alloc(fx, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (struct slice){p, s.n};
}

void fx_send_at(struct fx *fx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                uint64_t tag)
{
    if (fx->n == 256)
        abort();
    fx->sent[fx->n].topic = topic;
    fx->sent[fx->n].part = part;
    fx->sent[fx->n].key = fx_keep(fx, key);
    fx->sent[fx->n].value = fx_keep(fx, value);
    fx->sent[fx->n++].tag = tag;
}

void fx_send(struct fx *fx, uint16_t topic, struct slice key, struct slice value, uint64_t tag)
{
    fx_send_at(fx, topic, FX_BY_KEY, key, value, tag);
}

static inline void fx_reset(struct fx *fx)
{
    while (fx->n_blocks)
        free(fx->blocks[--fx->n_blocks]);
    fx->n = 0;
}

#endif
