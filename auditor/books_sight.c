/* books_sight.c: what was seen of a message in im.deliver.* and im.offline. */
#include "auditor/books_int.h"

#include <stdlib.h>

static bool is_leaving(const struct entry *e, struct id16 user)
{
    for (size_t i = 0; i < e->n_leaving; i++)
        if (id_eq(e->leaving[i], user))
            return true;
    return false;
}

int must_bit(const struct entry *e, int64_t index)
{
    uint64_t n = e->viewers->n, first = e->name.seq % n * BOOKS_MUST % n,
             rel = ((uint64_t)index + n - first) % n;
    return n <= BOOKS_MUST ? (int)index : rel < BOOKS_MUST ? (int)rel : -1;
}

static void differs(const struct books *b, const struct early *s, const char *what)
{
    const struct finding f = {.kind = FOUND_DELIVERED_DIFFERS,
                              .topic = s->topic,
                              .part = s->part,
                              .offset = s->offset,
                              .trace = {s->trace, s->trace_n},
                              .conv = s->name.conv,
                              .seq = s->name.seq,
                              .what = what};
    report_add(b->conf.report, &f);
}

static void tell_sent(const struct books *b, const struct book *k, const struct entry *e,
                      const struct early *s)
{
    const struct books_message m = books_message(b, k, e);
    const struct books_sight to = {.topic = s->topic,
                                   .part = s->part,
                                   .offset = s->offset,
                                   .time_ms = s->time_ms,
                                   .offline = s->offline,
                                   .n_users = s->n_users};
    b->conf.hops->sent(b->conf.hops->ctx, &m, &to);
}

static void entry_seen(struct books *b, struct book *k, struct entry *e, const struct early *s)
{
    if (s->has_ids && (!id_eq(s->msg_id, e->msg_id) || !id_eq(s->sender, e->sender)))
        differs(b, s, "another message id or sender");
    else if (s->has_body && e->body_state == BODY_KNOWN && memcmp(s->body, e->body, BOOKS_HASH) != 0)
        differs(b, s, "another text");
    e->nameless |= s->nameless;
    if (b->conf.hops)
        tell_sent(b, k, e, s);
    for (size_t i = 0; e->viewers && i < s->n_users; i++) {
        int64_t at = viewers_find(e->viewers, s->users[i]);
        int bit = at < 0 ? -1 : must_bit(e, at);
        if (bit >= 0)
            e->seen |= UINT64_C(1) << bit;
        if (at < 0 && !is_leaving(e, s->users[i])) /* who joined later and sees the past may have it */
            late_add(k, s, s->users[i], e->offset + 1);
    }
}

/* ---- before its message ---- */

static struct early *early_new(const struct books *b, const struct books_sight *s)
{
    struct early *e = calloc(1, sizeof *e + s->n_users * sizeof *s->users);
    if (!e)
        abort();
    e->name = (struct name){s->conv, s->seq};
    e->topic = s->topic;
    e->part = s->part;
    e->offset = s->offset;
    e->time_ms = s->time_ms;
    e->offline = s->offline;
    if (s->trace.n == CODEC_TRACE) {
        memcpy(e->trace, s->trace.p, CODEC_TRACE);
        e->trace_n = CODEC_TRACE;
    }
    e->nameless = s->nameless;
    e->has_ids = s->has_ids;
    e->msg_id = s->msg_id;
    e->sender = s->sender;
    e->has_body = s->has_body;
    memcpy(e->body, s->body, BOOKS_HASH);
    e->round = b->round;
    e->need = -1;
    e->n_users = s->n_users;
    if (s->n_users)
        memcpy(e->users, s->users, s->n_users * sizeof *s->users);
    return e;
}

static void early_free(struct book *k, struct early *e)
{
    for (struct early *next; e; e = next) {
        next = e->same;
        k->n_early--;
        free(e);
    }
}

void books_forget_early(struct book *k)
{
    struct early *e, *next;
    HASH_ITER (hh, k->early, e, next) {
        HASH_DEL(k->early, e);
        early_free(k, e);
    }
}

void books_sight(struct books *b, int32_t home, const struct books_sight *s)
{
    struct book *k = home >= 0 && home < b->conf.parts ? &b->part[home] : NULL;
    struct early *first;
    if (!k || !k->open || id_is_zero(s->conv) || s->seq == 0 || id_eq(s->conv, id_system()))
        return;
    struct early *e = early_new(b, s);
    struct entry *known = book_find(k, s->conv, s->seq);
    if (known) {
        entry_seen(b, k, known, e);
        free(e);
        return;
    }
    k->n_early++;
    HASH_FIND(hh, k->early, &e->name, sizeof e->name, first);
    if (first) {
        e->same = first->same;
        first->same = e;
    } else {
        HASH_ADD(hh, k->early, name, sizeof e->name, e);
    }
}

void books_meet(struct books *b, struct book *k, struct entry *e)
{
    struct early *first;
    HASH_FIND(hh, k->early, &e->name, sizeof e->name, first);
    if (!first)
        return;
    HASH_DEL(k->early, first);
    for (const struct early *s = first; s; s = s->same)
        entry_seen(b, k, e, s);
    early_free(k, first);
}

bool books_full(const struct books *b)
{
    size_t n = 0;
    for (int32_t i = 0; i < b->conf.parts; i++)
        n += b->part[i].n_early;
    return n >= EARLY_MAX;
}

/* ---- rounds ---- */

void books_round_begin(struct books *b)
{
    b->round++;
}

/* True: the log was read to where it ended after this was seen, and the message was not in it, or long ago. */
static bool ripe(const struct book *k, struct early *first, uint64_t round, int64_t end)
{
    bool all = true;
    for (struct early *e = first; e; e = e->same) {
        if (e->need < 0 && e->round < round && end >= 0)
            e->need = end;
        all &= e->need >= 0 && k->next >= e->need;
    }
    return all;
}

void books_round_ends(struct books *b, const int64_t *end)
{
    for (int32_t i = 0; i < b->conf.parts; i++) {
        struct book *k = &b->part[i];
        struct early *first, *next;
        k->end = end[i];
        if (!k->open)
            continue;
        HASH_ITER (hh, k->early, first, next) {
            if (!ripe(k, first, b->round, end[i]))
                continue;
            HASH_DEL(k->early, first);
            for (const struct early *s = first; s; s = s->same)
                for (size_t u = 0; u < s->n_users; u++)
                    late_add(k, s, s->users[u], s->need);
            early_free(k, first);
        }
    }
}

/* A fanout that was restored from cells further on knows who is a member there. Whoever leaves is told nothing more of a
 * group, not even of what was said before. */
static bool left_since(const struct entry *e, struct id16 user)
{
    for (const struct entry *x = e->next; x; x = x->next)
        if (id_eq(x->name.conv, e->name.conv) && x->viewers &&
            (viewers_find(x->viewers, user) < 0 || is_leaving(x, user)))
            return true;
    return false;
}

/* False: not yet, for it is not known whether the missing have left. */
static bool judge(const struct books *b, int32_t part, struct entry *e)
{
    const struct book *k = &b->part[part];
    size_t missing = 0, left = 0;
    struct finding f = {.kind = FOUND_UNDELIVERED,
                        .topic = b->conf.topic,
                        .part = part,
                        .offset = e->offset,
                        .trace = {e->trace, e->trace_n},
                        .conv = e->name.conv,
                        .seq = e->name.seq,
                        .what = "fanout is past it, and this member is in no record"};
    for (uint32_t i = 0; i < e->viewers->n; i++) {
        struct id16 user = e->viewers->users[i];
        int bit = must_bit(e, i);
        if (bit < 0 || e->seen >> bit & 1 || id_eq(user, e->sender))
            continue;
        if (left_since(e, user))
            left++;
        else if (missing++ == 0)
            f.user = user;
    }
    if (missing) {
        if (k->end < 0)
            return false;
        if (!e->need)
            e->need = k->end;
        if (k->next < e->need)
            return false;
        report_add(b->conf.report, &f);
    }
    report_unjudged("left", left > 0);
    return true;
}

void books_round_told(struct books *b, const int64_t *committed)
{
    for (int32_t i = 0; i < b->conf.parts; i++) {
        struct book *k = &b->part[i];
        if (!k->open)
            continue;
        for (; k->untold && k->untold->offset < committed[i]; k->untold = k->untold->next) {
            struct entry *e = k->untold;
            if (!e->told && e->nameless)
                report_unjudged("nameless", 1);
            else if (!e->told && !judge(b, i, e))
                break;
            e->told = true;
        }
        book_close_front(k);
    }
}
