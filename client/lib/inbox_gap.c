/* inbox_gap.c: holes: when the server is asked about one, where, and when it is given up. */
#include "client/lib/inbox_int.h"

#include <stdlib.h>

#define FIRST_ASK_MS 200 /* most holes close by themselves at once */
#define ASK_MAX_MS   4000
#define GUESS_MS     2000  /* patience with the first hole after a start that is not from memory */
#define NEWS_MS      30000 /* news that history does not have: asked for again after */

static uint64_t upto_of(const struct talk *t)
{
    return ranges_last(&t->have).upto;
}

static bool is_open(const struct talk *t)
{
    return t->held || t->overflowed || t->news > upto_of(t);
}

void gap_open(struct inbox *in, struct talk *t, int64_t now)
{
    if (!t->queued)
        DL_APPEND2(in->waiting, t, wprev, wnext);
    t->queued = true;
    if (t->hole_since != NONE)
        return;
    t->hole_since = now;
    /* Where this device was in a group that it does not remember, only its cursor can tell. */
    t->history = t->group && t->have.n && !in->no_history;
    if (!t->asking)
        t->ask_at = now + (t->have.n && t->held ? FIRST_ASK_MS : 0);
}

void gap_close(struct inbox *in, struct talk *t)
{
    if (is_open(t))
        return;
    if (t->queued)
        DL_DELETE2(in->waiting, t, wprev, wnext);
    t->queued = t->history = t->put_off = false;
    t->news = 0;
    t->ask_at = NEVER;
    t->asks = 0;
    t->hole_since = NONE;
}

/* The first waiting one becomes the next, whatever was before it. */
static void give_up(struct inbox *in, struct talk *t, bool count)
{
    uint64_t seq = t->held->seq, upto = upto_of(t);
    struct held *h = talk_unhold(in, t);
    uint64_t missed = count && seq > upto + 1 ? seq - upto - 1 : 0;
    if (missed)
        t->missed = missed - talk_own_between(t, upto + 1, seq - 1);
    talk_take(in, t, seq);
    t->guess &= !count;
    t->hole_since = NONE;
    t->asks = 0;
    talk_deliver(in, t, h->payload, h->n, false);
    free(h);
    talk_drain(in, t);
}

static void ask_again(struct talk *t, int64_t patience, int64_t now)
{
    if (t->hole_since == NONE)
        t->hole_since = now;
    int64_t wait = FIRST_ASK_MS << (t->asks < 5 ? t->asks : 5);
    t->asks++;
    t->ask_at = now + (wait < ASK_MAX_MS ? wait : ASK_MAX_MS);
    if (t->ask_at > t->hole_since + patience && now < t->hole_since + patience)
        t->ask_at = t->hole_since + patience; /* giving up takes a fresh answer */
}

static void ask_history(struct talk *t, int64_t now)
{
    t->history = true;
    t->hole_since = t->ask_at = now;
    t->asks = 0;
}

static uint64_t wanted(const struct talk *t)
{
    uint64_t upto = t->held ? t->held->seq - 1 : 0;
    return t->news > upto ? t->news : upto;
}

/* What is too much to be fetched stays missing. */
static uint64_t history_from(const struct inbox *in, struct talk *t)
{
    uint64_t after = upto_of(t), upto = wanted(t), max = in->c.catch_up_max;
    if (!max || upto <= after || upto - after <= max)
        return after;
    if (t->have.n)
        t->missed = upto - max - after - talk_own_between(t, after + 1, upto - max);
    return upto - max;
}

bool inbox_ask(struct inbox *in, int64_t now, struct inbox_question *q)
{
    struct talk *t;
    DL_FOREACH2(in->waiting, t, wnext)
    {
        if (t->asking || t->ask_at > now)
            continue;
        t->asking = true;
        t->ask_at = NEVER;
        *q = (struct inbox_question){.conv = t->id, .history = t->history};
        if (t->history) {
            q->after = history_from(in, t);
            q->upto = wanted(t);
        }
        return true;
    }
    return false;
}

/* The talk that waits for this answer; NULL: none does, or nothing is open any more. */
static struct talk *answered(struct inbox *in, struct id16 conv)
{
    struct talk *t = talk_find(in, conv);
    if (!t || !t->asking)
        return NULL;
    t->asking = t->overflowed = false;
    gap_close(in, t);
    return t->queued ? t : NULL;
}

void inbox_answered(struct inbox *in, struct id16 conv, bool rest_in_history, int64_t now)
{
    struct talk *t = answered(in, conv);
    if (!t)
        return;
    int64_t patience = t->guess && in->c.patience_ms > GUESS_MS ? GUESS_MS : in->c.patience_ms;
    if (t->group && !in->no_history) { /* its cursor, if there is one, is in by now */
        ask_history(t, now);
        return;
    }
    if (!t->have.n && t->held) { /* the server has no cursor either: it starts with what is here */
        t->guess = true;
        give_up(in, t, false);
    }
    while (t->held && t->hole_since != NONE && (rest_in_history || now - t->hole_since >= patience)) {
        if (!in->no_history) {
            ask_history(t, now);
            return;
        }
        give_up(in, t, true);
    }
    if (t->queued)
        ask_again(t, patience, now);
}

/* Pushed, so they are to be seen, whatever history says. */
static void held_upto(struct inbox *in, struct talk *t, uint64_t upto)
{
    while (t->held && t->held->seq <= upto) {
        struct held *h = talk_unhold(in, t);
        if (!ranges_has(&t->have, h->seq)) {
            talk_take(in, t, h->seq);
            talk_deliver(in, t, h->payload, h->n, false);
        }
        free(h);
    }
}

void inbox_past(struct inbox *in, struct id16 conv, uint64_t after, uint64_t seq, const void *payload,
                size_t n)
{
    struct talk *t = talk_find(in, conv);
    if (!t || !t->asking || seq <= after || seq >= UINT64_MAX - 1)
        return;
    held_upto(in, t, seq - 1);
    uint64_t upto = upto_of(t);
    if (seq > after + 1)
        (void)ranges_add(&t->have, after + 1, seq - 1);
    if (ranges_has(&t->have, seq))
        return;
    talk_take(in, t, seq);
    talk_deliver(in, t, payload, n, seq < upto);
}

void inbox_past_end(struct inbox *in, struct id16 conv, uint64_t after, uint64_t upto, bool more, int64_t now)
{
    struct talk *t = talk_find(in, conv);
    if (!t || !t->asking)
        return;
    if (upto > after && upto < UINT64_MAX - 1) {
        held_upto(in, t, upto);
        (void)ranges_add(&t->have, after + 1, upto);
        talk_dirty(in, t);
        t->guess = false;
    }
    talk_drain(in, t);
    t = answered(in, conv);
    if (t && more)
        ask_history(t, now);
    else if (t)
        inbox_past_failed(in, conv, false, now);
}

static void nothing_more(struct inbox *in, struct talk *t)
{
    while (t->held)
        give_up(in, t, t->have.n != 0);
    if (t->news > upto_of(t)) {
        (void)ranges_add(&t->have, t->have.n ? upto_of(t) + 1 : t->news, t->news);
        talk_dirty(in, t);
    }
    gap_close(in, t);
}

void inbox_past_failed(struct inbox *in, struct id16 conv, bool never, int64_t now)
{
    struct talk *t = talk_find(in, conv);
    if (!t)
        return;
    t->asking = t->overflowed = false;
    gap_close(in, t);
    if (!t->queued)
        return;
    if (never) {
        nothing_more(in, t);
        return;
    }
    int64_t since = t->hole_since == NONE ? now : t->hole_since;
    if (now - since >= in->c.patience_ms && t->held)
        give_up(in, t, t->have.n != 0);
    if (!t->queued)
        return;
    t->history = !in->no_history;
    t->put_off = !t->held && now - since >= in->c.patience_ms;
    if (t->put_off)
        t->ask_at = now + NEWS_MS; /* the events are somewhere: the server will not say so for nothing */
    else
        ask_again(t, in->c.patience_ms, now);
}

void inbox_no_history(struct inbox *in)
{
    in->no_history = true;
}

void inbox_disconnected(struct inbox *in)
{
    in->seen = in->blocked = 0;
    in->no_history = false;
    struct talk *t, *tmp;
    DL_FOREACH_SAFE2(in->waiting, t, tmp, wnext)
    {
        for (struct held *h = t->held; h; h = h->next)
            h->delivery = 0;
        t->asking = false;
        t->overflowed = false; /* unconfirmed, so it comes again */
        t->history = t->group && t->have.n;
        t->ask_at = t->hole_since + FIRST_ASK_MS;
        gap_close(in, t);
    }
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
