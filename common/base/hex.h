/* hex.h: bytes as lower-case hexadecimal and back. Any thread. */
#ifndef PARLEY_BASE_HEX_H
#define PARLEY_BASE_HEX_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 * n digits and a NUL; returns `out`. */
static inline char *hex_encode(char *out, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}

static inline int hex_digit(char c) /* -1: none */
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads exactly 2 * n digits of either case that end the string. -EINVAL: anything else; `out` is then unset.
 */
static inline int hex_decode(void *out, size_t n, const char *text)
{
    uint8_t *b = out;
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(text[2 * i]);
        int lo = hi < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (lo < 0)
            return -EINVAL;
        b[i] = (uint8_t)(hi << 4 | lo);
    }
    return text[2 * n] ? -EINVAL : 0;
}

#endif
