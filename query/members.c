/* members.c: MEMBERS_REQ and ASKS_REQ: who is in a group, who would like to be. */
#include "common/im/validate.h"
#include "query/people.h"

#include <string.h>

#define MEMBERS_USUAL 100
#define MEMBERS_MOST  500
#define ASKS_USUAL    100
#define ASKS_MOST     1000

/* The caller as a member now: type, members, role. $1 user, $2 conversation */
static const struct db_stmt where_stmt = {
    .name = "members_where",
    .sql = "SELECT c.type, c.members, m.role FROM memberships m JOIN conversations c ON c.conv = m.conv "
           "WHERE m.user_id = $1::bytea AND m.conv = $2::bytea AND m.role > 0",
    .n_params = 2};

/* $1 user, $2 conversation; after ($3 role, $4 login, $6 user: names of members may be unknown); $5 how many */
static const struct db_stmt members_stmt = {
    .name = "members",
    .sql = "SELECT " SQL_PERSON(
        "m.user_id") ", m.role, m.muted_until_ms, m.joined, m.read, m.login, m.user_id FROM "
                     "(SELECT x.* FROM memberships x WHERE x.conv = $2::bytea AND x.role > 0 AND x.role <= "
                     "$3::int4 AND "
                     "(x.role < $3::int4 OR (x.login, x.user_id) > ($4::text COLLATE \"C\", $6::bytea)) AND "
                     "EXISTS (SELECT 1 FROM "
                     "memberships me WHERE "
                     "me.user_id = $1::bytea AND me.conv = $2::bytea AND me.role > 0) ORDER BY x.role DESC, "
                     "x.login, x.user_id LIMIT $5::int8) m "
                     "LEFT JOIN accounts u ON u.user_id = m.user_id " SQL_BETWEEN(
                         "m.user_id") "ORDER BY m.role DESC, m.login, m.user_id",
    .n_params = 6};
enum { M_ROLE = P_COLUMNS, M_MUTED, M_JOINED, M_READ, M_LOGIN, M_USER };

/* For admins. $1 user, $2 conversation, $3 how many */
static const struct db_stmt asks_stmt = {
    .name = "asks",
    .sql = "SELECT a.user_id, a.login, a.text, a.time_ms FROM asks a WHERE a.conv = $2::bytea AND EXISTS "
           "(SELECT 1 FROM "
           "memberships me WHERE me.user_id = $1::bytea AND me.conv = $2::bytea AND me.role >= 2) "
           "ORDER BY a.time_ms, a.user_id LIMIT $3::int8",
    .n_params = 3};

static void ask_where(struct question *q, struct ask *a)
{
    ask_stmt(a, &where_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
}

static Im__Code ask_members(struct question *q, struct ask *a)
{
    const Im__MembersReq *r = (const Im__MembersReq *)q->req;
    int64_t role = 99;
    struct slice tail = {"", 0};
    struct id16 *after = query_alloc(q->arena, sizeof *after);
    *after = (struct id16){{0}};
    if (r->after.len) { /* role, user ‖ login */
        if (!page_key_parse(r->after, &role, 1, &tail) || tail.n < ID_SIZE)
            return IM__CODE__BAD_FIELD;
        memcpy(after->b, tail.p, ID_SIZE);
        tail = slice_of((const uint8_t *)tail.p + ID_SIZE, tail.n - ID_SIZE);
        if (tail.n && !validate_utf8(tail.p, tail.n))
            return IM__CODE__BAD_FIELD;
    }
    char *login = query_alloc(q->arena, tail.n + 1);
    memcpy(login, tail.p, tail.n);
    login[tail.n] = '\0';
    ask_where(q, a);
    ask_stmt(a, &members_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_i32(a, (int32_t)role);
    ask_text(a, login);
    ask_i64(a, limit_of(r->limit, MEMBERS_USUAL, MEMBERS_MOST) + 1);
    ask_id(a, after);
    return IM__CODE__OK;
}

static Im__Member *member(struct question *q, struct row r, bool tell_read)
{
    Im__Member *m = query_alloc(q->arena, sizeof *m);
    im__member__init(m);
    m->user = row_bytes(r, M_USER);
    m->login = row_text(r, M_LOGIN);
    m->name = row_text(r, P_NAME);
    m->role = (Im__Role)row_i64(r, M_ROLE);
    m->muted_until_ms = row_i64(r, M_MUTED);
    m->joined = row_u64(r, M_JOINED);
    m->read = tell_read ? row_u64(r, M_READ) : 0;
    m->online = row_bool(r, P_SHOWN) && q->env->online(q->env->ctx, row_id(r, M_USER));
    return m;
}

static Im__Code take_members(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__MembersReq *req = (const Im__MembersReq *)q->req;
    if (PQntuples(res[0]) == 0)
        return IM__CODE__NOT_A_MEMBER;
    Im__MembersRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__members_rsp__init(rsp);
    int64_t type = row_i64(row_of(res[0], 0), 0), members = row_i64(row_of(res[0], 0), 1);
    int rows = PQntuples(res[1]), limit = (int)limit_of(req->limit, MEMBERS_USUAL, MEMBERS_MOST);
    rsp->total = type == 2 ? (uint32_t)members : (uint32_t)rows;
    rsp->members = query_alloc(q->arena, (size_t)rows * sizeof *rsp->members);
    for (int i = 0; i < rows && i < limit; i++)
        rsp->members[rsp->n_members++] = member(q, row_of(res[1], i), members <= q->env->receipt_cap);
    if (rows > limit) {
        const Im__Member *last = rsp->members[limit - 1];
        const int64_t role = last->role;
        size_t n = strlen(last->login);
        uint8_t *tail = query_alloc(q->arena, ID_SIZE + n);
        memcpy(tail, last->user.data, ID_SIZE);
        memcpy(tail + ID_SIZE, last->login, n);
        rsp->next = page_key(q->arena, &role, 1, slice_of(tail, ID_SIZE + n));
    }
    *out = &rsp->base;
    return IM__CODE__OK;
}

static Im__Code ask_asks(struct question *q, struct ask *a)
{
    ask_where(q, a);
    ask_stmt(a, &asks_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &q->conv);
    ask_i64(a, limit_of(((const Im__AsksReq *)q->req)->limit, ASKS_USUAL, ASKS_MOST));
    return IM__CODE__OK;
}

static Im__Code take_asks(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    if (PQntuples(res[0]) == 0)
        return IM__CODE__NOT_A_MEMBER;
    if (row_i64(row_of(res[0], 0), 2) < IM__ROLE__ADMIN)
        return IM__CODE__NOT_ALLOWED;
    Im__AsksRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__asks_rsp__init(rsp);
    rsp->asks = query_alloc(q->arena, (size_t)PQntuples(res[1]) * sizeof *rsp->asks);
    size_t used = 0;
    for (int i = 0; i < PQntuples(res[1]); i++) {
        struct row r = row_of(res[1], i);
        Im__Ask *k = query_alloc(q->arena, sizeof *k);
        im__ask__init(k);
        k->user = row_bytes(r, 0);
        k->login = row_text(r, 1);
        k->text = row_text(r, 2);
        k->time_ms = row_i64(r, 3);
        used += im__ask__get_packed_size(k) + 8;
        if (used > ANSWER_BYTES) /* the oldest first: the rest shows once these are answered */
            break;
        rsp->asks[rsp->n_asks++] = k;
    }
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_members = {IM__FRAME_TYPE__MEMBERS_REQ, false, ask_members, take_members};
const struct verb verb_asks = {IM__FRAME_TYPE__ASKS_REQ, false, ask_asks, take_asks};
