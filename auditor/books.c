#include "auditor/books_int.h"

#include <sodium.h>
#include <stdlib.h>

#define VIEWERS_SHARE 4 /* of the memory, for those kept for the next message */

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

void books_hash(struct slice text, struct slice type, struct slice data, uint8_t out[BOOKS_HASH])
{
    static const struct slice zero = {"", 1};
    const struct slice parts[] = {text, zero, type, zero, data};
    crypto_hash_sha256_state h;
    crypto_hash_sha256_init(&h);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i].n)
            crypto_hash_sha256_update(&h, parts[i].p, parts[i].n);
    crypto_hash_sha256_final(&h, out);
}

/* ---- a book ---- */

struct books *books_new(const struct books_conf *conf)
{
    struct books *b = calloc(1, sizeof *b + (size_t)conf->parts * sizeof *b->part);
    if (!b)
        return NULL;
    b->conf = *conf;
    for (int32_t i = 0; i < conf->parts; i++)
        b->part[i].next = -1;
    return b;
}

static void entry_free(struct entry *e)
{
    viewers_unref(e->viewers);
    free(e->leaving);
    free((void *)(uintptr_t)e->value.p);
    free(e);
}

static void forget_viewerss(struct book *k)
{
    struct viewers_kept *c, *next;
    HASH_ITER (hh, k->viewerss, c, next) {
        HASH_DEL(k->viewerss, c);
        viewers_unref(c->viewers);
        free(c);
    }
    k->viewers_bytes = 0;
}

static void book_clear(struct book *k)
{
    HASH_CLEAR(hh, k->by_name);
    for (struct entry *e = k->first, *next; e; e = next) {
        next = e->next;
        entry_free(e);
    }
    books_forget_early(k);
    late_forget(k);
    forget_viewerss(k);
    recent_free(k->recent);
    *k = (struct book){.next = -1};
}

void books_free(struct books *b)
{
    for (int32_t i = 0; b && i < b->conf.parts; i++)
        book_clear(&b->part[i]);
    free(b);
}

static struct book *book_of(const struct books *b, int32_t part)
{
    return part >= 0 && part < b->conf.parts ? (struct book *)&b->part[part] : NULL;
}

static void give_up_delivery(struct book *k)
{
    int64_t n = 0;
    for (struct entry *e = k->untold; e; e = e->next) {
        n += !e->told;
        e->told = true;
    }
    report_unjudged("delivery", n);
    k->untold = NULL;
    book_close_front(k);
}

void books_open(struct books *b, int32_t part, int64_t next)
{
    struct book *k = book_of(b, part);
    if (!k)
        return;
    if (k->next < 0 || next > k->next) { /* somebody else went on meanwhile, or rows were lost */
        report_unjudged("reopened", (int64_t)k->n);
        book_clear(k);
        k->last = &k->first;
        k->late_last = &k->late;
        k->recent = must(recent_new());
        k->next = k->told_to = k->rows_to = next;
    }
    if (!k->open)
        give_up_delivery(k); /* what went out while it was shut was not seen */
    k->open = true;
}

void books_shut(struct books *b, int32_t part)
{
    struct book *k = book_of(b, part);
    if (!k)
        return;
    k->open = false;
    books_forget_early(k);
}

void books_blind(struct books *b, int64_t until_ms)
{
    for (int32_t i = 0; i < b->conf.parts; i++) {
        give_up_delivery(&b->part[i]);
        b->part[i].cover_ms = until_ms;
    }
}

bool books_is_open(const struct books *b, int32_t part)
{
    const struct book *k = book_of(b, part);
    return k && k->open;
}

void books_cover(struct books *b, int32_t part, int64_t from_ms)
{
    struct book *k = book_of(b, part);
    if (!k)
        return;
    k->cover_ms = from_ms;
    for (struct entry *e = k->untold; e; e = e->next) {
        if (e->told || e->time_ms >= from_ms)
            continue;
        e->told = true;
        report_unjudged("delivery", 1);
    }
}

/* ---- entries ---- */

struct entry *book_find(const struct book *k, struct id16 conv, uint64_t seq)
{
    struct name name = {conv, seq};
    struct entry *e;
    HASH_FIND(hh, k->by_name, &name, sizeof name, e);
    return e;
}

void books_found(const struct books *b, const struct entry *e, int32_t part, enum finding_kind kind,
                 const char *what)
{
    const struct finding f = {.kind = kind,
                              .topic = b->conf.topic,
                              .part = part,
                              .offset = e->offset,
                              .trace = {e->trace, e->trace_n},
                              .conv = e->name.conv,
                              .seq = e->name.seq,
                              .what = what};
    report_add(b->conf.report, &f);
}

static void drop_front(struct book *k)
{
    struct entry *e = k->first;
    k->first = e->next;
    if (!k->first)
        k->last = &k->first;
    if (k->untold == e)
        k->untold = e->next;
    HASH_DEL(k->by_name, e);
    k->n--;
    k->bytes -= e->charge;
    entry_free(e);
}

void book_close_front(struct book *k)
{
    while (k->first && k->first->told && k->first->written)
        drop_front(k);
}

/* Over the bound: the oldest are given up. */
static void bound(struct books *b, struct book *k)
{
    while (k->first && k->bytes > b->conf.bytes) {
        const struct entry *e = k->first;
        report_unjudged("delivery", !e->told);
        report_unjudged("history", !e->written);
        if (e->offset >= k->rows_to) {
            k->rows_to = e->offset + 1;
            k->suspect_ms = 0;
        }
        drop_front(k);
    }
}

/* ---- the fold ---- */

static bool moves(uint32_t kind)
{
    return (kind >= IM__CONV_KIND__CONV_GROUP_CREATE && kind <= IM__CONV_KIND__CONV_GROUP_REMOVE) ||
           kind == IM__CONV_KIND__CONV_GROUP_APPROVE || kind == IM__CONV_KIND__CONV_GROUP_DISSOLVE;
}

static struct viewers *viewers_of(struct books *b, struct book *k, const struct books_folded *f,
                                  size_t *charge)
{
    struct id16 id = f->rec->event.conv;
    struct viewers_kept *c;
    if (conv_type(f->conv) != CONV_GROUP)
        return viewers_new(f->conv, f->out->seq);
    HASH_FIND(hh, k->viewerss, &id, sizeof id, c);
    if (c && !moves(f->rec->event.kind))
        return viewers_ref(c->viewers);
    if (c) {
        k->viewers_bytes -= viewers_bytes(c->viewers);
        HASH_DEL(k->viewerss, c);
        viewers_unref(c->viewers);
        free(c);
    }
    struct viewers *now = viewers_new(f->conv, f->out->seq);
    *charge += viewers_bytes(now);
    if (now->passing)
        return now;
    if (k->viewers_bytes > b->conf.bytes / VIEWERS_SHARE)
        forget_viewerss(k);
    k->viewers_bytes += viewers_bytes(now);
    c = must(calloc(1, sizeof *c));
    c->conv = id;
    c->viewers = viewers_ref(now);
    HASH_ADD(hh, k->viewerss, conv, sizeof c->conv, c);
    return now;
}

/* Who is no member any more with this very event. */
static void note_leaving(struct entry *e, const struct conv_event *ev)
{
    size_t n = ev->kind == IM__CONV_KIND__CONV_GROUP_REMOVE ? ev->users.n / ID_SIZE : 0;
    if (ev->kind != IM__CONV_KIND__CONV_GROUP_LEAVE && !n)
        return;
    e->leaving = must(malloc((n + 1) * ID_SIZE));
    e->leaving[e->n_leaving++] = ev->user;
    if (n) {
        memcpy(e->leaving + 1, ev->users.p, n * ID_SIZE);
        e->n_leaving += n;
    }
}

static struct entry *entry_new(struct books *b, struct book *k, const struct books_folded *f)
{
    const struct convrec *rec = f->rec;
    struct entry *e = must(calloc(1, sizeof *e));
    e->name = (struct name){rec->event.conv, f->out->seq};
    e->offset = f->record->offset;
    e->time_ms = f->out->time_ms;
    e->msg_id = rec->msg_id;
    e->sender = rec->event.user;
    e->client_seq = rec->event.client_seq;
    e->device = rec->event.device;
    e->kind = rec->event.kind;
    if (rec->trace.n == CODEC_TRACE) {
        memcpy(e->trace, rec->trace.p, CODEC_TRACE);
        e->trace_n = CODEC_TRACE;
    }
    e->charge = sizeof *e;
    e->viewers = viewers_of(b, k, f, &e->charge);
    e->told = !e->viewers || f->record->time_ms < k->cover_ms;
    if (e->viewers && e->told)
        report_unjudged("delivery", 1);
    note_leaving(e, &rec->event);
    entry_open_body(b, e, rec);
    if (e->body_state == BODY_SEALED_YET) {
        void *copy = must(malloc(f->record->value.n));
        memcpy(copy, f->record->value.p, f->record->value.n);
        e->value = (struct slice){copy, f->record->value.n};
    }
    e->charge += e->value.n + e->n_leaving * ID_SIZE;
    return e;
}

void books_fold(struct books *b, const struct books_folded *f)
{
    struct book *k = book_of(b, f->record->part);
    struct entry *e = NULL;
    if (!k || !k->open || f->record->offset < k->next)
        return; /* read before */
    k->next = f->record->offset + 1;
    if (f->out->verdict == CONV_ACCEPTED)
        e = entry_new(b, k, f);
    books_check_number(b, k, f, e);
    if (e && book_find(k, e->name.conv, e->name.seq)) { /* one number twice: said */
        entry_free(e);
    } else if (e) {
        *k->last = e;
        k->last = &e->next;
        if (!k->untold)
            k->untold = e;
        HASH_ADD(hh, k->by_name, name, sizeof e->name, e);
        k->n++;
        k->bytes += e->charge;
        if (b->conf.hops) {
            const struct books_message m = books_message(b, k, e);
            b->conf.hops->numbered(b->conf.hops->ctx, &m, f->rec->edge_time_us);
        }
        books_meet(b, k, e);
    }
    bound(b, k);
}

void books_pass(struct books *b, int32_t part, int64_t offset)
{
    struct book *k = book_of(b, part);
    if (k && k->open && offset >= k->next)
        k->next = offset + 1;
}

void books_stats(const struct books *b, struct books_stats *out)
{
    *out = (struct books_stats){0};
    for (int32_t i = 0; i < b->conf.parts; i++) {
        const struct book *k = &b->part[i];
        if (!k->open)
            continue;
        out->entries += k->n;
        out->bytes += k->bytes;
        out->waiting += k->n_early + k->n_late;
        out->history_behind += k->next - k->rows_to;
        out->delivery_behind += k->untold ? k->next - k->untold->offset : 0;
    }
}
