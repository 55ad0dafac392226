#include "common/base/buf.h"

#include <stdlib.h>
#include <string.h>

struct buf *buf_new(size_t n)
{
    if (n > UINT32_MAX)
        return NULL;
    struct buf *b = malloc(sizeof *b + n);
    if (b) {
        b->refs = 1;
        b->n = (uint32_t)n;
    }
    return b;
}

struct buf *buf_copy(const void *p, size_t n)
{
    struct buf *b = buf_new(n);
    if (b && n)
        memcpy(b->data, p, n);
    return b;
}

void buf_unref(struct buf *b)
{
    if (b && --b->refs == 0)
        free(b);
}
