/* buf.h: bytes that several owners keep, one allocation, never changed once shared.
 *
 * buf_new() gives the caller the only reference and the right to fill `data`; after the first buf_ref()
 * nobody writes any more. The count is not atomic: all references live on one thread (librdkafka's delivery
 * reports are served on the loop thread, so a buf may be its message opaque).
 */
#ifndef PARLEY_BASE_BUF_H
#define PARLEY_BASE_BUF_H

#include "common/base/core.h"
#include "common/base/macros.h"

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint32_t refs;
    uint32_t n;
    uint8_t data[];
};

struct buf *MUST_CHECK buf_new(size_t n); /* content unset; NULL: no memory or n above 4 GiB */
struct buf *MUST_CHECK buf_copy(const void *p, size_t n); /* NULL: as buf_new */
void buf_unref(struct buf *);                             /* the last one frees; NULL is fine */

static inline struct buf *buf_ref(struct buf *b)
{
    b->refs++;
    return b;
}

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->data, b->n};
}

#endif
