/* search.c: SEARCH_REQ: in one's own history, newest first. What the words are is said in schema/sql/005_search.sql. */
#include "query/history.h"

#include <string.h>

#define USUAL 20
#define MOST  50

/* $1 user, $2 conversation */
static const struct db_stmt where_stmt = {
    .name = "search_where", .sql = "WITH " SQL_ACCESS " SELECT 1 FROM access", .n_params = 2};

/* $1 user, $2 conversation, $3 only in it, $4 text, $5 system conversation, $6 how many; the page before ended with
 * ($7 time, $8 conversation, $9 number); $10: there was one.
 *
 * A hit is a message's body as it is now: a row that a later edit replaced is none, nor what was recalled. */
static const struct db_stmt search_stmt = {
    .name = "search",
    .sql =
        "WITH words AS MATERIALIZED (SELECT parley_words($4::text) AS q), "
        "mine AS (SELECT s.conv, s.visible, s.peer, s.peer_login, s.login FROM memberships s WHERE "
        "s.user_id = $1::bytea AND NOT isempty(s.visible) AND (NOT $3::bool OR s.conv = $2::bytea) "
        "UNION ALL SELECT c.conv, '{[1,)}'::int8multirange, NULL, '', '' FROM conversations c WHERE "
        "c.conv = $5::bytea AND (NOT $3::bool OR c.conv = $2::bytea)), "
        "hits AS (SELECT h.conv, h.seq, h.time_ms, s.visible, s.peer, s.peer_login, s.login FROM words w, "
        "mine s, LATERAL "
        "(SELECT p.conv, p.seq, p.time_ms FROM parley_candidates(s.conv, w.q) r, messages m, messages p "
        "WHERE w.q IS NOT NULL AND m.conv = s.conv AND m.seq BETWEEN r.low AND r.high AND s.visible @> m.seq "
        "AND m.kind IN (1, 2, 7) AND parley_maybe(m.text, parley_longest(w.q)) AND parley_lexemes(m.text) @@ "
        "w.q "
        "AND p.conv = s.conv AND p.seq = CASE WHEN m.kind = 2 THEN m.target ELSE m.seq END AND s.visible @> "
        "p.seq "
        "AND (NOT $10::bool OR (p.time_ms, p.conv, p.seq) < ($7::int8, $8::bytea, $9::int8)) "
        "AND NOT EXISTS (SELECT 1 FROM messages y WHERE y.conv = s.conv AND y.target = p.seq AND (y.kind = 3 "
        "OR "
        "(y.kind = 2 AND y.seq > m.seq AND s.visible @> y.seq))) "
        "ORDER BY p.seq DESC LIMIT $6::int8) h), "
        "page AS (SELECT * FROM hits ORDER BY time_ms DESC, conv DESC, seq DESC LIMIT $6::int8), "
        "now AS (SELECT " SQL_NOW(
            "p") ", g.conv, c.type, g.peer, g.peer_login, g.login AS my_login FROM page g "
                 "JOIN messages p ON p.conv = g.conv AND p.seq = g.seq " SQL_RECALL("g.conv", "g.seq")
                     SQL_EDIT("g.conv", "g.seq", "g.visible") SQL_PINNED(
                         "g.conv", "g.seq",
                         "g.visible") "LEFT JOIN accounts u ON u.user_id = p.sender LEFT JOIN conversations "
                                      "c ON c.conv = g.conv), "
                                      "sized AS (SELECT *, sum(coalesce(octet_length(text), 0) + "
                                      "coalesce(octet_length(data), 0)) OVER "
                                      "(ORDER BY time_ms DESC, conv DESC, seq DESC ROWS BETWEEN UNBOUNDED "
                                      "PRECEDING AND 1 PRECEDING) AS above FROM now) "
                                      "SELECT " EVENT_COLUMNS(
                                          "s") ", s.edited, s.recalled, s.pinned, s.conv, s.type, s.peer, "
                                               "s.peer_login, s.my_login "
                                               "FROM sized s WHERE coalesce(s.above, 0) < " HISTORY_BODIES_SQL
                                               " ORDER BY s.time_ms DESC, s.conv DESC, s.seq DESC",
    .n_params = 10};
enum { S_CONV = NOW_COLUMNS, S_TYPE, S_PEER, S_PEER_LOGIN, S_LOGIN };

static Im__Code ask_search(struct question *q, struct ask *a)
{
    const Im__SearchReq *r = (const Im__SearchReq *)q->req;
    bool only = !id_is_zero(q->conv);
    int64_t at[2] = {0, 0}; /* time, number */
    struct slice tail = {0};
    struct id16 conv = {{0}};
    if (r->after.len && (!page_key_parse(r->after, at, 2, &tail) || id_from(tail.p, tail.n, &conv)))
        return IM__CODE__BAD_FIELD;
    ask_stmt(a, &search_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_bool(a, only);
    ask_text(a, r->text);
    ask_id(a, &q->env->system);
    ask_i64(a, limit_of(r->limit, USUAL, MOST) + 1);
    ask_i64(a, at[0]);
    ask_id(a, &conv);
    ask_i64(a, at[1]);
    ask_bool(a, r->after.len != 0);
    if (only) {
        ask_stmt(a, &where_stmt);
        ask_id(a, &q->from.user);
        ask_id(a, &q->conv);
    }
    return IM__CODE__OK;
}

static Im__HistoryItem *hit(struct question *q, struct row r)
{
    struct row_conv *conv = query_alloc(q->arena, sizeof *conv);
    *conv = (struct row_conv){row_id(r, S_CONV),         q->from.user,
                              row_id(r, S_PEER),         row_text(r, S_LOGIN),
                              row_text(r, S_PEER_LOGIN), row_i64(r, S_TYPE) == 2};
    return history_item(r, 0, conv, q->arena);
}

static Im__Code take_search(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__SearchReq *req = (const Im__SearchReq *)q->req;
    if (!id_is_zero(q->conv) && PQntuples(res[1]) == 0)
        return IM__CODE__NOT_A_MEMBER;
    Im__SearchRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__search_rsp__init(rsp);
    int rows = PQntuples(res[0]), limit = (int)limit_of(req->limit, USUAL, MOST);
    size_t bodies = 0;
    rsp->items = query_alloc(q->arena, (size_t)rows * sizeof *rsp->items);
    for (int i = 0; i < rows && i < limit; i++) {
        Im__HistoryItem *item = rsp->items[rsp->n_items++] = hit(q, row_of(res[0], i));
        bodies += strlen(item->event->text) + item->event->data.len;
    }
    rsp->n_items = history_fit(rsp->items, rsp->n_items, 1, ANSWER_BYTES);
    if ((int)rsp->n_items < rows || bodies >= HISTORY_BODIES) {
        struct row last = row_of(res[0], (int)rsp->n_items - 1);
        const int64_t at[2] = {row_i64(last, EV_TIME), row_i64(last, EV_SEQ)};
        struct id16 conv = row_id(last, S_CONV);
        rsp->next = page_key(q->arena, at, 2, slice_id(&conv));
    }
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_search = {IM__FRAME_TYPE__SEARCH_REQ, true, ask_search, take_search};
