#include "auditor/recent.h"

#include <stdlib.h>
#include <uthash.h>

struct key {
    struct id16 conv, user;
    uint64_t client_seq;
    uint32_t device, zero;
};
struct entry {
    struct key key;
    struct recent_answer answer;
    UT_hash_handle hh;
};
struct recent {
    struct entry *by_key;
    size_t next, n; /* of the ring */
    struct entry ring[RECENT_MAX];
};

struct recent *recent_new(void)
{
    return calloc(1, sizeof(struct recent));
}

void recent_free(struct recent *r)
{
    if (r)
        HASH_CLEAR(hh, r->by_key);
    free(r);
}

static struct key key_of(const struct conv_event *ev)
{
    return (struct key){ev->conv, ev->user, ev->client_seq, ev->device, 0};
}

const struct recent_answer *recent_find(const struct recent *r, const struct conv_event *ev)
{
    struct key key = key_of(ev);
    struct entry *e;
    HASH_FIND(hh, r->by_key, &key, sizeof key, e);
    return e ? &e->answer : NULL;
}

void recent_add(struct recent *r, const struct conv_event *ev, const struct recent_answer *a)
{
    if (recent_find(r, ev))
        return;
    struct entry *e = &r->ring[r->next];
    r->next = (r->next + 1) % RECENT_MAX;
    if (r->n == RECENT_MAX)
        HASH_DEL(r->by_key, e);
    else
        r->n++;
    *e = (struct entry){.key = key_of(ev), .answer = *a};
    HASH_ADD(hh, r->by_key, key, sizeof e->key, e);
}
