/* history_item.c: rows to HistoryItems; no SQL here. */
#include "query/history.h"

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

void history_reactions(Im__HistoryItem **items, size_t n, const PGresult *res, struct arena *arena)
{
    for (int at = 0; at < PQntuples(res); at++) {
        struct row r = row_of(res, at);
        Im__HistoryItem *i = item_of(items, n, row_u64(r, 0));
        if (!i || i->recalled || i->n_reactions == REACTIONS_MAX)
            continue;
        if (!i->reactions)
            i->reactions = query_alloc(arena, REACTIONS_MAX * sizeof(void *));
        Im__Reaction *x = query_alloc(arena, sizeof *x);
        im__reaction__init(x);
        x->user = row_bytes(r, 1);
        x->login = row_text(r, 2);
        x->text = row_text(r, 3);
        i->reactions[i->n_reactions++] = x;
    }
}

void history_read_by(Im__HistoryItem **items, size_t n, const PGresult *res)
{
    for (int at = 0; at < PQntuples(res); at++) {
        struct row r = row_of(res, at);
        struct id16 user = row_id(r, 0);
        uint64_t read = row_u64(r, 1);
        for (size_t k = 0; k < n && items[k]->event->seq <= read; k++) {
            ProtobufCBinaryData sender = items[k]->event->sender;
            if (sender.len != ID_SIZE || memcmp(sender.data, user.b, ID_SIZE) != 0)
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
