#include "common/base/utf8.h"

#include <stdint.h>
#include <string.h>

static bool tail(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_char(const void *p, size_t n)
{
    const uint8_t *s = p;
    if (n == 0 || s[0] == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2) /* a tail byte, or an overlong form of ASCII */
        return 0;
    if (s[0] < 0xe0)
        return n >= 2 && tail(s[1]) ? 2 : 0;
    if (s[0] < 0xf0) {
        if (n < 3 || !tail(s[1]) || !tail(s[2]))
            return 0;
        bool overlong = s[0] == 0xe0 && s[1] < 0xa0;
        bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
        return overlong || surrogate ? 0 : 3;
    }
    if (s[0] > 0xf4 || n < 4 || !tail(s[1]) || !tail(s[2]) || !tail(s[3]))
        return 0;
    bool overlong = s[0] == 0xf0 && s[1] < 0x90;
    bool beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || beyond ? 0 : 4;
}

/* Eight ASCII characters at once, none of them NUL: no high bit, and taking 1 from each sets none. */
static bool eight_plain(const uint8_t *s)
{
    uint64_t w;
    memcpy(&w, s, sizeof w);
    return ((w | (w - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

bool utf8_valid(const void *p, size_t n)
{
    const uint8_t *s = p, *end = s + n;
    while (s < end) {
        if (end - s >= 8 && eight_plain(s)) {
            s += 8;
            continue;
        }
        size_t len = utf8_char(s, (size_t)(end - s));
        if (!len)
            return false;
        s += len;
    }
    return true;
}
