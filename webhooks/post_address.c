/* post_address.c: which addresses endpoints may not be at (RFC 6890 and its kin). */
#include "webhooks/post.h"

#include <netinet/in.h>
#include <string.h>

struct block {
    uint32_t net;
    unsigned bits;
};
static const struct block closed[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
    {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 4},  {0xf0000000, 4},
};

static bool public4(uint32_t a)
{
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        if ((a ^ closed[i].net) >> (32 - closed[i].bits) == 0)
            return false;
    return true;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool public6(const uint8_t a[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
                         nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (!memcmp(a, mapped, sizeof mapped) || !memcmp(a, nat64, sizeof nat64))
        return public4(be32(a + 12));
    if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
        return public4(be32(a + 2));
    if (a[0] == 0x20 && a[1] == 0x01 && (a[2] < 2 || (a[2] == 0x0d && a[3] == 0xb8)))
        return false;             /* protocol assignments, Teredo, documentation */
    return (a[0] & 0xe0) == 0x20; /* only 2000::/3 is given out */
}

bool post_address_public(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return public4(ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr));
    if (sa->sa_family == AF_INET6)
        return public6(((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr);
    return false;
}
