#include "offline/cursors.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdlib.h>

#define ROW_VERSION 1

void cursors_key(struct id16 user, uint32_t device, uint8_t bucket, uint8_t out[CURSORS_KEY])
{
    memcpy(out, user.b, ID_SIZE);
    for (int i = 0; i < 4; i++)
        out[ID_SIZE + i] = (uint8_t)(device >> (24 - 8 * i));
    out[ID_SIZE + 4] = bucket;
}

struct cursors *cursors_new(void)
{
    struct cursors *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    return c;
}

void cursors_free(struct cursors *c)
{
    if (!c)
        return;
    free(c->ranges);
    free(c);
}

size_t cursors_bytes(const struct cursors *c)
{
    return sizeof *c + c->cap * sizeof *c->ranges + 32;
}

const struct range *cursors_find(const struct cursors *c, struct id16 conv)
{
    for (size_t i = 0; i < c->n; i++)
        if (id_eq(c->ranges[i].conv, conv))
            return &c->ranges[i];
    return NULL;
}

bool cursors_cover(const struct cursors *c, struct id16 conv, uint64_t seq)
{
    const struct range *r = cursors_find(c, conv);
    return r && r->from <= seq && seq <= r->upto;
}

static void push_front(struct cursors *c, const struct range *r)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 4;
        c->ranges = realloc(c->ranges, c->cap * sizeof *c->ranges);
        if (!c->ranges)
            abort();
    }
    memmove(c->ranges + 1, c->ranges, c->n * sizeof *c->ranges);
    c->ranges[0] = *r;
    c->n++;
    if (c->n > CURSORS_MAX_ROW)
        c->n = CURSORS_MAX_ROW;
}

static bool touches(const struct range *a, const struct range *b)
{
    return (b->upto == UINT64_MAX || a->from <= b->upto + 1) &&
           (a->upto == UINT64_MAX || b->from <= a->upto + 1);
}

bool cursors_merge(struct cursors *c, const struct range *in)
{
    struct range r = *in;
    r.from = r.from ? r.from : 1;
    if (r.upto < r.from)
        return false;
    const struct range *old = cursors_find(c, r.conv);
    if (!old) {
        push_front(c, &r);
        return true;
    }
    if (touches(&r, old)) {
        r.from = r.from < old->from ? r.from : old->from;
        r.upto = r.upto > old->upto ? r.upto : old->upto;
    } else if (old->upto > r.upto) {
        return false;
    }
    if (r.from == old->from && r.upto == old->upto)
        return false;
    size_t at = (size_t)(old - c->ranges);
    memmove(c->ranges + 1, c->ranges, at * sizeof *c->ranges);
    c->ranges[0] = r;
    return true;
}

void cursors_pack(const struct cursors *c, struct bytes *out)
{
    bytes_u8(out, ROW_VERSION);
    bytes_be16(out, (uint16_t)c->n);
    for (size_t i = 0; i < c->n; i++) {
        bytes_put(out, c->ranges[i].conv.b, ID_SIZE);
        bytes_be64(out, c->ranges[i].from);
        bytes_be64(out, c->ranges[i].upto);
    }
}

int cursors_unpack(struct cursors *c, struct slice row)
{
    struct reader r = reader_of(row);
    uint8_t version = reader_u8(&r);
    if (!r.bad && version > ROW_VERSION)
        return -ENOTSUP;
    size_t n = reader_be16(&r);
    if (version != ROW_VERSION || n > CURSORS_MAX_ROW || r.n != n * sizeof(struct range))
        return -EBADMSG;
    c->ranges = n ? malloc(n * sizeof *c->ranges) : NULL;
    if (n && !c->ranges)
        abort();
    c->n = c->cap = n;
    for (size_t i = 0; i < n; i++) {
        reader_copy(&r, c->ranges[i].conv.b, ID_SIZE);
        c->ranges[i].from = reader_be64(&r);
        c->ranges[i].upto = reader_be64(&r);
    }
    return reader_done(&r) ? 0 : -EBADMSG;
}
