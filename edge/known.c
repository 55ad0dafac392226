#include "edge/known.h"

#include <stdlib.h>
#include <uthash.h>

struct entry {
    struct id16 user;
    int64_t until_ms;
    UT_hash_handle hh; /* uthash keeps insertion order: the first is the least recently used */
    char login[];
};

struct known {
    struct entry *map;
    uint32_t max;
};

struct known *known_new(uint32_t max)
{
    struct known *k = calloc(1, sizeof *k);
    if (k)
        k->max = max ? max : 1;
    return k;
}

static void drop(struct known *k, struct entry *e)
{
    HASH_DEL(k->map, e);
    free(e);
}

void known_free(struct known *k)
{
    if (!k)
        return;
    while (k->map)
        drop(k, k->map);
    free(k);
}

const char *known_get(struct known *k, struct id16 user, int64_t now_ms)
{
    struct entry *e;
    HASH_FIND(hh, k->map, &user, sizeof user, e);
    if (!e)
        return NULL;
    if (e->until_ms <= now_ms) {
        drop(k, e);
        return NULL;
    }
    if (e->hh.next) {
        HASH_DEL(k->map, e);
        HASH_ADD(hh, k->map, user, sizeof e->user, e);
    }
    return e->login;
}

void known_add(struct known *k, struct id16 user, const char *login, int64_t until_ms)
{
    struct entry *e;
    HASH_FIND(hh, k->map, &user, sizeof user, e);
    if (e && e->until_ms == INT64_MAX && (until_ms != INT64_MAX || (e->login[0] && !login[0])))
        return; /* what is there says more */
    if (e)
        drop(k, e);
    size_t n = strnlen(login, LOGIN_MAX) + 1;
    e = calloc(1, sizeof *e + n);
    if (!e)
        return; /* only a cache */
    e->user = user;
    e->until_ms = until_ms;
    memcpy(e->login, login, n - 1);
    HASH_ADD(hh, k->map, user, sizeof e->user, e);
    if (HASH_COUNT(k->map) > k->max)
        drop(k, k->map);
}

uint32_t known_count(const struct known *k)
{
    return HASH_COUNT(k->map);
}
