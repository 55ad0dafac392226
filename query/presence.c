/* presence.c: PRESENCE_REQ: who is online now, and subscribing to it. */
#include "query/people.h"

#include <errno.h>
#include <string.h>

#define MOST 500

/* $1 user, $2 group: members, role of the one who asks; nothing when not a member. */
static const struct db_stmt group_stmt = {.name = "presence_group",
                                          .sql = "SELECT c.members FROM memberships m JOIN conversations c "
                                                 "ON c.conv = m.conv WHERE m.user_id = $1::bytea AND "
                                                 "m.conv = $2::bytea AND m.role > 0 AND c.type = 2",
                                          .n_params = 2};
#define WHO "SELECT u.user_id, " SQL_SHOWN("u.user_id") ", u.seen_ms FROM "
static const struct db_stmt members_stmt = {
    .name = "presence_members",
    .sql = WHO
    "(SELECT x.user_id FROM memberships x WHERE x.conv = $2::bytea AND x.role > 0 AND EXISTS (SELECT 1 FROM "
    "memberships me WHERE me.user_id = $1::bytea AND me.conv = $2::bytea AND me.role > 0) "
    "ORDER BY x.role DESC, x.login LIMIT 501) m JOIN accounts u ON u.user_id = m.user_id " SQL_BETWEEN(
        "u.user_id"),
    .n_params = 2};
/* $1 user, $2 ids */
static const struct db_stmt users_stmt = {
    .name = "presence_users",
    .sql = WHO "accounts u " SQL_BETWEEN("u.user_id") "WHERE u.user_id = ANY ($2::bytea[])",
    .n_params = 2};

static Im__Code ask_presence(struct question *q, struct ask *a)
{
    const Im__PresenceReq *r = (const Im__PresenceReq *)q->req;
    struct id16 group;
    if (r->group.len) {
        if (id_from(r->group.data, r->group.len, &group))
            return IM__CODE__BAD_FIELD;
        ask_stmt(a, &group_stmt);
        ask_id(a, &q->from.user);
        ask_id(a, &group);
        ask_stmt(a, &members_stmt);
        ask_id(a, &q->from.user);
        ask_id(a, &group);
        return IM__CODE__OK;
    }
    struct id16 *ids = query_alloc(q->arena, r->n_users * sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < r->n_users && n < MOST; i++)
        n += id_from(r->users[i].data, r->users[i].len, &ids[n]) == 0;
    ask_stmt(a, &users_stmt);
    ask_id(a, &q->from.user);
    ask_ids(a, ids, n);
    return IM__CODE__OK;
}

static Im__Presence *one(struct question *q, ProtobufCBinaryData user)
{
    Im__Presence *p = query_alloc(q->arena, sizeof *p);
    im__presence__init(p);
    p->user = user;
    return p;
}

/* Who was asked for and has no account is offline like everybody who may not be seen. */
static void add_unknown(struct question *q, const Im__PresenceReq *req, Im__PresenceRsp *rsp)
{
    for (size_t i = 0; i < req->n_users && rsp->n_users < MOST; i++) {
        bool there = false;
        for (size_t k = 0; k < rsp->n_users && !there; k++)
            there = rsp->users[k]->user.len == req->users[i].len &&
                    memcmp(rsp->users[k]->user.data, req->users[i].data, req->users[i].len) == 0;
        if (!there)
            rsp->users[rsp->n_users++] = one(q, req->users[i]);
    }
}

static Im__Code take_presence(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    const Im__PresenceReq *req = (const Im__PresenceReq *)q->req;
    const PGresult *who = req->group.len ? res[1] : res[0];
    if (req->group.len && PQntuples(res[0]) == 0)
        return IM__CODE__NOT_A_MEMBER;
    if (req->group.len && row_i64(row_of(res[0], 0), 0) > MOST)
        return IM__CODE__REFUSED;
    Im__PresenceRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__presence_rsp__init(rsp);
    struct id16 *ids = query_alloc(q->arena, MOST * sizeof *ids);
    bool *online = query_alloc(q->arena, MOST * sizeof *online);
    size_t n = 0;
    rsp->users = query_alloc(q->arena, MOST * sizeof *rsp->users);
    for (int i = 0; i < PQntuples(who) && i < MOST; i++) {
        struct row r = row_of(who, i);
        Im__Presence *p = rsp->users[rsp->n_users++] = one(q, row_bytes(r, 0));
        if (!row_bool(r, 1))
            continue;
        ids[n] = row_id(r, 0);
        p->online = online[n] = q->env->online(q->env->ctx, ids[n]);
        p->last_seen_ms = seen_minutes(row_i64(r, 2));
        n++;
    }
    add_unknown(q, req, rsp);
    int rc = q->env->subscribe(q->env->ctx, &q->from, ids, online, req->subscribe ? n : 0);
    if (rc)
        return rc == -EDQUOT ? IM__CODE__TOO_MANY_REQUESTS : IM__CODE__BUSY;
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_presence = {IM__FRAME_TYPE__PRESENCE_REQ, false, ask_presence, take_presence};
