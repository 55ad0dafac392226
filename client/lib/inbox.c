#include "client/lib/inbox.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define HELD_TALK_MAX 512                 /* messages waiting above a hole, in one conversation */
#define OWN_MAX       (HELD_TALK_MAX + 1) /* runs of own messages between those */
#define HELD_MAX      4096                /* … and in all */
#define FIRST_ASK_MS  200                 /* most holes close by themselves at once */
#define ASK_MAX_MS    4000
#define GUESS_MS      2000 /* patience with the first hole after a start that is not from memory */
#define NEVER         INT64_MAX
#define NONE          (-1)

struct held {
    struct held *next;
    uint64_t seq;
    uint32_t delivery; /* 0: came in a page */
    size_t n;
    uint8_t payload[];
};

struct talk {
    struct id16 id;
    struct ranges have; /* empty: the start is not known */
    struct ranges own; /* places of this device's own messages that are not reached yet: never pushed to it */
    struct held *held; /* ascending */
    uint32_t n_held;
    uint32_t asks;
    bool dirty, asking, overflowed, queued;
    bool
        guess; /* the start is not from our own memory: own messages before this start may be the next hole */
    int64_t hole_since, ask_at;
    UT_hash_handle hh;
    struct talk *prev, *next;   /* by last use, the oldest first */
    struct talk *wprev, *wnext; /* those with something waiting */
};

struct inbox {
    struct inbox_conf c;
    struct talk *by_id, *lru, *waiting;
    struct talk **dirty;
    size_t n_dirty, cap_dirty;
    size_t n_held;
    uint32_t seen; /* the highest delivery number of this connection */
    uint32_t
        blocked; /* a push that was dropped for want of room: nothing from it on may be confirmed; 0: none */
};

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

static struct talk *talk_find(struct inbox *in, struct id16 id)
{
    struct talk *t;
    HASH_FIND(hh, in->by_id, id.b, ID_SIZE, t);
    return t;
}

static void forget_oldest(struct inbox *in)
{
    for (struct talk *t = in->lru; t; t = t->next)
        if (!t->held && !t->dirty && !t->asking) {
            talk_drop(in, t);
            return;
        }
}

static struct talk *talk_get(struct inbox *in, struct id16 id)
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

static void mark_dirty(struct inbox *in, struct talk *t)
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

static void wait_in(struct inbox *in, struct talk *t)
{
    if (!t->queued)
        DL_APPEND2(in->waiting, t, wprev, wnext);
    t->queued = true;
}

static void wait_out(struct inbox *in, struct talk *t)
{
    if (t->queued)
        DL_DELETE2(in->waiting, t, wprev, wnext);
    t->queued = false;
    t->ask_at = NEVER;
    t->asks = 0;
    t->hole_since = NONE;
}

static void drop_first(struct ranges *r)
{
    memmove(r->v, r->v + 1, --r->n * sizeof *r->v);
}

static void take(struct inbox *in, struct talk *t, uint64_t seq)
{
    (void)ranges_add(&t->have, seq, seq); /* without memory it will be shown again: rather twice than never */
    mark_dirty(in, t);
}

/* Own messages that come next need no waiting for. */
static void absorb(struct inbox *in, struct talk *t)
{
    while (t->have.n && t->own.n && t->own.v[0].from <= ranges_last(&t->have).upto + 1) {
        struct range r = t->own.v[0];
        (void)ranges_add(&t->have, r.from, r.upto);
        mark_dirty(in, t);
        drop_first(&t->own);
    }
}

/* How many of from … upto are nobody else's. */
static uint64_t own_between(const struct talk *t, uint64_t from, uint64_t upto)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < t->own.n; i++) {
        uint64_t a = t->own.v[i].from < from ? from : t->own.v[i].from;
        uint64_t b = t->own.v[i].upto > upto ? upto : t->own.v[i].upto;
        n += b >= a ? b - a + 1 : 0;
    }
    return n;
}

static struct held *unhold(struct inbox *in, struct talk *t)
{
    struct held *h = t->held;
    t->held = h->next;
    t->n_held--;
    in->n_held--;
    return h;
}

/* Hands on what follows without a hole. */
static void drain(struct inbox *in, struct talk *t)
{
    for (absorb(in, t); t->held && t->have.n && t->held->seq <= ranges_last(&t->have).upto + 1;
         absorb(in, t)) {
        struct held *h = unhold(in, t);
        if (!ranges_has(&t->have, h->seq)) {
            bool late = h->seq < ranges_last(&t->have).upto;
            take(in, t, h->seq);
            in->c.deliver(in->c.ctx, h->payload, h->n, 0, late);
        }
        free(h);
        t->hole_since = NONE; /* if one is left, it is another hole */
        t->guess = false;
    }
    if (!t->held && !t->overflowed)
        wait_out(in, t);
}

/* The first waiting one becomes the next, whatever was before it. */
static void give_up(struct inbox *in, struct talk *t, bool count)
{
    uint64_t seq = t->held->seq, upto = ranges_last(&t->have).upto;
    struct held *h = unhold(in, t);
    uint64_t missed = count && seq > upto + 1 ? seq - upto - 1 : 0;
    if (missed)
        missed -= own_between(t, upto + 1, seq - 1);
    take(in, t, seq);
    t->guess &= !count;
    t->hole_since = NONE;
    t->asks = 0;
    in->c.deliver(in->c.ctx, h->payload, h->n, missed, false);
    free(h);
    drain(in, t);
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
    wait_in(in, t);
    if (t->hole_since == NONE) {
        t->hole_since = now;
        if (!t->asking)
            t->ask_at = now + (t->have.n ? FIRST_ASK_MS : 0);
    }
    return h ? 0 : -ENOBUFS;
}

int inbox_message(struct inbox *in, struct id16 conv, uint64_t seq, uint32_t delivery, const void *payload,
                  size_t n, bool new_device, int64_t now)
{
    inbox_event(in, delivery);
    if (seq == 0 || seq >= UINT64_MAX - 1)
        return -EBADMSG;
    struct talk *t = talk_get(in, conv);
    if (!t) {
        inbox_refuse(in, delivery);
        return -ENOMEM;
    }
    if (ranges_has(&t->have, seq)) {
        mark_dirty(in, t); /* the server does not know that it is here */
        return 0;
    }
    uint64_t upto = ranges_last(&t->have).upto;
    if (t->have.n ? seq > upto + 1 : !(seq == 1 || new_device))
        return hold(in, t, seq, delivery, payload, n, now);
    take(in, t, seq);
    t->guess &= seq < upto;
    in->c.deliver(in->c.ctx, payload, n, 0, seq < upto);
    drain(in, t);
    return 0;
}

int inbox_own(struct inbox *in, struct id16 conv, uint64_t seq, bool new_device)
{
    if (seq == 0 || seq >= UINT64_MAX - 1)
        return -EBADMSG;
    struct talk *t = talk_get(in, conv);
    if (!t)
        return -ENOMEM;
    uint64_t upto = ranges_last(&t->have).upto;
    if (ranges_has(&t->have, seq))
        return 0;
    if (t->have.n ? seq <= upto + 1 : seq == 1 || new_device) {
        take(in, t, seq);
        drain(in, t);
        return 0;
    }
    if (t->own.n == OWN_MAX) /* rather wait for one of the oldest than take others' places for ours */
        drop_first(&t->own);
    int rc = ranges_add(&t->own, seq, seq);
    drain(in, t);
    return rc;
}

int inbox_have(struct inbox *in, struct id16 conv, uint64_t from, uint64_t upto, bool memory)
{
    struct talk *t = talk_get(in, conv);
    bool first = t && !t->have.n;
    int rc = t ? ranges_add(&t->have, from, upto) : -ENOMEM;
    if (rc)
        return rc;
    t->guess |= first && !memory;
    drain(in, t);
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
        wait_out(in, t);
        talk_drop(in, t);
    }
}

void inbox_disconnected(struct inbox *in)
{
    in->seen = in->blocked = 0;
    struct talk *t, *tmp;
    DL_FOREACH_SAFE2(in->waiting, t, tmp, wnext)
    {
        for (struct held *h = t->held; h; h = h->next)
            h->delivery = 0;
        t->asking = false;
        t->overflowed = false; /* unconfirmed, so it comes again */
        t->ask_at = t->hole_since + FIRST_ASK_MS;
        if (!t->held)
            wait_out(in, t);
    }
}

bool inbox_ask(struct inbox *in, int64_t now, struct id16 *conv)
{
    struct talk *t;
    DL_FOREACH2(in->waiting, t, wnext)
    {
        if (t->asking || t->ask_at > now)
            continue;
        t->asking = true;
        t->ask_at = NEVER;
        *conv = t->id;
        return true;
    }
    return false;
}

void inbox_answered(struct inbox *in, struct id16 conv, bool rest_in_history, int64_t now)
{
    struct talk *t = talk_find(in, conv);
    if (!t || !t->asking)
        return;
    t->asking = false;
    t->overflowed = false;
    if (!t->held) {
        wait_out(in, t);
        return;
    }
    int64_t patience = t->guess && in->c.patience_ms > GUESS_MS ? GUESS_MS : in->c.patience_ms;
    if (!t->have.n) { /* the server has no cursor either: it starts with what is here */
        t->guess = true;
        give_up(in, t, false);
    }
    while (t->held && t->hole_since != NONE && (rest_in_history || now - t->hole_since >= patience))
        give_up(in, t, true);
    if (!t->held)
        return;
    if (t->hole_since == NONE)
        t->hole_since = now;
    int64_t wait = FIRST_ASK_MS << (t->asks < 5 ? t->asks : 5);
    t->asks++;
    t->ask_at = now + (wait < ASK_MAX_MS ? wait : ASK_MAX_MS);
    if (t->ask_at > t->hole_since + patience && now < t->hole_since + patience)
        t->ask_at = t->hole_since + patience; /* giving up takes a fresh answer */
}

int64_t inbox_due(const struct inbox *in)
{
    int64_t due = NEVER;
    struct talk *t;
    DL_FOREACH2(in->waiting, t, wnext)
    if (!t->asking && t->ask_at < due)
        due = t->ask_at;
    return due;
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
    return in->n_held;
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
