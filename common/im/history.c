#include "common/im/history.h"

#include <errno.h>
#include <libpq-fe.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* `part` is left out where it is: a row says what happened, not which worker wrote it; messages have their place. */
static const struct table {
    const char *name, *sql;
} tables[HISTORY_TABLES] = {
    [HISTORY_MESSAGES] =
        {"messages",
         "SELECT conv, seq, sender, device, client_seq, msg_id, kind, text, content_type, data, key_id, "
         "time_ms, trace, source_part, source_offset, conv_part, conv_offset, target, reply_to, users, "
         "logins, "
         "role, flags, until_ms FROM messages "
         "ORDER BY conv, seq"},
    [HISTORY_CELLS] = {"cells", "SELECT part, key, row FROM cells ORDER BY part, key"},
    [HISTORY_ACCOUNTS] =
        {"accounts", "SELECT user_id, login, display_name, token_generation, source_part, source_offset, "
                     "registered_ms, presence, admin, seen_ms, profile_offset, admin_offset FROM accounts "
                     "ORDER BY user_id"},
    [HISTORY_DEVICES] = {"devices",
                         "SELECT user_id, device, device_id, device_class, added_ms, dropped_ms FROM devices "
                         "ORDER BY user_id, device"},
    [HISTORY_VERIFIERS] = {"verifiers",
                           "SELECT user_id, master_key, verifier FROM verifiers ORDER BY user_id"},
    [HISTORY_CONVERSATIONS] = {"conversations",
                               "SELECT conv, part, type, name, notice, flags, owner, members, created_ms, "
                               "dissolved_ms FROM conversations ORDER BY conv"},
    [HISTORY_MEMBERSHIPS] = {"memberships",
                             "SELECT user_id, conv, part, peer, peer_login, login, role, visible, joined, "
                             "muted_until_ms, read, delivered, friend, friend_text, friend_ms, blocked FROM "
                             "memberships ORDER BY user_id, conv"},
    [HISTORY_ASKS] = {"asks", "SELECT conv, user_id, login, text, time_ms FROM asks ORDER BY conv, user_id"},
    [HISTORY_PREFS] = {"prefs", "SELECT user_id, conv, pinned, muted, remark, source_offset FROM prefs "
                                "ORDER BY user_id, conv"},
    [HISTORY_SEARCH_BLOCKS] = {"search_blocks", "SELECT conv, block FROM search_blocks ORDER BY conv, block"},
};

struct reader {
    struct history *out;
    crypto_generichash_state all, one; /* of the table, of the conversation */
    struct id16 conv;
    uint64_t messages;
    history_conv_fn *each;
    void *ctx;
};

const char *history_table_name(enum history_table t)
{
    return t < HISTORY_TABLES ? tables[t].name : "none";
}

enum history_table history_compare(const struct history *a, const struct history *b)
{
    for (int t = 0; t < HISTORY_TABLES; t++) {
        if (a->rows[t] != b->rows[t] || memcmp(a->digest[t], b->digest[t], HISTORY_DIGEST) != 0)
            return (enum history_table)t;
    }
    return HISTORY_TABLES;
}

static void start(crypto_generichash_state *h)
{
    crypto_generichash_init(h, NULL, 0, HISTORY_DIGEST);
}

static void add_row(crypto_generichash_state *h, const PGresult *res)
{
    for (int col = 0; col < PQnfields(res); col++) {
        int n = PQgetisnull(res, 0, col) ? -1 : PQgetlength(res, 0, col);
        uint8_t head[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
        crypto_generichash_update(h, head, sizeof head);
        if (n > 0)
            crypto_generichash_update(h, (const uint8_t *)PQgetvalue(res, 0, col), (size_t)n);
    }
}

static void conversation_over(struct reader *r)
{
    uint8_t digest[HISTORY_DIGEST];
    if (r->messages == 0)
        return;
    crypto_generichash_final(&r->one, digest, sizeof digest);
    if (r->each)
        r->each(r->ctx, r->conv, r->messages, digest);
    r->messages = 0;
}

static void message(struct reader *r, const PGresult *res)
{
    struct id16 conv = {{0}};
    uint64_t seq = 0;
    if (PQgetlength(res, 0, 0) == ID_SIZE)
        memcpy(conv.b, PQgetvalue(res, 0, 0), ID_SIZE);
    for (int i = 0; i < PQgetlength(res, 0, 1); i++)
        seq = seq << 8 | (uint8_t)PQgetvalue(res, 0, 1)[i];
    if (r->messages == 0 || !id_eq(conv, r->conv)) {
        conversation_over(r);
        r->conv = conv;
        start(&r->one);
    }
    add_row(&r->one, res);
    r->messages++;
    r->out->gaps += seq != r->messages;
}

static int fail(PGconn *c, const char *what, char *err, size_t err_n)
{
    const char *why = PQerrorMessage(c);
    snprintf(err, err_n, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
    return -EIO;
}

static int read_table(PGconn *c, enum history_table t, struct reader *r, char *err, size_t err_n)
{
    int rc = 0;
    start(&r->all);
    if (!PQsendQueryParams(c, tables[t].sql, 0, NULL, NULL, NULL, NULL, 1) || !PQsetSingleRowMode(c))
        return fail(c, tables[t].name, err, err_n);
    for (PGresult *res; (res = PQgetResult(c));) {
        if (PQresultStatus(res) == PGRES_SINGLE_TUPLE) {
            add_row(&r->all, res);
            r->out->rows[t]++;
            if (t == HISTORY_MESSAGES)
                message(r, res);
        } else if (PQresultStatus(res) != PGRES_TUPLES_OK) {
            rc = fail(c, tables[t].name, err, err_n);
        }
        PQclear(res);
    }
    if (t == HISTORY_MESSAGES)
        conversation_over(r);
    crypto_generichash_final(&r->all, r->out->digest[t], HISTORY_DIGEST);
    return rc;
}

static int read_all(PGconn *c, struct reader *r, char *err, size_t err_n)
{
    PGresult *res = PQexec(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    int rc = PQresultStatus(res) == PGRES_COMMAND_OK ? 0 : fail(c, "BEGIN", err, err_n);
    PQclear(res);
    for (int t = 0; rc == 0 && t < HISTORY_TABLES; t++)
        rc = read_table(c, (enum history_table)t, r, err, err_n);
    return rc;
}

int history_read(const char *conninfo, struct history *out, history_conv_fn *each, void *ctx, char *err,
                 size_t err_n)
{
    /* The hash's state wants more alignment than every stack has. */
    struct reader *r = aligned_alloc(_Alignof(struct reader), sizeof *r);
    if (!r || sodium_init() < 0) {
        free(r);
        return -EIO;
    }
    *r = (struct reader){.out = out, .each = each, .ctx = ctx};
    memset(out, 0, sizeof *out);
    PGconn *c = PQconnectdb(conninfo);
    int rc = PQstatus(c) == CONNECTION_OK ? read_all(c, r, err, err_n) : fail(c, "PostgreSQL", err, err_n);
    PQfinish(c);
    free(r);
    return rc;
}
