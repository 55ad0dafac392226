/* wire.h: the few bits of the protobuf wire format and of stored cells that are read and written by hand.
 *
 * A reader never goes past its end; once something is wrong it stays wrong (`bad`) and yields zeros. No
 * memory. */
#ifndef PARLEY_IM_WIRE_H
#define PARLEY_IM_WIRE_H

#include "common/base/core.h"

#include <string.h>

struct wire {
    const uint8_t *p, *end;
    bool bad;
};

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static inline struct wire wire_of(struct slice s)
{
    return (struct wire){s.p, (const uint8_t *)s.p + s.n, false};
}
static inline bool wire_done(const struct wire *w)
{
    return w->bad || w->p == w->end;
}

/* Up to 10 bytes, as protobuf reads them: overlong forms are fine, what does not fit in 64 bits is not. */
static inline uint64_t wire_varint(struct wire *w)
{
    if (w->p < w->end && *w->p < 0x80)
        return *w->p++;
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && w->p < w->end; shift += 7) {
        uint8_t b = *w->p++;
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    w->bad = true;
    w->p = w->end;
    return 0;
}

static inline struct slice wire_take(struct wire *w, uint64_t n)
{
    if (w->bad || n > (uint64_t)(w->end - w->p)) {
        w->bad = true;
        w->p = w->end;
        return (struct slice){w->end, 0};
    }
    struct slice s = {w->p, (size_t)n};
    w->p += n;
    return s;
}

static inline uint64_t wire_be(struct wire *w, unsigned n)
{
    struct slice s = wire_take(w, n);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | ((const uint8_t *)s.p)[i];
    return v;
}

static inline uint64_t wire_le(struct wire *w, unsigned n)
{
    struct slice s = wire_take(w, n);
    uint64_t v = 0;
    for (size_t i = s.n; i-- > 0;)
        v = v << 8 | ((const uint8_t *)s.p)[i];
    return v;
}

/* One field of a message. `number` is for numeric types, `bytes` for WIRE_BYTES. */
struct wire_field {
    uint32_t id;
    uint8_t type;
    uint64_t number;
    struct slice bytes;
};

/* False: at the end, or bad. Groups are bad. */
static inline bool wire_next(struct wire *w, struct wire_field *f)
{
    if (wire_done(w))
        return false;
    f->number = 0;
    f->bytes = (struct slice){NULL, 0};
    uint64_t tag = wire_varint(w);
    f->type = tag & 7;
    f->id = (uint32_t)(tag >> 3);
    if (tag >> 32 || f->id == 0)
        w->bad = true;
    else if (f->type == WIRE_VARINT)
        f->number = wire_varint(w);
    else if (f->type == WIRE_FIXED64)
        f->number = wire_le(w, 8);
    else if (f->type == WIRE_FIXED32)
        f->number = wire_le(w, 4);
    else if (f->type == WIRE_BYTES)
        f->bytes = wire_take(w, wire_varint(w));
    else
        w->bad = true;
    return !w->bad;
}

/* Writers: the caller has made sure of the room. */
static inline uint8_t *wire_put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}
static inline uint8_t *wire_put_be(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
    return p + n;
}
static inline uint8_t *wire_put(uint8_t *p, const void *from, size_t n)
{
    if (n)
        memcpy(p, from, n);
    return p + n;
}
static inline size_t wire_varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}
static inline uint64_t wire_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t wire_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

#endif
