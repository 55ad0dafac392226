/* books_rows.c: the log against PostgreSQL's rows. */
#include "auditor/books_int.h"

#include "common/base/utf8.h"

#include <stdlib.h>

void entry_open_body(struct books *b, struct entry *e, const struct convrec *rec)
{
    struct convrec_body body = rec->body;
    uint8_t *room = NULL;
    if (b->conf.bodies) {
        room = malloc(rec->body.sealed.n + 1);
        if (!room)
            abort();
        enum bodykeys_rc rc = bodykeys_open(b->conf.bodies, rec, room, &body);
        e->body_state = rc == BODY_OK ? BODY_KNOWN : rc == BODY_LATER ? BODY_SEALED_YET : BODY_NOT_COMPARED;
    } else {
        e->body_state = rec->body.key_id ? BODY_NOT_COMPARED : BODY_KNOWN;
    }
    if (e->body_state == BODY_KNOWN &&
        !(utf8_valid(body.text.p, body.text.n) && utf8_valid(body.content_type.p, body.content_type.n)))
        e->body_state = BODY_NOT_COMPARED; /* kept as data, and shown as such */
    if (e->body_state == BODY_KNOWN)
        books_hash(body.text, body.content_type, body.data, e->body);
    else if (e->body_state == BODY_NOT_COMPARED)
        report_unjudged("body", 1);
    free(room);
}

static void open_again(struct books *b, struct entry *e)
{
    struct convrec rec;
    if (e->body_state != BODY_SEALED_YET || convrec_decode(e->value, e->time_ms, &rec))
        return;
    entry_open_body(b, e, &rec);
    if (e->body_state == BODY_SEALED_YET)
        return;
    free((void *)(uintptr_t)e->value.p);
    e->value = (struct slice){NULL, 0};
}

/* ---- which ---- */

static struct entry *first_at(const struct book *k, int64_t offset)
{
    struct entry *e = k->first;
    while (e && (e->offset < offset || e->written))
        e = e->next;
    return e;
}

bool books_ask(const struct books *b, int32_t part, int64_t now_ms, int64_t *from, int64_t *to)
{
    const struct book *k = &b->part[part];
    if (!k->open || k->rows_to >= k->next || (k->suspect_ms && now_ms < k->suspect_ms + b->conf.grace_ms))
        return false;
    *from = k->rows_to;
    *to = k->suspect_ms ? k->suspect_to : k->next;
    if (k->suspect_ms)
        return true;
    size_t n = 0;
    for (const struct entry *e = first_at(k, k->rows_to); e; e = e->next)
        if (++n > BOOKS_ROWS) {
            *to = e->offset;
            break;
        }
    return true;
}

/* ---- what is wrong with them ---- */

static const char *row_differs(const struct books *b, struct entry *e, const struct books_row *r)
{
    if (!id_eq(e->name.conv, r->conv) || e->name.seq != r->seq)
        return "another conversation or number";
    if (!id_eq(e->msg_id, r->msg_id) || !id_eq(e->sender, r->sender) || e->device != r->device ||
        e->client_seq != r->client_seq)
        return "another sender or message id";
    if (e->kind != r->kind || e->time_ms != r->time_ms)
        return "another kind or time";
    open_again((struct books *)(uintptr_t)b, e);
    bool erased = r->bare && b->conf.bodies && bodykeys_erased(b->conf.bodies, e->sender);
    if (e->body_state == BODY_KNOWN && !erased && memcmp(e->body, r->body, BOOKS_HASH) != 0)
        return "another text";
    return NULL;
}

struct compare {
    struct books *b;
    int32_t part;
    bool tell;
    size_t wrong;
};

static void wrong(struct compare *c, const struct entry *e, enum finding_kind kind, const char *what)
{
    c->wrong++;
    if (c->tell)
        books_found(c->b, e, c->part, kind, what);
}

static void extra(struct compare *c, const struct books_row *r)
{
    const struct finding f = {.kind = FOUND_HISTORY_EXTRA,
                              .topic = c->b->conf.topic,
                              .part = c->part,
                              .offset = r->offset,
                              .conv = r->conv,
                              .seq = r->seq,
                              .user = r->sender,
                              .what = "a row for a record that has no number"};
    c->wrong++;
    if (c->tell)
        report_add(c->b->conf.report, &f);
}

static void compare(struct compare *c, struct entry *e, int64_t to, const struct books_row *rows, size_t n)
{
    size_t i = 0;
    for (; e && e->offset < to; e = e->next) {
        for (; i < n && rows[i].offset < e->offset; i++)
            extra(c, &rows[i]);
        if (i == n || rows[i].offset > e->offset) {
            wrong(c, e, FOUND_HISTORY_MISSING, "the persister is past it, and there is no row");
            continue;
        }
        const char *what = row_differs(c->b, e, &rows[i++]);
        if (what)
            wrong(c, e, FOUND_HISTORY_DIFFERS, what);
        for (; i < n && rows[i].offset == e->offset; i++)
            extra(c, &rows[i]);
    }
    for (; i < n && rows[i].offset < to; i++)
        extra(c, &rows[i]);
}

static void written(const struct books *b, const struct book *k, struct entry *e)
{
    e->written = true;
    if (!b->conf.hops)
        return;
    const struct books_message m = books_message(b, k, e);
    b->conf.hops->stored(b->conf.hops->ctx, &m);
}

void books_rows(struct books *b, int32_t part, int64_t from, int64_t to, int64_t mark,
                const struct books_row *rows, size_t n, int64_t now_ms)
{
    struct book *k = &b->part[part];
    if (!k->open || from != k->rows_to) /* given up meanwhile */
        return;
    if (to > mark)
        to = mark;
    if (to <= from)
        return;
    struct compare c = {.b = b, .part = part, .tell = k->suspect_ms != 0};
    compare(&c, first_at(k, from), to, rows, n);
    if (c.wrong && !c.tell) {
        k->suspect_ms = now_ms ? now_ms : 1;
        k->suspect_to = to;
        return;
    }
    k->suspect_ms = 0;
    k->rows_to = to;
    for (struct entry *e = first_at(k, from); e && e->offset < to; e = e->next)
        written(b, k, e);
    book_close_front(k);
}
