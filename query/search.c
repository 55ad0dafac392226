/* search.c: SEARCH_REQ: in one's own history, newest first. What the words are is said in schema/sql/005_search.sql. */
#include "query/history.h"

#include <string.h>

#define USUAL     20
#define MOST      50
#define BUDGET_MS "700" /* of looking; a page that is not full by then says so */

/* $1 user, $2 conversation */
static const struct db_stmt where_stmt = {
    .name = "search_where", .sql = "WITH " SQL_ACCESS " SELECT 1 FROM access", .n_params = 2};

/* $1 user, $2 conversation, $3 only in it, $4 text, $5 system conversation, $6 how many; the page before ended with
 * ($7 time, $8 conversation, $9 number); $10: there was one.
 *
 * A hit is a message's body as it is now, and stands where that was written: at its last edit, if it has one. The last
 * row may be no hit but only say from where to go on: parley_search() works for BUDGET_MS at a time. */
/* clang-format off */
static const struct db_stmt search_stmt = {
    .name = "search",
    .sql =
        "WITH page AS MATERIALIZED (SELECT f.conv, f.seq AS at, f.message, f.ms, m.visible, m.peer, m.peer_login, m.login "
        "FROM parley_search($1::bytea, CASE WHEN $3::bool THEN $2::bytea END, $5::bytea, parley_words($4::text), $6::int4, "
        BUDGET_MS ", CASE WHEN $10::bool THEN $7::int8 END, CASE WHEN $10::bool THEN $8::bytea END, $9::int8) f "
        "LEFT JOIN memberships m ON m.user_id = $1::bytea AND m.conv = f.conv LIMIT 100), "
        "seen AS (SELECT *, coalesce(visible, '{[1,)}'::int8multirange) AS v FROM page), "
        "now AS (SELECT " SQL_NOW("p") ", g.conv, c.type, g.peer, g.peer_login, g.login AS my_login, g.ms, g.at FROM seen g "
        "LEFT JOIN LATERAL (SELECT x.* FROM messages x WHERE x.conv = g.conv AND x.seq = g.message LIMIT 1) p ON true "
        SQL_RECALL("g.conv", "g.message") SQL_EDIT("g.conv", "g.message", "g.v") SQL_PINNED("g.conv", "g.message", "g.v")
        "LEFT JOIN accounts u ON u.user_id = p.sender LEFT JOIN conversations c ON c.conv = g.conv), "
        "sized AS (SELECT *, sum(coalesce(octet_length(text), 0) + coalesce(octet_length(data), 0)) OVER "
        "(ORDER BY ms DESC, conv DESC, at DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS above FROM now) "
        "SELECT " EVENT_COLUMNS("s") ", s.edited, s.recalled, s.pinned, s.conv, s.type, s.peer, s.peer_login, s.my_login, "
        "s.ms, s.at FROM sized s WHERE coalesce(s.above, 0) < " HISTORY_BODIES_SQL
        " ORDER BY s.ms DESC, s.conv DESC, s.at DESC",
    .n_params = 10};
/* clang-format on */
#define AT_MOST (INT64_MAX / 2)
enum { S_CONV = NOW_COLUMNS, S_TYPE, S_PEER, S_PEER_LOGIN, S_LOGIN, S_MS, S_AT };

static Im__Code ask_search(struct question *q, struct ask *a)
{
    const Im__SearchReq *r = (const Im__SearchReq *)q->req;
    bool only = !id_is_zero(q->conv);
    int64_t at[2] = {0, 0}; /* time, number */
    struct slice tail = {0};
    struct id16 conv = {{0}};
    if (r->after.len && (!page_key_parse(r->after, at, 2, &tail) || id_from(tail.p, tail.n, &conv) ||
                         at[0] < 0 || at[0] > AT_MOST || at[1] < 0 || at[1] > AT_MOST))
        return IM__CODE__BAD_FIELD;
    ask_stmt(a, &search_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_bool(a, only);
    ask_text(a, r->text);
    ask_id(a, &q->env->system);
    ask_i32(a, (int32_t)limit_of(r->limit, USUAL, MOST) + 1);
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

static ProtobufCBinaryData place(struct question *q, struct row r)
{
    const int64_t at[2] = {row_i64(r, S_MS), row_i64(r, S_AT)};
    struct id16 conv = row_id(r, S_CONV);
    return page_key(q->arena, at, 2, slice_id(&conv));
}

static Im__Code take_search(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__SearchReq *req = (const Im__SearchReq *)q->req;
    if (!id_is_zero(q->conv) && PQntuples(res[1]) == 0)
        return IM__CODE__NOT_A_MEMBER;
    Im__SearchRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__search_rsp__init(rsp);
    int rows = PQntuples(res[0]), limit = (int)limit_of(req->limit, USUAL, MOST);
    bool unfinished = rows && row_null(row_of(res[0], rows - 1), EV_SEQ);
    int hits = rows - unfinished;
    size_t bodies = 0;
    rsp->items = query_alloc(q->arena, (size_t)rows * sizeof *rsp->items);
    for (int i = 0; i < hits && i < limit; i++) {
        Im__HistoryItem *item = rsp->items[rsp->n_items++] = hit(q, row_of(res[0], i));
        bodies += strlen(item->event->text) + item->event->data.len;
    }
    rsp->n_items = history_fit(rsp->items, rsp->n_items, 1, ANSWER_BYTES);
    if ((int)rsp->n_items < hits || bodies >= HISTORY_BODIES)
        rsp->next = place(q, row_of(res[0], (int)rsp->n_items - 1));
    else if (unfinished)
        rsp->next = place(q, row_of(res[0], rows - 1));
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_search = {IM__FRAME_TYPE__SEARCH_REQ, true, ask_search, take_search};
