#include "common/base/bytes.h"

#include "common/base/buf.h"
#include "common/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_release(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){.max = b->max};
}

void bytes_clear(struct bytes *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p)
        b->p[0] = '\0';
}

static bool grow(struct bytes *b, size_t more)
{
    if (b->failed)
        return false;
    size_t limit = b->max ? b->max : SIZE_MAX / 4;
    if (more > limit || b->n > limit - more)
        goto fail;
    if (b->n + more < b->cap) /* strictly: the closing NUL needs room too */
        return true;
    size_t cap = b->cap ? b->cap * 2 : 64;
    if (cap <= b->n + more)
        cap = b->n + more + 1;
    void *p = realloc(b->p, cap);
    if (!p)
        goto fail;
    b->p = p;
    b->cap = cap;
    return true;
fail:
    b->failed = true;
    return false;
}

void *bytes_room(struct bytes *b, size_t n)
{
    if (!grow(b, n))
        return NULL;
    void *p = b->p + b->n;
    b->n += n;
    b->p[b->n] = '\0';
    return p;
}

void bytes_put(struct bytes *b, const void *p, size_t n)
{
    void *room = bytes_room(b, n);
    if (room && n)
        memcpy(room, p, n);
}

void bytes_str(struct bytes *b, const char *s)
{
    bytes_put(b, s, strlen(s));
}

static void put_be(struct bytes *b, uint64_t v, unsigned n)
{
    uint8_t *p = bytes_room(b, n);
    for (unsigned i = 0; p && i < n; i++)
        p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

void bytes_u8(struct bytes *b, uint8_t v)
{
    put_be(b, v, 1);
}

void bytes_be16(struct bytes *b, uint16_t v)
{
    put_be(b, v, 2);
}

void bytes_be32(struct bytes *b, uint32_t v)
{
    put_be(b, v, 4);
}

void bytes_be64(struct bytes *b, uint64_t v)
{
    put_be(b, v, 8);
}

void bytes_printf(struct bytes *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        b->failed = true;
    else if (grow(b, (size_t)n)) {
        vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

void bytes_json(struct bytes *b, const char *s, size_t n)
{
    bytes_u8(b, '"');
    while (n) {
        size_t len = utf8_char(s, n);
        unsigned char c = (unsigned char)*s;
        if (len == 1 && (c < 0x20 || c == 0x7f))
            bytes_printf(b, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            bytes_printf(b, "\\%c", c);
        else if (len)
            bytes_put(b, s, len);
        else
            bytes_str(b, c ? "\xef\xbf\xbd" : "\\u0000");
        len = len ? len : 1;
        s += len;
        n -= len;
    }
    bytes_u8(b, '"');
}

void bytes_eat(struct bytes *b, size_t n)
{
    if (n > b->n)
        n = b->n;
    if (!n)
        return;
    b->n -= n;
    memmove(b->p, b->p + n, b->n + 1);
}

struct buf *bytes_to_buf(const struct bytes *b)
{
    return b->failed ? NULL : buf_copy(b->p, b->n);
}
