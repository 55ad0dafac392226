/* reader.h: the counterpart of bytes.h: takes big-endian numbers and strings off the front of a slice.
 *
 * Errors stick: once there is less than was asked for, everything reads as zero or empty and `bad` stays set, so a
 * decoder checks reader_done() once at its end. Borrows the slice; any thread.
 */
#ifndef PARLEY_BASE_READER_H
#define PARLEY_BASE_READER_H

#include "common/base/core.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const uint8_t *p;
    size_t n;
    bool bad;
};

static inline struct reader reader_of(struct slice s)
{
    return (struct reader){s.p, s.n, false};
}

/* Everything was there and nothing is left over. */
static inline bool reader_done(const struct reader *r)
{
    return !r->bad && r->n == 0;
}

static inline struct slice reader_take(struct reader *r, size_t n)
{
    if (r->bad || r->n < n) {
        r->bad = true;
        return (struct slice){NULL, 0};
    }
    struct slice s = {r->p, n};
    r->p += n;
    r->n -= n;
    return s;
}

static inline uint64_t reader_be(struct reader *r, size_t width)
{
    struct slice s = reader_take(r, width);
    const uint8_t *b = s.p;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | b[i];
    return v;
}

static inline uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)reader_be(r, 1);
}
static inline uint16_t reader_be16(struct reader *r)
{
    return (uint16_t)reader_be(r, 2);
}
static inline uint32_t reader_be32(struct reader *r)
{
    return (uint32_t)reader_be(r, 4);
}
static inline uint64_t reader_be64(struct reader *r)
{
    return reader_be(r, 8);
}

static inline void reader_copy(struct reader *r, void *out, size_t n)
{
    struct slice s = reader_take(r, n);
    if (s.n)
        memcpy(out, s.p, n);
    else
        memset(out, 0, n);
}

/* A length byte and that many bytes, into a NUL-terminated array; bad when it does not fit. */
static inline void reader_str8(struct reader *r, char *out, size_t cap)
{
    struct slice s = reader_take(r, reader_u8(r));
    if (s.n >= cap) {
        r->bad = true;
        s.n = 0;
    }
    if (s.n)
        memcpy(out, s.p, s.n);
    out[s.n] = '\0';
}

#endif
