/* bytes.h: a byte string that grows while it is being built.
 *
 * Errors stick: once an append fails (no memory, past `max`), all later ones do nothing, so a writer checks
 * bytes_ok() once at its end. Zero-initialised is empty and unlimited. One thread at a time.
 */
#ifndef PARLEY_BASE_BYTES_H
#define PARLEY_BASE_BYTES_H

#include "common/base/core.h"
#include "common/base/macros.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct bytes {
    uint8_t *p; /* n bytes, then a NUL that does not count, so that text can be handed on; NULL while empty */
    size_t n, cap;
    size_t max; /* 0: none */
    bool failed;
};

void bytes_release(struct bytes *); /* frees; leaves it empty and usable, `max` kept */
void bytes_clear(struct bytes *);   /* empty, memory kept, failure forgotten */

static inline bool bytes_ok(const struct bytes *b)
{
    return !b->failed;
}

void bytes_put(struct bytes *, const void *p, size_t n);
void bytes_str(struct bytes *, const char *);
void bytes_u8(struct bytes *, uint8_t);
void bytes_be16(struct bytes *, uint16_t);
void bytes_be32(struct bytes *, uint32_t);
void bytes_be64(struct bytes *, uint64_t);
void bytes_printf(struct bytes *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A JSON string, quoted and escaped; invalid UTF-8 becomes U+FFFD. */
void bytes_json(struct bytes *, const char *, size_t n);

/* Room for n more bytes, to be filled in place; they count at once. NULL: failed. Until the next append. */
void *bytes_room(struct bytes *, size_t n);

/* Drops the first n, at most all: for input that is consumed from the front. */
void bytes_eat(struct bytes *, size_t n);

static inline struct slice bytes_slice(const struct bytes *b)
{
    return (struct slice){b->p, b->n};
}

struct buf *MUST_CHECK bytes_to_buf(const struct bytes *); /* a copy; NULL: failed before, or no memory */

#endif
