#include "offline/marks.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdlib.h>

#define ROW_VERSION 1

void marks_release(struct marks *m)
{
    free(m->v);
    *m = (struct marks){0};
}

size_t marks_memory(const struct marks *m)
{
    return m->cap * sizeof *m->v;
}

/* The first that is not below. */
static size_t place_of(const struct marks *m, const struct id16 *conv)
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (memcmp(m->v[mid].conv.b, conv->b, ID_SIZE) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct mark *marks_find(const struct marks *m, struct id16 conv)
{
    size_t at = place_of(m, &conv);
    return at < m->n && id_eq(m->v[at].conv, conv) ? &m->v[at] : NULL;
}

size_t marks_from(const struct marks *m, uint32_t prefix)
{
    struct id16 conv = {{(uint8_t)(prefix >> 8), (uint8_t)prefix}};
    return prefix ? place_of(m, &conv) : 0;
}

static void make_room(struct marks *m, uint32_t n)
{
    if (n <= m->cap)
        return;
    m->cap = m->cap * 2 > n ? m->cap * 2 : n;
    m->v = realloc(m->v, m->cap * sizeof *m->v);
    if (!m->v)
        abort();
}

struct mark *marks_add(struct marks *m, struct id16 conv)
{
    if (m->n == MARKS_MAX) {
        m->dirty |= !m->rest;
        m->rest = true;
        return NULL;
    }
    make_room(m, m->n + 1);
    size_t at = place_of(m, &conv);
    memmove(&m->v[at + 1], &m->v[at], (m->n - at) * sizeof *m->v);
    m->v[at] = (struct mark){.conv = conv};
    m->n++;
    m->dirty = true;
    return &m->v[at];
}

void marks_remove(struct marks *m, struct mark *mark)
{
    size_t at = (size_t)(mark - m->v);
    memmove(mark, mark + 1, (m->n - at - 1) * sizeof *m->v);
    m->n--;
    m->rest &= m->n > 0;
    m->dirty = true;
}

void marks_pack(const struct marks *m, struct bytes *out)
{
    bytes_u8(out, ROW_VERSION);
    bytes_u8(out, m->rest);
    bytes_be16(out, (uint16_t)m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        const struct mark *k = &m->v[i];
        bytes_put(out, k->conv.b, ID_SIZE);
        bytes_u8(out, k->upto > 0);
        if (k->upto) {
            bytes_be64(out, k->upto);
            bytes_be64(out, k->at);
        }
    }
}

int marks_unpack(struct marks *m, struct slice row)
{
    struct reader r = reader_of(row);
    uint8_t version = reader_u8(&r);
    if (!r.bad && version > ROW_VERSION)
        return -ENOTSUP;
    bool rest = reader_u8(&r);
    uint32_t n = reader_be16(&r);
    if (version != ROW_VERSION || n > MARKS_MAX)
        return -EBADMSG;
    marks_release(m);
    make_room(m, n);
    m->rest = rest;
    for (; m->n < n; m->n++) {
        struct mark *k = &m->v[m->n];
        *k = (struct mark){0};
        reader_copy(&r, k->conv.b, ID_SIZE);
        if (reader_u8(&r)) {
            k->upto = reader_be64(&r);
            k->at = reader_be64(&r);
        }
        if (m->n && id_cmp(k[-1].conv, k->conv) >= 0)
            r.bad = true;
    }
    return reader_done(&r) ? 0 : -EBADMSG;
}
