#include "client/lib/inbox_int.h"

#include <errno.h>
#include <stdlib.h>

#define HELD_TALK_MAX 512                 /* events waiting above a hole, in one conversation */
#define OWN_MAX       (HELD_TALK_MAX + 1) /* runs of own messages between those */
#define HELD_MAX      4096                /* … and in all */

struct inbox *inbox_new(const struct inbox_conf *c)
{
    struct inbox *in = calloc(1, sizeof *in);
    if (in)
        in->c = *c;
    return in;
}

static void talk_drop(struct inbox *in, struct talk *t)
{
    HASH_DELETE(hh, in->by_id, t);
    DL_DELETE(in->lru, t);
    while (t->held) {
        struct held *h = t->held;
        t->held = h->next;
        free(h);
    }
    ranges_release(&t->have);
    ranges_release(&t->own);
    free(t);
}

void inbox_free(struct inbox *in)
{
    if (!in)
        return;
    while (in->lru)
        talk_drop(in, in->lru);
    free(in->dirty);
    free(in);
}

struct talk *talk_find(const struct inbox *in, struct id16 id)
{
    struct talk *t;
    HASH_FIND(hh, in->by_id, id.b, ID_SIZE, t);
    return t;
}

static void not_dirty(struct inbox *in, struct talk *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < in->n_dirty && t->dirty; i++)
        if (in->dirty[i] != t)
            in->dirty[kept++] = in->dirty[i];
    if (t->dirty)
        in->n_dirty = kept;
    t->dirty = false;
}

/* The oldest without anything open; else the oldest with nothing but news, which the server tells again at the next
 * log-in. What waits above a hole stays: it has a bound of its own. */
static void forget_oldest(struct inbox *in)
{
    struct talk *news = NULL;
    for (struct talk *t = in->lru; t; t = t->next) {
        if (!t->queued && !t->dirty) {
            talk_drop(in, t);
            return;
        }
        if (!news && t->queued && !t->held && !t->overflowed && !t->asking)
            news = t;
    }
    if (!news)
        return;
    DL_DELETE2(in->waiting, news, wprev, wnext);
    not_dirty(in, news);
    talk_drop(in, news);
}

struct talk *talk_get(struct inbox *in, struct id16 id)
{
    struct talk *t = talk_find(in, id);
    if (t) {
        if (t->next) { /* not the newest already */
            DL_DELETE(in->lru, t);
            DL_APPEND(in->lru, t);
        }
        return t;
    }
    if (HASH_COUNT(in->by_id) >= in->c.talks_max)
        forget_oldest(in);
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->id = id;
    t->own.max = OWN_MAX;
    t->ask_at = NEVER;
    t->hole_since = NONE;
    DL_APPEND(in->lru, t);
    HASH_ADD(hh, in->by_id, id, ID_SIZE, t);
    if (!talk_find(in, id)) { /* out of memory inside the table */
        DL_DELETE(in->lru, t);
        free(t);
        return NULL;
    }
    return t;
}

void talk_dirty(struct inbox *in, struct talk *t)
{
    if (t->dirty)
        return;
    if (in->n_dirty == in->cap_dirty) {
        size_t cap = in->cap_dirty ? in->cap_dirty * 2 : 64;
        struct talk **v = realloc(in->dirty, cap * sizeof(struct talk *));
        if (!v)
            return; /* the server learns it with the next change */
        in->dirty = v;
        in->cap_dirty = cap;
    }
    in->dirty[in->n_dirty++] = t;
    t->dirty = true;
}

static void drop_first(struct ranges *r)
{
    memmove(r->v, r->v + 1, --r->n * sizeof *r->v);
}

void talk_take(struct inbox *in, struct talk *t, uint64_t seq)
{
    (void)ranges_add(&t->have, seq, seq); /* without memory it will be shown again: rather twice than never */
    talk_dirty(in, t);
}

void talk_deliver(struct inbox *in, struct talk *t, const void *payload, size_t n, bool late)
{
    uint64_t missed = t->missed;
    t->missed = 0;
    in->c.deliver(in->c.ctx, payload, n, missed, late);
}

/* Own messages that come next need no waiting for. */
static void absorb(struct inbox *in, struct talk *t)
{
    while (t->have.n && t->own.n && t->own.v[0].from <= ranges_last(&t->have).upto + 1) {
        struct range r = t->own.v[0];
        (void)ranges_add(&t->have, r.from, r.upto);
        talk_dirty(in, t);
        drop_first(&t->own);
    }
}

/* How many of from … upto are nobody else's. */
uint64_t talk_own_between(const struct talk *t, uint64_t from, uint64_t upto)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < t->own.n; i++) {
        uint64_t a = t->own.v[i].from < from ? from : t->own.v[i].from;
        uint64_t b = t->own.v[i].upto > upto ? upto : t->own.v[i].upto;
        n += b >= a ? b - a + 1 : 0;
    }
    return n;
}

struct held *talk_unhold(struct inbox *in, struct talk *t)
{
    struct held *h = t->held;
    t->held = h->next;
    t->n_held--;
    in->n_held--;
    return h;
}

void talk_drain(struct inbox *in, struct talk *t)
{
    for (absorb(in, t); t->held && t->have.n && t->held->seq <= ranges_last(&t->have).upto + 1;
         absorb(in, t)) {
        struct held *h = talk_unhold(in, t);
        if (!ranges_has(&t->have, h->seq)) {
            bool late = h->seq < ranges_last(&t->have).upto;
            talk_take(in, t, h->seq);
            talk_deliver(in, t, h->payload, h->n, late);
        }
        free(h);
        t->hole_since = NONE; /* if one is left, it is another hole */
        t->guess = false;
    }
    gap_close(in, t);
}

void inbox_event(struct inbox *in, uint32_t delivery)
{
    if (delivery > in->seen)
        in->seen = delivery;
}

void inbox_refuse(struct inbox *in, uint32_t delivery)
{
    inbox_event(in, delivery);
    if (delivery && (!in->blocked || delivery < in->blocked))
        in->blocked = delivery;
}

static int hold(struct inbox *in, struct talk *t, uint64_t seq, uint32_t delivery, const void *payload,
                size_t n, int64_t now)
{
    struct held **at = &t->held, *h;
    while (*at && (*at)->seq < seq)
        at = &(*at)->next;
    if (*at && (*at)->seq == seq)
        return 0; /* the same again, from a page: the pushed one still guards its delivery number */
    h = t->n_held < HELD_TALK_MAX && in->n_held < HELD_MAX ? malloc(sizeof *h + n) : NULL;
    if (!h) {
        inbox_refuse(in, delivery);
        t->overflowed = true;
    } else {
        *h = (struct held){.next = *at, .seq = seq, .delivery = delivery, .n = n};
        if (n)
            memcpy(h->payload, payload, n);
        *at = h;
        t->n_held++;
        in->n_held++;
    }
    gap_open(in, t, now);
    return h ? 0 : -ENOBUFS;
}

static bool possible(uint64_t seq)
{
    return seq > 0 && seq < UINT64_MAX - 1;
}

int inbox_message(struct inbox *in, struct id16 conv, uint64_t seq, uint32_t delivery, const void *payload,
                  size_t n, unsigned flags, int64_t now)
{
    inbox_event(in, delivery);
    if (!possible(seq))
        return -EBADMSG;
    struct talk *t = talk_get(in, conv);
    if (!t) {
        inbox_refuse(in, delivery);
        return -ENOMEM;
    }
    t->group |= (flags & INBOX_GROUP) != 0;
    if (ranges_has(&t->have, seq)) {
        talk_dirty(in, t); /* the server does not know that it is here */
        return 0;
    }
    uint64_t upto = ranges_last(&t->have).upto;
    if (t->have.n ? seq > upto + 1 : !(seq == 1 || flags & INBOX_START))
        return hold(in, t, seq, delivery, payload, n, now);
    talk_take(in, t, seq);
    t->guess &= seq < upto;
    talk_deliver(in, t, payload, n, seq < upto);
    talk_drain(in, t);
    return 0;
}

int inbox_own(struct inbox *in, struct id16 conv, uint64_t seq, unsigned flags)
{
    if (!possible(seq))
        return -EBADMSG;
    struct talk *t = talk_get(in, conv);
    if (!t)
        return -ENOMEM;
    uint64_t upto = ranges_last(&t->have).upto;
    if (ranges_has(&t->have, seq))
        return 0;
    if (t->have.n ? seq <= upto + 1 : seq == 1 || flags & INBOX_START) {
        talk_take(in, t, seq);
        talk_drain(in, t);
        return 0;
    }
    if (t->own.n == OWN_MAX) /* rather wait for one of the oldest than take others' places for ours */
        drop_first(&t->own);
    int rc = ranges_add(&t->own, seq, seq);
    talk_drain(in, t);
    return rc;
}

int inbox_news(struct inbox *in, struct id16 conv, uint64_t upto, unsigned flags, int64_t now)
{
    if (!possible(upto))
        return -EBADMSG;
    struct talk *t = talk_get(in, conv);
    if (!t)
        return -ENOMEM;
    t->group = true;
    if (!t->have.n && flags & INBOX_START)
        (void)ranges_add(&t->have, upto, upto);
    if (upto <= ranges_last(&t->have).upto) {
        talk_dirty(in, t); /* the server does not know that it is here */
        return 0;
    }
    if (upto > t->news)
        t->news = upto;
    gap_open(in, t, now);
    return 0;
}

int inbox_have(struct inbox *in, struct id16 conv, uint64_t from, uint64_t upto, bool memory)
{
    struct talk *t = talk_get(in, conv);
    bool first = t && !t->have.n;
    int rc = t ? ranges_add(&t->have, from, upto) : -ENOMEM;
    if (rc)
        return rc;
    t->guess |= first && !memory;
    talk_drain(in, t);
    return 0;
}

void inbox_forget(struct inbox *in)
{
    struct talk *t, *tmp;
    size_t kept = 0;
    for (size_t i = 0; i < in->n_dirty; i++)
        if (in->dirty[i]->held)
            in->dirty[kept++] = in->dirty[i];
    in->n_dirty = kept;
    DL_FOREACH_SAFE(in->lru, t, tmp)
    {
        if (t->held)
            continue;
        t->news = 0;
        t->overflowed = false;
        gap_close(in, t);
        talk_drop(in, t);
    }
}

uint32_t inbox_confirmed(const struct inbox *in)
{
    uint32_t upto = in->seen;
    struct talk *t;
    if (in->blocked && in->blocked <= upto)
        upto = in->blocked - 1;
    DL_FOREACH2(in->waiting, t, wnext)
    for (struct held *h = t->held; h; h = h->next)
        if (h->delivery && h->delivery <= upto)
            upto = h->delivery - 1;
    return upto;
}

size_t inbox_waiting(const struct inbox *in)
{
    const struct talk *t;
    size_t n = in->n_held;
    DL_FOREACH2(in->waiting, t, wnext)
    n += t->news > ranges_last(&t->have).upto && !t->put_off;
    return n;
}

bool inbox_behind(const struct inbox *in)
{
    const struct talk *t;
    DL_FOREACH2(in->waiting, t, wnext)
    if (t->put_off)
        return true;
    return false;
}

uint64_t inbox_known(const struct inbox *in, struct id16 conv)
{
    const struct talk *t = talk_find(in, conv);
    uint64_t have = t ? ranges_last(&t->have).upto : 0, own = t ? ranges_last(&t->own).upto : 0;
    return have > own ? have : own;
}

size_t inbox_take_cursors(struct inbox *in, struct inbox_cursor *out, size_t max)
{
    size_t n = 0;
    while (n < max && in->n_dirty) {
        struct talk *t = in->dirty[--in->n_dirty];
        t->dirty = false;
        struct range r = ranges_last(&t->have);
        if (r.upto)
            out[n++] = (struct inbox_cursor){t->id, r.from, r.upto};
    }
    return n;
}

void inbox_each(const struct inbox *in, void (*fn)(void *, const struct inbox_cursor *, bool own), void *arg)
{
    struct talk *t;
    DL_FOREACH (in->lru, t) {
        for (uint32_t i = 0; i < t->have.n; i++)
            fn(arg, &(struct inbox_cursor){t->id, t->have.v[i].from, t->have.v[i].upto}, false);
        for (uint32_t i = 0; i < t->own.n; i++)
            fn(arg, &(struct inbox_cursor){t->id, t->own.v[i].from, t->own.v[i].upto}, true);
    }
}
