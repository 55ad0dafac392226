/* people.c: USERS_REQ and CONTACTS_REQ. */
#include "query/people.h"

#include "common/im/validate.h"

#include <stdlib.h>
#include <string.h>

#define USERS_USUAL    20
#define USERS_MOST     50
#define IDS_MOST       100
#define CONTACTS_USUAL 100
#define CONTACTS_MOST  500

int64_t seen_minutes(int64_t ms)
{
    return ms / 60000 * 60000;
}

Im__User *person(struct question *q, struct row r)
{
    Im__User *u = query_alloc(q->arena, sizeof *u);
    im__user__init(u);
    u->user = row_bytes(r, P_USER);
    u->login = row_text(r, P_LOGIN);
    u->name = row_text(r, P_NAME);
    u->friend_ = (Im__FriendState)row_i64(r, P_FRIEND);
    u->blocked = row_bool(r, P_BLOCKED);
    u->remark = row_text(r, P_REMARK);
    if (row_bool(r, P_SHOWN)) {
        u->online = q->env->online(q->env->ctx, row_id(r, P_USER));
        u->last_seen_ms = seen_minutes(row_i64(r, P_SEEN));
    }
    return u;
}

/* ---- users ---- */

/* $1 user, $2 from, $3 below, $4 after, $5 how many */
static const struct db_stmt prefix_stmt = {
    .name = "users_prefix",
    .sql = "SELECT " SQL_PERSON(
        "u.user_id") " FROM (SELECT user_id, login, display_name, presence, seen_ms FROM accounts WHERE "
                     "NOT EXISTS (SELECT 1 FROM erasures e WHERE e.user_id = accounts.user_id) AND "
                     "login >= $2::text COLLATE \"C\" AND "
                     "login < $3::text COLLATE \"C\" AND login > $4::text COLLATE \"C\" ORDER BY login LIMIT "
                     "$5::int8) u " SQL_BETWEEN("u.user_id") "ORDER BY u.login",
    .n_params = 5};
/* $1 user, $2 ids */
static const struct db_stmt ids_stmt = {
    .name = "users_ids",
    .sql = "SELECT " SQL_PERSON("u.user_id") " FROM accounts u " SQL_BETWEEN(
        "u.user_id") "WHERE u.user_id = ANY ($2::bytea[]) ORDER BY u.login",
    .n_params = 2};

static void ask_prefix(struct question *q, struct ask *a, const Im__UsersReq *r)
{
    size_t n = strlen(r->prefix);
    char *from = query_alloc(q->arena, n + 1), *below = query_alloc(q->arena, n + 5);
    char *after = query_alloc(q->arena, r->after.len + 1);
    for (size_t i = 0; i < n; i++) /* as logins are folded */
        from[i] = r->prefix[i] >= 'A' && r->prefix[i] <= 'Z' ? (char)(r->prefix[i] | 0x20) : r->prefix[i];
    memcpy(below, from, n);
    memcpy(below + n, "\xf4\x8f\xbf\xbf", 4); /* after every character */
    if (r->after.len)
        memcpy(after, r->after.data, r->after.len);
    ask_stmt(a, &prefix_stmt);
    ask_id(a, &q->from.user);
    ask_text(a, from);
    ask_text(a, below);
    ask_text(a, after);
    ask_i64(a, limit_of(r->limit, USERS_USUAL, USERS_MOST) + 1);
}

static Im__Code ask_users(struct question *q, struct ask *a)
{
    const Im__UsersReq *r = (const Im__UsersReq *)q->req;
    char login[LOGIN_MAX + 1];
    if (*r->prefix) {
        if (r->after.len && !validate_utf8(r->after.data, r->after.len))
            return IM__CODE__BAD_FIELD;
        ask_prefix(q, a, r);
        return IM__CODE__OK;
    }
    struct id16 *ids = query_alloc(q->arena, (r->n_users + r->n_logins) * sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < r->n_users && n < IDS_MOST; i++)
        n += id_from(r->users[i].data, r->users[i].len, &ids[n]) == 0;
    for (size_t i = 0; i < r->n_logins && n < IDS_MOST; i++)
        if (login_normalise(r->logins[i], strlen(r->logins[i]), login) == 0)
            ids[n++] = id_user(login);
    ask_stmt(a, &ids_stmt);
    ask_id(a, &q->from.user);
    ask_ids(a, ids, n);
    return IM__CODE__OK;
}

static Im__Code take_users(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__UsersReq *req = (const Im__UsersReq *)q->req;
    Im__UsersRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__users_rsp__init(rsp);
    int rows = PQntuples(res[0]);
    int limit = *req->prefix ? (int)limit_of(req->limit, USERS_USUAL, USERS_MOST) : rows;
    rsp->users = query_alloc(q->arena, (size_t)rows * sizeof *rsp->users);
    for (int i = 0; i < rows && i < limit; i++)
        rsp->users[rsp->n_users++] = person(q, row_of(res[0], i));
    if (rows > limit) {
        char *login = rsp->users[limit - 1]->login;
        rsp->next = page_key(q->arena, NULL, 0, slice_of(login, strlen(login)));
    }
    *out = &rsp->base;
    return IM__CODE__OK;
}

/* ---- contacts ---- */

/* $1 user, $2 only this state (0: any), $3 whom one blocked instead, $4 after (login), $5 how many */
static const struct db_stmt contacts_stmt = {
    .name = "contacts",
    .sql = "SELECT c.peer, c.peer_login, u.display_name, c.friend, c.blocked, coalesce(" SQL_SHOWN(
        "c.peer") ", false), u.seen_ms, p.remark, c.conv, c.friend_text, c.friend_ms FROM (SELECT * FROM "
                  "memberships m WHERE "
                  "m.user_id = $1::bytea AND m.peer <> $1::bytea AND CASE WHEN $3::bool THEN m.blocked ELSE "
                  "m.friend > 0 AND "
                  "($2::int4 = 0 OR m.friend = $2::int4) END AND m.peer_login > $4::text COLLATE \"C\" "
                  "ORDER BY m.peer_login LIMIT $5::int8) c LEFT JOIN accounts u ON u.user_id = c.peer "
                  "LEFT JOIN memberships d ON d.user_id = $1::bytea AND d.conv = c.conv "
                  "LEFT JOIN memberships o ON o.user_id = c.peer AND o.conv = c.conv "
                  "LEFT JOIN prefs p ON p.user_id = $1::bytea AND p.conv = c.conv ORDER BY c.peer_login",
    .n_params = 5};

static Im__Code ask_contacts(struct question *q, struct ask *a)
{
    const Im__ContactsReq *r = (const Im__ContactsReq *)q->req;
    char *after = query_alloc(q->arena, r->after.len + 1);
    if (r->after.len && !validate_utf8(r->after.data, r->after.len))
        return IM__CODE__BAD_FIELD;
    if (r->after.len)
        memcpy(after, r->after.data, r->after.len);
    ask_stmt(a, &contacts_stmt);
    ask_id(a, &q->from.user);
    ask_i32(a, (int32_t)r->state);
    ask_bool(a, r->blocked);
    ask_text(a, after);
    ask_i64(a, limit_of(r->limit, CONTACTS_USUAL, CONTACTS_MOST) + 1);
    return IM__CODE__OK;
}

static Im__Code take_contacts(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__ContactsReq *req = (const Im__ContactsReq *)q->req;
    Im__ContactsRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__contacts_rsp__init(rsp);
    int rows = PQntuples(res[0]), limit = (int)limit_of(req->limit, CONTACTS_USUAL, CONTACTS_MOST);
    rsp->contacts = query_alloc(q->arena, (size_t)rows * sizeof *rsp->contacts);
    size_t used = 0;
    for (int i = 0; i < rows && i < limit; i++) {
        struct row r = row_of(res[0], i);
        Im__Contact *c = query_alloc(q->arena, sizeof *c);
        im__contact__init(c);
        c->user = person(q, r);
        c->conversation = row_bytes(r, P_COLUMNS);
        c->text = row_text(r, P_COLUMNS + 1);
        c->since_ms = row_i64(r, P_COLUMNS + 2);
        used += im__contact__get_packed_size(c) + 8;
        if (i && used > ANSWER_BYTES)
            break;
        rsp->contacts[rsp->n_contacts++] = c;
    }
    if ((int)rsp->n_contacts < rows) {
        char *login = rsp->contacts[rsp->n_contacts - 1]->user->login;
        rsp->next = page_key(q->arena, NULL, 0, slice_of(login, strlen(login)));
    }
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_users = {IM__FRAME_TYPE__USERS_REQ, false, ask_users, take_users};
const struct verb verb_contacts = {IM__FRAME_TYPE__CONTACTS_REQ, false, ask_contacts, take_contacts};
