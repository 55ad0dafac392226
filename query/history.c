/* history.c: HISTORY_REQ: a page of a conversation, before or after a number, around one, or from a moment on. */
#include "query/history.h"
#include "query/page.h"

#include <string.h>

#define USUAL 50
#define MOST  200

/* Who of the others has read how far, told in groups up to $3 members; see history_read_by(). */
#define READERS                                                                                              \
    "CASE WHEN c.type = 2 AND c.members <= $3::int4 THEN (SELECT string_agg(m.user_id || int8send(m.read), " \
    "''::bytea) FROM memberships m WHERE m.conv = $2::bytea AND m.role > 0 AND m.user_id <> $1::bytea) END"

/* $1 user, $2 conversation, $3 the largest group in which it is told who has read */
#define WHERE                                                                                            \
    "a.part, " SQL_POSITION("a.part") ", lower(a.visible), upper(a.visible), "                           \
                                      "(SELECT x.seq FROM messages x WHERE x.conv = $2::bytea ORDER BY " \
                                      "x.seq DESC LIMIT 1), c.type, a.peer, "                            \
                                      "a.peer_login, a.login, " READERS ", a.visible"
static const struct db_stmt where_stmt = {
    .name = "history_where",
    .sql =
        "WITH " SQL_ACCESS " SELECT " WHERE " FROM access a LEFT JOIN conversations c ON c.conv = $2::bytea",
    .n_params = 3};
/* Of members only. */
static const struct db_stmt member_stmt = {
    .name = "history_member",
    .sql = "SELECT " WHERE " FROM memberships a LEFT JOIN conversations c ON c.conv = $2::bytea WHERE "
           "a.user_id = $1::bytea AND a.conv = $2::bytea AND NOT isempty(a.visible)",
    .n_params = 3};
enum { W_PART, W_OFFSET, W_FROM, W_TO, W_HEAD, W_TYPE, W_PEER, W_PEER_LOGIN, W_LOGIN, W_READERS, W_VISIBLE };

/* The first number at or after a moment. $1 user, $2 conversation, $3 time */
static const struct db_stmt moment_stmt = {.name = "history_moment",
                                           .sql = "WITH " SQL_ACCESS
                                                  " SELECT parley_seq_at($2::bytea, $3::int8) FROM access",
                                           .n_params = 3};

/* The page: $1 user, $2 conversation, $3 number, $4 how many, $5 every event. Messages as they are now; events as they
 * were, but nothing is left of what was recalled, edits of it included. */
/* clang-format off */
#define PAGE(cmp, order)                                                                                    \
    "page AS (SELECT x.* FROM messages x WHERE x.conv = $2::bytea AND x.seq " cmp " $3::int8 AND "          \
    SQL_SEEN("x.seq") " AND ($5::bool OR x.kind IN (1, 7)) ORDER BY x.seq " order " LIMIT $4::int8)"
#define SUBJECT "CASE WHEN $5::bool THEN 0 ELSE p.seq END" /* of an event's row nothing is looked up but its recall */
#define ITEMS(cmp, order)                                                                                   \
    "WITH " SQL_ACCESS ", " PAGE(cmp, order) ", now AS (SELECT " SQL_NOW("p") " FROM page p "               \
    SQL_RECALL("$2::bytea", "CASE WHEN p.kind = 2 THEN p.target ELSE p.seq END")                            \
    SQL_EDIT("$2::bytea", SUBJECT, SQL_VISIBLE) SQL_PINNED("$2::bytea", SUBJECT, SQL_VISIBLE)               \
    "LEFT JOIN accounts u ON u.user_id = p.sender), "                                                       \
    "sized AS (SELECT *, sum(coalesce(octet_length(text), 0) + coalesce(octet_length(data), 0)) OVER "      \
    "(ORDER BY seq " order " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS above FROM now) "         \
    "SELECT " EVENT_COLUMNS("s") ", s.edited, s.recalled, s.pinned FROM sized s "                           \
    "WHERE coalesce(s.above, 0) < " HISTORY_BODIES_SQL " ORDER BY s.seq " order
#define REACTIONS(cmp, order)                                                                               \
    "WITH " SQL_ACCESS ", " PAGE(cmp, order) " SELECT p.seq, t.sender, u.login, t.text FROM page p, "       \
    "LATERAL (SELECT DISTINCT ON (s.sender) s.sender, s.seq, s.text FROM (SELECT x.sender, x.seq, x.text "  \
    "FROM messages x WHERE x.conv = $2::bytea AND x.target = p.seq AND x.kind = 4 AND "                     \
    SQL_VISIBLE " @> x.seq ORDER BY x.seq DESC LIMIT 1000) s ORDER BY s.sender, s.seq DESC) t "             \
    "LEFT JOIN accounts u ON u.user_id = t.sender WHERE t.text <> '' AND NOT $5::bool "                     \
    "ORDER BY p.seq, t.seq LIMIT 10000"
/* clang-format on */

static const struct db_stmt before_stmt = {
    .name = "history_before", .sql = ITEMS("<", "DESC"), .n_params = 5};
static const struct db_stmt after_stmt = {.name = "history_after", .sql = ITEMS(">=", "ASC"), .n_params = 5};
static const struct db_stmt before_react_stmt = {
    .name = "history_before_react", .sql = REACTIONS("<", "DESC"), .n_params = 5};
static const struct db_stmt after_react_stmt = {
    .name = "history_after_react", .sql = REACTIONS(">=", "ASC"), .n_params = 5};

/* How many of either side; the number asked around is on the later one. */
struct sides {
    uint32_t before, after;
    int64_t below, from; /* seq < below; seq >= from */
};

static struct sides sides_of(const struct question *q)
{
    const Im__HistoryReq *r = (const Im__HistoryReq *)q->req;
    uint32_t limit = limit_of(r->limit, USUAL, MOST);
    uint64_t seq = r->time_ms ? q->anchor : r->seq;
    if (r->time_ms || r->direction == IM__DIRECTION__AROUND)
        return (struct sides){limit / 2, limit - limit / 2, (int64_t)seq, (int64_t)seq};
    if (r->direction == IM__DIRECTION__AFTER)
        return (struct sides){0, limit, 0, seq < INT64_MAX ? (int64_t)seq + 1 : INT64_MAX};
    return (struct sides){limit, 0, seq ? (int64_t)seq : INT64_MAX, 0};
}

/* One more than is wanted, to see whether there is more. */
static void ask_side(struct question *q, struct ask *a, const struct db_stmt *stmt, int64_t seq, uint32_t n)
{
    const Im__HistoryReq *r = (const Im__HistoryReq *)q->req;
    ask_stmt(a, stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_i64(a, seq);
    ask_i64(a, n + 1);
    ask_bool(a, r->events);
}

/* What happened, and what is too much for folding, is looked up message by message. */
static bool probing(const struct question *q)
{
    return ((const Im__HistoryReq *)q->req)->events || q->probe;
}

static void ask_where(struct question *q, struct ask *a)
{
    const Im__HistoryReq *r = (const Im__HistoryReq *)q->req;
    ask_stmt(a, probing(q) ? &where_stmt : &member_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_i32(a, r->events ? -1 : (int32_t)q->env->receipt_cap);
}

static void probe_sides(struct question *q, struct ask *a, const struct sides *s)
{
    bool reactions = !((const Im__HistoryReq *)q->req)->events;
    if (s->before)
        ask_side(q, a, &before_stmt, s->below, s->before);
    if (s->before && reactions)
        ask_side(q, a, &before_react_stmt, s->below, s->before);
    if (s->after)
        ask_side(q, a, &after_stmt, s->from, s->after);
    if (s->after && reactions)
        ask_side(q, a, &after_react_stmt, s->from, s->after);
}

static Im__Code ask_history(struct question *q, struct ask *a)
{
    const Im__HistoryReq *r = (const Im__HistoryReq *)q->req;
    if (r->time_ms && q->round == 0) {
        ask_stmt(a, &moment_stmt);
        ask_id(a, &q->from.user);
        ask_id(a, &q->conv);
        ask_i64(a, r->time_ms);
        return IM__CODE__OK;
    }
    struct sides s = sides_of(q);
    ask_where(q, a);
    if (probing(q)) {
        probe_sides(q, a, &s);
        return IM__CODE__OK;
    }
    if (s.before)
        page_ask(q, a, false, s.below, s.before);
    if (s.after)
        page_ask(q, a, true, s.from, s.after);
    if (q->n_names)
        page_ask_names(q, a);
    return IM__CODE__OK;
}

/* Cuts to what fits, from the anchor outwards, and says where there is more: a number below (above) the last one shown
 * is visible. Rows that PostgreSQL left out for their size are seen by the page being short. */
static void cut(Im__HistoryRsp *rsp, Im__HistoryItem **items, size_t n_before, size_t n)
{
    size_t room = ANSWER_BYTES, half = n_before && n > n_before ? room / 2 : room;
    size_t b = n_before ? history_fit(items, n_before, -1, half) : 0;
    size_t f = n > n_before ? history_fit(items + n_before, n - n_before, 1, half) : 0;
    rsp->more_before = rsp->more_before || b < n_before;
    rsp->more_after = rsp->more_after || f < n - n_before;
    rsp->items = items + (n_before - b);
    rsp->n_items = b + f;
}

static bool too_large(const PGresult *side, uint32_t wanted)
{
    uint64_t bytes = 0;
    if (PQntuples(side) > (int)wanted)
        return true;
    for (int i = 0; i < PQntuples(side); i++)
        bytes += (uint64_t)PQgetlength(side, i, EV_TEXT) + (uint64_t)PQgetlength(side, i, EV_DATA);
    return bytes >= HISTORY_BODIES;
}

static void take_probed(const struct question *q, const PGresult *const *res, uint32_t wanted, bool later,
                        const struct row_conv *conv, struct side *s)
{
    s->more = too_large(res[0], wanted);
    s->n = (size_t)PQntuples(res[0]) > wanted ? wanted : (size_t)PQntuples(res[0]);
    s->items = query_alloc(q->arena, s->n * sizeof *s->items);
    for (size_t i = 0; i < s->n; i++)
        s->items[later ? i : s->n - 1 - i] = history_item(row_of(res[0], (int)i), 0, conv, q->arena);
    if (!((const Im__HistoryReq *)q->req)->events)
        history_reactions(s->items, s->n, res[1], q->arena);
}

/* res: of the sides. False: ask again. */
static bool take_sides(struct question *q, const PGresult *const *res, struct row w, const struct sides *s,
                       const struct row_conv *conv, struct side *before, struct side *after)
{
    if (probing(q)) {
        if (s->before)
            take_probed(q, res, s->before, false, conv, before);
        if (s->before)
            res += ((const Im__HistoryReq *)q->req)->events ? 1 : 2;
        if (s->after)
            take_probed(q, res, s->after, true, conv, after);
        return true;
    }
    const struct page p = {conv, seen_of(row_bytes(w, W_VISIBLE), q->arena), row_u64(w, W_HEAD)};
    if ((s->before && !page_take(q, res, &p, false, s->below, s->before, before)) ||
        (s->after && !page_take(q, res + (s->before ? 2 : 0), &p, true, s->from, s->after, after))) {
        q->probe = true;
        return false;
    }
    if (q->n_names)
        page_learn(q, res[(s->before ? 2 : 0) + (s->after ? 2 : 0)]);
    bool asked = q->n_names > 0, named = page_name(q, conv, before, after);
    return named || asked; /* of whom nothing is known yet: without a name */
}

static Im__HistoryItem **joined(struct arena *arena, const struct side *before, const struct side *after)
{
    Im__HistoryItem **items = query_alloc(arena, (before->n + after->n) * sizeof *items);
    if (before->n)
        memcpy(items, before->items, before->n * sizeof *items);
    if (after->n)
        memcpy(items + before->n, after->items, after->n * sizeof *items);
    return items;
}

static Im__Code take_history(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__HistoryReq *req = (const Im__HistoryReq *)q->req;
    if (req->time_ms && q->round == 0) {
        q->anchor = PQntuples(res[0]) ? row_u64(row_of(res[0], 0), 0) : 1;
        return IM__CODE__OK;
    }
    if (PQntuples(res[0]) == 0) {
        if (probing(q))
            return IM__CODE__NOT_A_MEMBER;
        q->probe = true; /* perhaps everybody's conversation */
        return IM__CODE__OK;
    }
    struct row w = row_of(res[0], 0);
    struct row_conv *conv = query_alloc(q->arena, sizeof *conv);
    *conv = (struct row_conv){q->conv,
                              q->from.user,
                              row_id(w, W_PEER),
                              row_text(w, W_LOGIN),
                              row_text(w, W_PEER_LOGIN),
                              row_i64(w, W_TYPE) == 2};
    Im__HistoryRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__history_rsp__init(rsp);
    struct sides s = sides_of(q);
    struct side before = {0}, after = {0};
    if (!take_sides(q, res + 1, w, &s, conv, &before, &after))
        return IM__CODE__OK;
    size_t n = before.n + after.n;
    Im__HistoryItem **items = joined(q->arena, &before, &after);
    if (!req->events)
        history_read_by(items, n, row_bytes(w, W_READERS));
    rsp->conversation = bytes_of_id(&q->conv);
    rsp->first_visible = row_u64(w, W_FROM);
    rsp->head = row_u64(w, W_HEAD);
    if (!row_null(w, W_TO) && rsp->head >= row_u64(w, W_TO))
        rsp->head = row_u64(w, W_TO) - 1;
    rsp->more_before = before.more;
    rsp->more_after = after.more;
    /* Of the side that was not asked for the number itself tells: before AFTER n there is n, if it is visible. */
    if (!s.before)
        rsp->more_before = (uint64_t)s.from > rsp->first_visible;
    if (!s.after)
        rsp->more_after = s.below != INT64_MAX && (uint64_t)s.below <= rsp->head;
    rsp->position = query_alloc(q->arena, sizeof *rsp->position);
    im__position__init(rsp->position);
    rsp->position->part = (uint32_t)row_i64(w, W_PART);
    rsp->position->offset = row_i64(w, W_OFFSET);
    cut(rsp, items, before.n, n);
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_history = {IM__FRAME_TYPE__HISTORY_REQ, false, ask_history, take_history};
