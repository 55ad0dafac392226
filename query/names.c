#include "query/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define uthash_fatal(msg) abort()
#include <uthash.h>

struct name {
    struct id16 user;
    UT_hash_handle hh;
    char login[];
};

struct names {
    size_t max;
    struct name *all;
};

struct names *names_new(size_t max)
{
    struct names *n = calloc(1, sizeof *n);
    if (n)
        n->max = max;
    return n;
}

static void forget_all(struct names *n)
{
    struct name *one, *next;
    HASH_ITER (hh, n->all, one, next) {
        HASH_DEL(n->all, one);
        free(one);
    }
}

void names_free(struct names *n)
{
    if (n)
        forget_all(n);
    free(n);
}

const char *names_get(const struct names *n, struct id16 user)
{
    struct name *one;
    HASH_FIND(hh, n->all, user.b, ID_SIZE, one);
    return one ? one->login : NULL;
}

void names_put(struct names *n, struct id16 user, const char *login)
{
    if (names_get(n, user))
        return;
    if (HASH_COUNT(n->all) >= n->max)
        forget_all(n);
    size_t size = strlen(login) + 1;
    struct name *one = malloc(sizeof *one + size);
    if (!one)
        abort();
    one->user = user;
    memcpy(one->login, login, size);
    HASH_ADD(hh, n->all, user, ID_SIZE, one);
}
