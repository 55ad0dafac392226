#include "auditor/viewers.h"

#include <stdlib.h>

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, ID_SIZE);
}

struct viewers *viewers_new(const struct conv *conv, uint64_t seq)
{
    struct id16 pair[2];
    const struct conv_seat *seats;
    size_t n = conv_type(conv) == CONV_DIRECT ? conv_pair(conv, pair) : 0, room = n;
    if (conv_type(conv) != CONV_DIRECT && conv_type(conv) != CONV_GROUP)
        return NULL;
    for (unsigned b = 0; n == 0 && b < CONV_BUCKETS; b++)
        room += conv_roster(conv, b, &seats);
    struct viewers *c = must(malloc(sizeof *c + (room ? room : 1) * sizeof *c->users));
    *c = (struct viewers){.refs = 1, .n = (uint32_t)n};
    if (n)
        memcpy(c->users, pair, n * sizeof *pair);
    for (unsigned b = 0; n == 0 && b < CONV_BUCKETS; b++) {
        size_t k = conv_roster(conv, b, &seats);
        for (size_t i = 0; i < k; i++) {
            if (seats[i].from <= seq)
                c->users[c->n++] = seats[i].user;
            else
                c->passing = true;
        }
    }
    if (c->n)
        qsort(c->users, c->n, sizeof *c->users, by_id);
    return c;
}

struct viewers *viewers_ref(struct viewers *c)
{
    if (c)
        c->refs++;
    return c;
}

void viewers_unref(struct viewers *c)
{
    if (c && --c->refs == 0)
        free(c);
}

int64_t viewers_find(const struct viewers *c, struct id16 user)
{
    const struct id16 *at = c->n ? bsearch(&user, c->users, c->n, sizeof *c->users, by_id) : NULL;
    return at ? at - c->users : -1;
}
