/* history_item.c: rows to HistoryItems; no SQL here. */
#include "query/history.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define REACTIONS_MAX 100

Im__HistoryItem *history_item(struct row r, int first, const struct row_conv *conv, struct arena *arena)
{
    Im__HistoryItem *i = query_alloc(arena, sizeof *i);
    im__history_item__init(i);
    i->event = row_event(r, first, conv, arena);
    i->edited = row_bool(r, first + NOW_EDITED);
    i->recalled = row_bool(r, first + NOW_RECALLED);
    i->pinned = row_bool(r, first + NOW_PINNED);
    if (i->recalled)
        i->edited = false;
    return i;
}

static Im__HistoryItem *item_of(Im__HistoryItem **items, size_t n, uint64_t seq)
{
    size_t lo = 0, hi = n; /* ascending */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (items[mid]->event->seq < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && items[lo]->event->seq == seq ? items[lo] : NULL;
}

static void react(Im__HistoryItem *i, ProtobufCBinaryData user, char *login, char *text, struct arena *arena)
{
    if (i->recalled || i->n_reactions == REACTIONS_MAX)
        return;
    if (!i->reactions)
        i->reactions = query_alloc(arena, REACTIONS_MAX * sizeof(void *));
    Im__Reaction *x = query_alloc(arena, sizeof *x);
    im__reaction__init(x);
    x->user = user;
    x->login = login;
    x->text = text;
    i->reactions[i->n_reactions++] = x;
}

void history_reactions(Im__HistoryItem **items, size_t n, const PGresult *res, struct arena *arena)
{
    for (int at = 0; at < PQntuples(res); at++) {
        struct row r = row_of(res, at);
        Im__HistoryItem *i = item_of(items, n, row_u64(r, 0));
        if (i)
            react(i, row_bytes(r, 1), row_text(r, 2), row_text(r, 3), arena);
    }
}

/* ---- folding what was done to messages ---- */

struct mark {
    struct row row;
    uint64_t target, seq;
    int64_t kind;
    ProtobufCBinaryData by; /* reactions: whose */
};

static int by_number(const void *a, const void *b)
{
    uint64_t x = (*(Im__HistoryItem *const *)a)->event->seq, y = (*(Im__HistoryItem *const *)b)->event->seq;
    return (x > y) - (x < y);
}

static int by_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.data, b.data, a.len) : 0;
}

/* Of which only the last counts. */
static int by_matter(const struct mark *a, const struct mark *b)
{
    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : by_bytes(a->by, b->by);
}

static int by_matter_then_number(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    int c = by_matter(x, y);
    return c ? c : (x->seq > y->seq) - (x->seq < y->seq);
}

static int by_target_then_number(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static void body(Im__ChatPush *e, char *text, char *content_type, ProtobufCBinaryData data)
{
    e->text = text;
    e->content_type = content_type;
    e->data = data;
}

/* The last mark of its matter; those of a message come in the order of their kinds. */
static void apply(Im__HistoryItem *i, const struct mark *m, uint64_t *pinned_at)
{
    static char none[1];
    switch (m->kind) {
    case IM__CONV_KIND__CONV_EDIT:
        body(i->event, row_text(m->row, EV_TEXT), row_text(m->row, EV_CONTENT_TYPE),
             row_bytes(m->row, EV_DATA));
        i->edited = true;
        break;
    case IM__CONV_KIND__CONV_RECALL:
        body(i->event, none, none, (ProtobufCBinaryData){0, NULL});
        i->edited = false;
        i->recalled = true;
        break;
    case IM__CONV_KIND__CONV_PIN:
        i->pinned = true;
        *pinned_at = m->seq;
        break;
    case IM__CONV_KIND__CONV_UNPIN:
        i->pinned = i->pinned && *pinned_at > m->seq;
        break;
    default:
        break;
    }
}

static void fold(Im__HistoryItem **items, size_t n, struct mark *marks, size_t n_marks, struct arena *arena)
{
    size_t kept = 0; /* reactions */
    uint64_t pinned_at = 0;
    qsort(marks, n_marks, sizeof *marks, by_matter_then_number);
    for (size_t k = 0; k < n_marks; k++) {
        Im__HistoryItem *i = item_of(items, n, marks[k].target);
        if (!i || (k + 1 < n_marks && by_matter(&marks[k], &marks[k + 1]) == 0))
            continue;
        apply(i, &marks[k], &pinned_at);
        if (marks[k].kind == IM__CONV_KIND__CONV_REACT && *row_text(marks[k].row, EV_TEXT))
            marks[kept++] = marks[k];
    }
    qsort(marks, kept, sizeof *marks, by_target_then_number);
    for (size_t k = 0; k < kept; k++)
        react(item_of(items, n, marks[k].target), row_bytes(marks[k].row, EV_SENDER),
              row_text(marks[k].row, EV_LOGIN), row_text(marks[k].row, EV_TEXT), arena);
}

static uint64_t be64_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static uint32_t be32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

/* As multirange_send() and range_send() have it: a count, and for each a length, flags, and the bounds there are. A
 * stored range of integers begins inclusive and ends exclusive. */
struct seen seen_of(ProtobufCBinaryData b, struct arena *arena)
{
    enum { NO_FROM = 0x08, NO_TO = 0x10, ONE = 5 };
    struct seen s = {0};
    size_t count = b.len >= 4 ? be32_at(b.data) : 0, at = 4;
    if (count > b.len / ONE)
        return s;
    s.range = query_alloc(arena, count * sizeof *s.range);
    for (size_t i = 0; i < count; i++) {
        if (b.len - at < ONE)
            return (struct seen){0};
        size_t n = be32_at(b.data + at), need = 1;
        const uint8_t *p = b.data + at + 4;
        need += *p & NO_FROM ? 0 : 12;
        need += *p & NO_TO ? 0 : 12;
        if (n != need || n > b.len - at - 4)
            return (struct seen){0};
        struct seen_range *r = &s.range[s.n++];
        r->from = *p & NO_FROM ? 0 : be64_at(p + 5);
        r->to = *p & NO_TO ? UINT64_MAX : be64_at(p + n - 8);
        at += 4 + n;
    }
    return s;
}

bool seen_has(const struct seen *s, uint64_t seq)
{
    for (size_t i = 0; i < s->n; i++)
        if (seq >= s->range[i].from && seq < s->range[i].to)
            return true;
    return false;
}

/* False: a body is missing. */
static bool take_messages(const PGresult *page, const struct seen *seen, const struct row_conv *conv,
                          struct arena *arena, Im__HistoryItem **items, size_t *n)
{
    for (int at = 0; at < PQntuples(page); at++) {
        struct row r = row_of(page, at);
        if (!seen_has(seen, row_u64(r, EV_SEQ)))
            continue;
        if (row_bool(r, FOLD_TOO_LARGE))
            return false;
        items[*n] = query_alloc(arena, sizeof **items);
        im__history_item__init(items[*n]);
        items[(*n)++]->event = row_event(r, 0, conv, arena);
    }
    return true;
}

static bool take_marks(const PGresult *res, const struct seen *seen, struct mark *marks, size_t *n)
{
    for (int at = 0; at < PQntuples(res); at++) {
        struct row r = row_of(res, at);
        struct mark m = {r, row_u64(r, EV_TARGET), row_u64(r, EV_SEQ), row_i64(r, EV_KIND), {0, NULL}};
        if (m.kind != IM__CONV_KIND__CONV_RECALL && !seen_has(seen, m.seq))
            continue;
        if (row_bool(r, FOLD_TOO_LARGE))
            return false;
        if (m.kind == IM__CONV_KIND__CONV_REACT)
            m.by = row_bytes(r, EV_SENDER);
        marks[(*n)++] = m;
    }
    return true;
}

bool history_fold(const PGresult *page, const PGresult *done, const struct seen *seen,
                  const struct row_conv *conv, struct arena *arena, Im__HistoryItem ***out, size_t *n_out)
{
    size_t n = 0, n_marks = 0;
    if (PQntuples(done) > FOLD_MOST)
        return false;
    Im__HistoryItem **items = query_alloc(arena, (size_t)PQntuples(page) * sizeof *items);
    struct mark *marks = query_alloc(arena, (size_t)PQntuples(done) * sizeof *marks);
    if (!take_messages(page, seen, conv, arena, items, &n) || !take_marks(done, seen, marks, &n_marks))
        return false;
    if (n > 1)
        qsort(items, n, sizeof *items, by_number);
    if (n_marks)
        fold(items, n, marks, n_marks, arena);
    *out = items;
    *n_out = n;
    return true;
}

/* ---- who has read, and what fits ---- */

void history_read_by(Im__HistoryItem **items, size_t n, ProtobufCBinaryData readers)
{
    for (size_t at = 0; at + READER_BYTES <= readers.len; at += READER_BYTES) {
        const uint8_t *user = readers.data + at;
        uint64_t read;
        memcpy(&read, user + ID_SIZE, sizeof read);
        read = be64toh(read);
        for (size_t k = 0; k < n && items[k]->event->seq <= read; k++) {
            ProtobufCBinaryData sender = items[k]->event->sender;
            if (sender.len != ID_SIZE || memcmp(sender.data, user, ID_SIZE) != 0)
                items[k]->read_by++;
        }
    }
}

size_t history_fit(Im__HistoryItem **items, size_t n, int step, size_t room)
{
    size_t used = 0, k = 0;
    for (; k < n; k++) {
        used += im__history_item__get_packed_size(items[step > 0 ? k : n - 1 - k]) + 8;
        if (k && used > room)
            break;
    }
    return k;
}
