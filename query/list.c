/* list.c: CONV_LIST_REQ and CONV_INFO_REQ: what a user's conversations look like from the outside. */
#include "common/im/frame.h"
#include "query/history.h"

#define USUAL   20
#define MOST    100
#define PREVIEW "1024" /* characters of the last message */
#define UNREAD  "1000" /* not counted further */

/* A membership `m` and what the user marked it with, with the last message that is visible. */
#define LAST                                                                                    \
    "LEFT JOIN LATERAL (SELECT x.* FROM messages x WHERE x.conv = m.conv AND x.kind IN (1, 7) " \
    "AND " SQL_WITHIN("x.seq", "m.visible") " ORDER BY x.seq DESC LIMIT 1) l ON true "
/* Messages of others above `read` that were not recalled: one probe each, and no more than UNREAD of them. */
#define UNREAD_ROWS                                                                                         \
    "SELECT 1 FROM messages x WHERE x.conv = m.conv AND x.seq > m.read AND m.type <> 3 AND x.kind = 1 AND " \
    "x.sender <> $1::bytea AND " SQL_WITHIN(                                                                \
        "x.seq", "m.visible") " AND NOT EXISTS (SELECT 1 FROM messages y "                                  \
                              "WHERE y.conv = m.conv AND y.target = x.seq AND y.kind = 3)"

/* Who left a group is shown what it was called then: what was done since is not for them. */
#define AS_IT_WAS(conv, visible, kinds)                                            \
    "(SELECT x.text FROM messages x WHERE x.conv = " conv " AND x.kind IN (" kinds \
    ") AND x.seq < upper(" visible ") ORDER BY x.seq DESC LIMIT 1)"

#define MINE_COLUMNS                                                                                         \
    "m.conv, m.part, m.peer, m.peer_login, m.login, m.role, m.visible, m.muted_until_ms, m.read, m.friend, " \
    "m.blocked"
#define SYSTEM_COLUMNS                                                                               \
    "c.conv, c.part, NULL::bytea, '', '', 0::smallint, '{[1,)}'::int8multirange, 0::int8, 0::int8, " \
    "0::smallint, false"

/* What is known of the rows of `page`: conversation, counters, then the last message. */
#define INFO                                                                                                 \
    "SELECT m.conv, m.type, CASE WHEN m.type = 2 AND m.role = 0 THEN " AS_IT_WAS(                            \
        "m.conv", "m.visible",                                                                               \
        "20, 29") " ELSE m.name END, m.peer, m.peer_login, pa.display_name, "                                \
                  "(SELECT x.seq FROM messages x WHERE x.conv = m.conv ORDER BY x.seq DESC LIMIT 1), "       \
                  "lower(m.visible), "                                                                       \
                  "upper(m.visible), (SELECT count(*) FROM (" UNREAD_ROWS " LIMIT " UNREAD                   \
                  ") n), m.read, o.read, o.delivered, "                                                      \
                  "m.pinned, m.muted, m.remark, m.role, m.flags, m.members, m.muted_until_ms, m.friend, "    \
                  "m.blocked, "                                                                              \
                  "m.created_ms, "                                                                           \
                  "m.dissolved_ms, m.owner, m.login, m.at, m.part, " EVENT_COLUMNS(                          \
                      "l") ", l.edited, l.recalled, l.pinned FROM page m "                                   \
                           "LEFT JOIN accounts pa ON pa.user_id = m.peer "                                   \
                           "LEFT JOIN memberships o ON o.user_id = m.peer AND o.conv = m.conv "              \
                           "LEFT JOIN LATERAL (SELECT p.seq, p.sender, u.login, p.device, p.client_seq, "    \
                           "p.msg_id, "                                                                      \
                           "p.time_ms, "                                                                     \
                           "left(CASE WHEN r.yes THEN NULL WHEN e.seq IS NULL THEN p.text ELSE e.text "      \
                           "END, " PREVIEW ") AS text, "                                                     \
                           "CASE WHEN r.yes THEN NULL WHEN e.seq IS NULL THEN p.content_type ELSE "          \
                           "e.content_type END AS "                                                          \
                           "content_type, "                                                                  \
                           "NULL::bytea AS data, p.kind, p.target, p.reply_to, NULL::bytea AS users, "       \
                           "NULL::text[] AS "                                                                \
                           "logins, p.role, p.flags, "                                                       \
                           "p.until_ms, p.key_id, e.seq IS NOT NULL AS edited, coalesce(r.yes, false) AS "   \
                           "recalled, "                                                                      \
                           "coalesce(n.yes, "                                                                \
                           "false) AS pinned "                                                               \
                           "FROM (SELECT x.* FROM messages x WHERE x.conv = m.conv AND x.seq = m.last_seq) " \
                           "p " SQL_RECALL("m.conv", "p.seq") SQL_EDIT("m.conv", "p.seq", "m.visible")       \
                               SQL_PINNED(                                                                   \
                                   "m.conv", "p.seq",                                                        \
                                   "m.visible") "LEFT JOIN accounts u ON u.user_id = p.sender) l ON true "
enum {
    I_CONV,
    I_TYPE,
    I_NAME,
    I_PEER,
    I_PEER_LOGIN,
    I_PEER_NAME,
    I_HEAD,
    I_FROM,
    I_TO,
    I_UNREAD,
    I_READ,
    I_PEER_READ,
    I_PEER_DELIVERED,
    I_PINNED,
    I_MUTED,
    I_REMARK,
    I_ROLE,
    I_FLAGS,
    I_MEMBERS,
    I_MUTED_UNTIL,
    I_FRIEND,
    I_BLOCKED,
    I_CREATED,
    I_DISSOLVED,
    I_OWNER,
    I_LOGIN,
    I_AT,
    I_PART,
    I_LAST,
    I_NOTICE = I_LAST + NOW_COLUMNS,
    I_OFFSET
};
#define PAGE_COLUMNS                                                                                        \
    MINE_COLUMNS ", c.type, c.name, c.flags, c.members, c.created_ms, c.dissolved_ms, c.owner, "            \
                 "coalesce(p.pinned, false) AS pinned, coalesce(p.muted, false) AS muted, p.remark, l.seq " \
                 "AS last_seq, "                                                                            \
                 "coalesce(l.time_ms, c.created_ms, 0) AS at"

/* $1 user, $2 system conversation, $3 only groups, $4 only unread, $5 how many; the page before ended with
 * ($6 pinned, $7 at, $8 conversation); $9: there was one. A direct conversation without a message is not listed. */
static const struct db_stmt list_stmt = {
    .name = "conv_list",
    .sql = "WITH mine AS (SELECT " MINE_COLUMNS " FROM memberships m WHERE m.user_id = $1::bytea AND "
           "NOT isempty(m.visible) UNION ALL SELECT " SYSTEM_COLUMNS
           " FROM conversations c WHERE c.conv = $2::bytea), "
           "ranked AS (SELECT " PAGE_COLUMNS " FROM mine m JOIN conversations c ON c.conv = m.conv "
           "LEFT JOIN prefs p ON p.user_id = $1::bytea AND p.conv = m.conv " LAST
           "WHERE (NOT $3::bool OR c.type = 2) AND (c.type = 2 OR l.seq IS NOT NULL)), "
           "page AS MATERIALIZED (SELECT m.* FROM ranked m WHERE (NOT $9::bool OR "
           "(m.pinned::int4, m.at, m.conv) < ($6::int4, $7::int8, $8::bytea)) "
           "AND (NOT $4::bool OR EXISTS (" UNREAD_ROWS ")) "
           "ORDER BY m.pinned::int4 DESC, m.at DESC, m.conv DESC LIMIT $5::int8) " INFO
           "ORDER BY m.pinned::int4 DESC, m.at DESC, m.conv DESC",
    .n_params = 9};

static const struct db_stmt positions_stmt = {
    .name = "positions",
    .sql = "SELECT part, next[1] FROM parley_marks WHERE store = 'conversation' ORDER BY part"};

/* $1 user, $2 conversation; two more columns. */
static const struct db_stmt info_stmt = {
    .name = "conv_info",
    .sql =
        "WITH mine AS (SELECT " MINE_COLUMNS
        " FROM memberships m WHERE m.user_id = $1::bytea AND m.conv = $2::bytea "
        "AND NOT isempty(m.visible) UNION ALL SELECT " SYSTEM_COLUMNS " FROM conversations c WHERE "
        "c.conv = $2::bytea AND c.type = 3), "
        "page AS MATERIALIZED (SELECT " PAGE_COLUMNS " FROM mine m JOIN conversations c ON c.conv = m.conv "
        "LEFT JOIN prefs p ON p.user_id = $1::bytea AND p.conv = m.conv " LAST ") "
        "SELECT i.*, (SELECT CASE WHEN c.type = 2 AND p.role = 0 THEN " AS_IT_WAS(
            "p.conv", "p.visible", "30") " ELSE c.notice END FROM page p JOIN conversations c ON c.conv = "
                                         "p.conv), " SQL_POSITION("(SELECT part FROM page)") " FROM (" INFO
                                                                                             ") i",
    .n_params = 2};

/* The last word on each message that was ever pinned. $1 user, $2 conversation */
static const struct db_stmt pins_stmt = {
    .name = "conv_pins",
    .sql =
        "WITH " SQL_ACCESS " SELECT t.target FROM (SELECT DISTINCT ON (x.target) x.target, x.kind FROM "
        "messages x WHERE x.conv = $2::bytea AND x.kind IN (5, 6) AND " SQL_VISIBLE
        " @> x.seq AND " SQL_VISIBLE
        " @> x.target ORDER BY x.target DESC, x.seq DESC) t WHERE t.kind = 5 AND NOT EXISTS (SELECT 1 FROM "
        "messages y WHERE y.conv = $2::bytea AND y.target = t.target AND y.kind = 3) "
        "ORDER BY t.target DESC LIMIT 100",
    .n_params = 2};

/* ---- rows to ConvInfo ---- */

static void two_of_us(Im__ConvInfo *i, struct row r)
{
    i->peer = row_bytes(r, I_PEER);
    i->peer_login = row_text(r, I_PEER_LOGIN);
    i->peer_name = row_text(r, I_PEER_NAME);
    i->peer_read = row_u64(r, I_PEER_READ);
    i->peer_delivered = row_u64(r, I_PEER_DELIVERED);
    i->friend_ = (Im__FriendState)row_i64(r, I_FRIEND);
    i->blocked = row_bool(r, I_BLOCKED);
}

static void a_group(Im__ConvInfo *i, struct row r)
{
    i->name = row_text(r, I_NAME);
    i->role = (Im__Role)row_i64(r, I_ROLE);
    if (!i->role)
        return;
    i->flags = (uint32_t)row_i64(r, I_FLAGS);
    i->members = (uint32_t)row_i64(r, I_MEMBERS);
    i->muted_until_ms = row_i64(r, I_MUTED_UNTIL);
    i->owner = row_bytes(r, I_OWNER);
    i->dissolved = row_i64(r, I_DISSOLVED) != 0;
}

static Im__ConvInfo *conv_info(struct question *q, struct row r)
{
    Im__ConvInfo *i = query_alloc(q->arena, sizeof *i);
    im__conv_info__init(i);
    struct row_conv *conv = query_alloc(q->arena, sizeof *conv);
    int64_t type = row_i64(r, I_TYPE);
    *conv =
        (struct row_conv){row_id(r, I_CONV),         q->from.user, row_id(r, I_PEER), row_text(r, I_LOGIN),
                          row_text(r, I_PEER_LOGIN), type == 2};
    i->conversation = bytes_of_id(&conv->id);
    i->group = type == 2;
    i->system = type == 3;
    if (type == 1)
        two_of_us(i, r);
    else if (type == 2)
        a_group(i, r);
    i->head = row_u64(r, I_HEAD);
    i->first_visible = row_u64(r, I_FROM);
    if (!row_null(r, I_TO)) {
        i->last_visible = row_u64(r, I_TO) - 1;
        if (i->head > i->last_visible)
            i->head = i->last_visible;
    }
    if (!row_null(r, I_LAST + EV_SEQ))
        i->last = history_item(r, I_LAST, conv, q->arena);
    i->unread = (uint32_t)row_i64(r, I_UNREAD);
    i->read = row_u64(r, I_READ);
    i->pinned = row_bool(r, I_PINNED);
    i->muted = row_bool(r, I_MUTED);
    i->remark = row_text(r, I_REMARK);
    i->created_ms = row_i64(r, I_CREATED);
    return i;
}

/* ---- list ---- */

static Im__Code ask_list(struct question *q, struct ask *a)
{
    const Im__ConvListReq *r = (const Im__ConvListReq *)q->req;
    int64_t at[2] = {0, 0};
    struct slice tail = {0};
    struct id16 conv = {{0}};
    if (r->after.len && (!page_key_parse(r->after, at, 2, &tail) || id_from(tail.p, tail.n, &conv)))
        return IM__CODE__BAD_FIELD;
    ask_stmt(a, &list_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->env->system);
    ask_bool(a, r->groups);
    ask_bool(a, r->unread);
    ask_i64(a, limit_of(r->limit, USUAL, MOST) + 1);
    ask_i32(a, (int32_t)at[0]);
    ask_i64(a, at[1]);
    ask_id(a, &conv);
    ask_bool(a, r->after.len != 0);
    ask_stmt(a, &positions_stmt);
    return IM__CODE__OK;
}

static void positions(struct question *q, const PGresult *res, Im__ConvListRsp *rsp)
{
    rsp->n_positions = (size_t)PQntuples(res);
    rsp->positions = query_alloc(q->arena, rsp->n_positions * sizeof *rsp->positions);
    for (int i = 0; i < PQntuples(res); i++) {
        Im__Position *p = rsp->positions[i] = query_alloc(q->arena, sizeof *p);
        im__position__init(p);
        p->part = (uint32_t)row_i64(row_of(res, i), 0);
        p->offset = row_i64(row_of(res, i), 1);
    }
}

static Im__Code take_list(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__ConvListReq *req = (const Im__ConvListReq *)q->req;
    Im__ConvListRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__conv_list_rsp__init(rsp);
    int rows = PQntuples(res[0]), limit = (int)limit_of(req->limit, USUAL, MOST);
    rsp->conversations = query_alloc(q->arena, (size_t)rows * sizeof *rsp->conversations);
    size_t used = 0;
    for (int i = 0; i < rows && i < limit; i++) {
        Im__ConvInfo *info = conv_info(q, row_of(res[0], i));
        used += im__conv_info__get_packed_size(info) + 8;
        if (i && used > ANSWER_BYTES - 4096) /* positions */
            break;
        rsp->conversations[rsp->n_conversations++] = info;
    }
    if ((int)rsp->n_conversations < rows) {
        struct row last = row_of(res[0], (int)rsp->n_conversations - 1);
        const int64_t at[2] = {row_bool(last, I_PINNED), row_i64(last, I_AT)};
        struct id16 conv = row_id(last, I_CONV);
        rsp->next = page_key(q->arena, at, 2, slice_id(&conv));
    }
    positions(q, res[1], rsp);
    *out = &rsp->base;
    return IM__CODE__OK;
}

/* ---- info ---- */

static Im__Code ask_info(struct question *q, struct ask *a)
{
    ask_stmt(a, &info_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_stmt(a, &pins_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    return IM__CODE__OK;
}

static Im__Code take_info(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    if (PQntuples(res[0]) == 0)
        return IM__CODE__NOT_A_MEMBER;
    struct row r = row_of(res[0], 0);
    Im__ConvInfoRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__conv_info_rsp__init(rsp);
    rsp->conversation = conv_info(q, r);
    rsp->conversation->notice = row_text(r, I_NOTICE);
    rsp->conversation->n_pins = (size_t)PQntuples(res[1]);
    rsp->conversation->pins = query_alloc(q->arena, rsp->conversation->n_pins * sizeof(uint64_t));
    for (int i = 0, n = PQntuples(res[1]); i < n; i++)
        rsp->conversation->pins[i] = row_u64(row_of(res[1], n - 1 - i), 0);
    rsp->position = query_alloc(q->arena, sizeof *rsp->position);
    im__position__init(rsp->position);
    rsp->position->part = (uint32_t)row_i64(r, I_PART);
    rsp->position->offset = row_i64(r, I_OFFSET);
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_conv_list = {IM__FRAME_TYPE__CONV_LIST_REQ, false, ask_list, take_list};
const struct verb verb_conv_info = {IM__FRAME_TYPE__CONV_INFO_REQ, false, ask_info, take_info};
