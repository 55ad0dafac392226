#include "router/pending.h"

#include <stdlib.h>
#include <uthash.h>

struct held { /* one send */
    struct held *next;
    uint16_t topic;
    int32_t part;
    uint8_t key[ID_SIZE];
    size_t key_n, n;
    bool tombstone;
    uint8_t value[];
};

struct pending {
    UT_hash_handle hh;
    uint64_t tag;
    struct pending_user *of;
    struct pending *next; /* of the same user, later */
    bool acked;
    struct held *first, **last;
};

struct pending_user {
    UT_hash_handle hh;
    struct id16 user;
    struct pending *first, *last;
};

static void free_pending(struct pending *p)
{
    while (p->first) {
        struct held *h = p->first;
        p->first = h->next;
        free(h);
    }
    free(p);
}

void pendings_release(struct pendings *ps)
{
    struct pending *p, *next;
    HASH_ITER (hh, ps->by_tag, p, next) {
        HASH_DEL(ps->by_tag, p);
        free_pending(p);
    }
    struct pending_user *u, *next_user;
    HASH_ITER (hh, ps->users, u, next_user) {
        HASH_DEL(ps->users, u);
        free(u);
    }
}

static struct pending_user *user_of(struct pendings *ps, struct id16 user)
{
    struct pending_user *u;
    HASH_FIND(hh, ps->users, &user, sizeof user, u);
    return u;
}

uint64_t pending_open(struct pendings *ps, struct id16 user)
{
    struct pending_user *u = user_of(ps, user);
    struct pending *p = calloc(1, sizeof *p);
    if (!u) {
        u = calloc(1, sizeof *u);
        if (!u || !p)
            abort();
        u->user = user;
        HASH_ADD(hh, ps->users, user, sizeof u->user, u);
    }
    if (!p)
        abort();
    p->tag = ++ps->last_tag;
    p->of = u;
    p->last = &p->first;
    if (u->last)
        u->last->next = p;
    else
        u->first = p;
    u->last = p;
    HASH_ADD(hh, ps->by_tag, tag, sizeof p->tag, p);
    return p->tag;
}

static void send_now(struct fx *fx, uint16_t topic, int32_t part, struct slice key, struct slice value)
{
    if (part == FX_BY_KEY)
        fx_send(fx, topic, key, value, 0);
    else
        fx_send_at(fx, topic, part, key, value, 0);
}

void pending_send(struct pendings *ps, struct fx *fx, struct id16 user, uint16_t topic, int32_t part,
                  struct slice key, const ProtobufCMessage *message)
{
    struct pending_user *u = user_of(ps, user);
    if (!u) {
        struct slice value = message ? codec_pack(fx, message) : (struct slice){NULL, 0};
        send_now(fx, topic, part, key, value);
        return;
    }
    size_t n = message ? protobuf_c_message_get_packed_size(message) : 0;
    struct held *h = malloc(sizeof *h + n);
    if (!h || key.n > sizeof h->key)
        abort();
    *h = (struct held){.topic = topic, .part = part, .key_n = key.n, .n = n, .tombstone = !message};
    memcpy(h->key, key.p, key.n);
    if (message)
        protobuf_c_message_pack(message, h->value);
    *u->last->last = h;
    u->last->last = &h->next;
}

static void let_go(struct pending *p, struct fx *fx)
{
    for (const struct held *h = p->first; h; h = h->next)
        send_now(fx, h->topic, h->part, slice_of(h->key, h->key_n),
                 h->tombstone ? (struct slice){NULL, 0} : slice_of(h->value, h->n));
}

void pending_sent(struct pendings *ps, uint64_t tag, struct fx *fx)
{
    struct pending *p;
    HASH_FIND(hh, ps->by_tag, &tag, sizeof tag, p);
    if (!p)
        return;
    p->acked = true;
    struct pending_user *u = p->of;
    while (u->first && u->first->acked) {
        p = u->first;
        let_go(p, fx);
        u->first = p->next;
        HASH_DEL(ps->by_tag, p);
        free_pending(p);
    }
    if (!u->first) {
        HASH_DEL(ps->users, u);
        free(u);
    }
}
