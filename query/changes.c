/* changes.c: CHANGES_REQ: a message and what was done to it, as it happened. */
#include "query/history.h"

#include <string.h>

#define USUAL 50
#define MOST  200

/* $1 user, $2 conversation, $3 message */
static const struct db_stmt where_stmt = {
    .name = "changes_where",
    .sql =
        "WITH " SQL_ACCESS " SELECT c.type, a.peer, a.peer_login, a.login, EXISTS (SELECT 1 FROM messages x "
        "WHERE x.conv = $2::bytea AND x.seq = $3::int8 AND x.kind IN (1, 7) AND a.visible @> x.seq) "
        "FROM access a LEFT JOIN conversations c ON c.conv = $2::bytea",
    .n_params = 3};

/* … $4 after, $5 how many. Nothing is left of a recalled body, edits included. */
/* clang-format off */
static const struct db_stmt changes_stmt = {
    .name = "changes",
    .sql =
        "WITH " SQL_ACCESS ", page AS (SELECT x.* FROM messages x WHERE x.conv = $2::bytea AND x.seq = $3::int8 "
        "AND $4::int8 < $3::int8 AND " SQL_VISIBLE " @> x.seq UNION ALL SELECT * FROM (SELECT x.* FROM messages x "
        "WHERE x.conv = $2::bytea AND x.target = $3::int8 AND x.seq > $4::int8 AND " SQL_VISIBLE " @> x.seq AND "
        SQL_VISIBLE " @> $3::int8 ORDER BY x.seq + 0 LIMIT $5::int8) y), " /* + 0: by `target`, not by number */
        "now AS (SELECT p.seq, p.sender, u.login, p.device, p.client_seq, p.msg_id, p.time_ms, "
        "CASE WHEN r.yes AND p.kind IN (1, 2) THEN NULL ELSE p.text END AS text, "
        "CASE WHEN r.yes THEN NULL ELSE p.content_type END AS content_type, "
        "CASE WHEN r.yes THEN NULL ELSE p.data END AS data, p.kind, p.target, p.reply_to, p.users, p.logins, "
        "p.role, p.flags, p.until_ms, p.key_id FROM page p " SQL_RECALL(
            "$2::bytea",
            "$3::int8") "LEFT JOIN accounts u ON u.user_id = p.sender), "
                        "sized AS (SELECT *, sum(coalesce(octet_length(text), 0) + "
                        "coalesce(octet_length(data), 0)) OVER "
                        "(ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS above FROM now) "
                        "SELECT " EVENT_COLUMNS(
                            "s") " FROM sized s WHERE coalesce(s.above, 0) < " HISTORY_BODIES_SQL
                                 " ORDER BY s.seq",
    .n_params = 5};
/* clang-format on */

static Im__Code ask_changes(struct question *q, struct ask *a)
{
    const Im__ChangesReq *r = (const Im__ChangesReq *)q->req;
    ask_stmt(a, &where_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_i64(a, (int64_t)r->target);
    ask_stmt(a, &changes_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_i64(a, (int64_t)r->target);
    ask_i64(a, (int64_t)r->after);
    ask_i64(a, limit_of(r->limit, USUAL, MOST) + 1);
    return IM__CODE__OK;
}

static Im__Code take_changes(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__ChangesReq *req = (const Im__ChangesReq *)q->req;
    if (PQntuples(res[0]) == 0)
        return IM__CODE__NOT_A_MEMBER;
    struct row w = row_of(res[0], 0);
    if (!row_bool(w, 4))
        return IM__CODE__NO_SUCH_MESSAGE;
    struct row_conv *conv = query_alloc(q->arena, sizeof *conv);
    *conv = (struct row_conv){q->conv,        q->from.user,   row_id(w, 1),
                              row_text(w, 3), row_text(w, 2), row_i64(w, 0) == 2};
    Im__ChangesRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__changes_rsp__init(rsp);
    int rows = PQntuples(res[1]), limit = (int)limit_of(req->limit, USUAL, MOST);
    rsp->events = query_alloc(q->arena, (size_t)rows * sizeof *rsp->events);
    size_t used = 0, bodies = 0;
    for (int i = 0; i < rows && i < limit; i++) {
        Im__ChatPush *e = row_event(row_of(res[1], i), 0, conv, q->arena);
        used += im__chat_push__get_packed_size(e) + 8;
        if (i && used > ANSWER_BYTES)
            break;
        rsp->events[rsp->n_events++] = e;
        bodies += strlen(e->text) + e->data.len;
    }
    rsp->more = (int)rsp->n_events < rows || bodies >= HISTORY_BODIES;
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_changes = {IM__FRAME_TYPE__CHANGES_REQ, false, ask_changes, take_changes};
