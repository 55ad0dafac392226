#include "client/parleyctl/trace.h"

#include "client/parleyctl/rstore.h"
#include "offline/core.h"
#include "offline/queue.h"
#include "offline/users.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAMES 4

/* ---- PostgreSQL ---- */

void trace_stores_open(struct trace *t)
{
    const char *const names[] = {"dbname", "connect_timeout", "application_name", "options", NULL};
    const char *const values[] = {t->c->settings.deploy.postgres, "3", "parleyctl", NULL, NULL};
    PGconn *pg = PQconnectdbParams(names, values, 1);
    if (PQstatus(pg) == CONNECTION_OK) {
        PQclear(PQexec(pg, "SET statement_timeout = 10000; SET default_transaction_read_only = on"));
        t->pg = pg;
        return;
    }
    ctl_say(t->c, "PostgreSQL does not answer; going by the log alone");
    PQfinish(pg);
}

void trace_stores_close(struct trace *t)
{
    PQfinish(t->pg);
    t->pg = NULL;
}

static PGresult *ask(struct trace *t, const char *sql, int n, const char *const *values)
{
    if (!t->pg)
        return NULL;
    PGresult *r = PQexecParams(t->pg, sql, n, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0)
        return r;
    PQclear(r);
    return NULL;
}

static int64_t column(const PGresult *r, int col)
{
    return strtoll(PQgetvalue(r, 0, col), NULL, 10);
}

bool trace_row_place(struct trace *t, int64_t *offset)
{
    char conv[ID_HEX], seq[24], user[2 * ID_SIZE + 1];
    struct id16 id;
    id_hex(t->ask.conv, conv);
    snprintf(seq, sizeof seq, "%" PRIu64, t->ask.seq);
    PGresult *r = ask(t,
                      "SELECT conv_offset, encode(sender, 'hex'), device, client_seq FROM messages"
                      " WHERE conv = decode($1, 'hex') AND seq = $2",
                      2, (const char *const[]){conv, seq});
    if (!r)
        return false;
    *offset = column(r, 0);
    snprintf(user, sizeof user, "%s", PQgetvalue(r, 0, 1));
    struct trace_ask sender;
    char text[80];
    snprintf(text, sizeof text, "%s", user);
    bool ok = trace_parse(text, &sender); /* 32 digits */
    id = sender.msg_id;
    t->user = id;
    t->device = (uint32_t)column(r, 2);
    t->client_seq = (uint64_t)column(r, 3);
    t->has_user = ok && t->client_seq > 0;
    PQclear(r);
    return t->has_user;
}

const char *trace_name(struct trace *t, struct id16 user)
{
    static char names[NAMES][LOGIN_MAX + 1];
    static size_t next;
    char hex[ID_HEX], *out = names[next++ % NAMES];
    id_hex(user, hex);
    if (id_eq(user, t->user) && *t->login)
        return t->login;
    if (id_eq(user, t->peer) && *t->peer_login)
        return t->peer_login;
    PGresult *r =
        ask(t, "SELECT login FROM accounts WHERE user_id = decode($1, 'hex')", 1, (const char *const[]){hex});
    snprintf(out, LOGIN_MAX + 1, "%.*s", r ? LOGIN_MAX : 8, r ? PQgetvalue(r, 0, 0) : hex);
    PQclear(r);
    return out;
}

static void row(struct trace *t)
{
    char conv[ID_HEX], offset[24], seq[24], text[200];
    const struct trace_record *rec = &t->records[t->n_records - 1];
    id_hex(t->conv, conv);
    snprintf(offset, sizeof offset, "%" PRId64, t->records[0].offset);
    snprintf(seq, sizeof seq, "%" PRIu64, t->seq);
    if (!t->pg) {
        trace_hop(t, 2, 0, "postgres", json_pack("{sb}", "away", 1), "does not answer");
        return;
    }
    PGresult *mark = ask(t, "SELECT next[1] FROM parley_marks WHERE store = 'conversation' AND part = $1", 1,
                         (const char *const[]){(snprintf(text, sizeof text, "%d", (int)rec->part), text)});
    int64_t next = mark ? column(mark, 0) : -1;
    PQclear(mark);
    PGresult *r = t->seq ? ask(t,
                               "SELECT seq, kind, time_ms, conv_offset, trace IS NOT NULL FROM messages"
                               " WHERE conv = decode($1, 'hex') AND seq = $2",
                               2, (const char *const[]){conv, seq})
                         : ask(t,
                               "SELECT seq, kind, time_ms, conv_offset, trace IS NOT NULL FROM messages"
                               " WHERE conv = decode($1, 'hex') AND conv_offset = $2",
                               2, (const char *const[]){conv, offset});
    if (r)
        trace_hop(t, 2, 0, "postgres",
                  json_pack("{sb sI sI sI}", "row", 1, "seq", (json_int_t)column(r, 0), "offset",
                            (json_int_t)column(r, 3), "mark", (json_int_t)next),
                  "row (%.8s…, %s), from offset %s", conv, PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 3));
    else
        trace_hop(t, 2, 0, "postgres", json_pack("{sb sI}", "row", 0, "mark", (json_int_t)next), "no row; %s",
                  next > t->records[0].offset ? "it is past this offset: there will be none"
                                              : "it is not that far yet");
    PQclear(r);
}

/* The outcome that PostgreSQL knows, so that nothing has to be folded: only of what was accepted. */
static void judged_by_row(struct trace *t)
{
    char conv[ID_HEX], offset[24];
    id_hex(t->conv, conv);
    for (size_t i = 0; i < t->n_records; i++) {
        snprintf(offset, sizeof offset, "%" PRId64, t->records[i].offset);
        PGresult *r =
            ask(t,
                "SELECT seq, time_ms FROM messages WHERE conv = decode($1, 'hex') AND conv_offset = $2"
                " AND conv_part >= 0",
                2, (const char *const[]){conv, offset});
        if (!r)
            continue;
        t->records[i].judged = true;
        t->records[i].outcome = (struct conv_outcome){
            .verdict = CONV_ACCEPTED, .seq = (uint64_t)column(r, 0), .time_ms = column(r, 1)};
        t->seq = t->records[i].outcome.seq;
        for (size_t k = i + 1; k < t->n_records; k++) { /* of an accepted one, later ones are repeats */
            t->records[k].judged = true;
            t->records[k].outcome = (struct conv_outcome){.verdict = CONV_DUPLICATE, .seq = t->seq};
        }
        PQclear(r);
        return;
    }
}

void trace_judge_by_row(struct trace *t)
{
    if (t->pg)
        judged_by_row(t);
}

/* ---- Redis ---- */

static const struct entry *find_in(struct rstore *rs, struct queue *q, const struct trace *t)
{
    uint8_t key[QUEUE_INDEX_KEY];
    size_t n = q->n_segments;
    for (size_t i = 0; i < n; i++) {
        struct slice s = {NULL, 0};
        queue_index_key(q, q->segments[i]->no, key);
        if (rstore_row(rs, RSTORE_LIVE, OFFLINE_INDEX, slice_of(key, sizeof key), &s) || !s.n ||
            queue_unpack_segment(q, q->segments[i]->no, s)) {
            free((void *)(uintptr_t)s.p);
            return NULL;
        }
        free((void *)(uintptr_t)s.p);
    }
    return queue_find(q, t->conv, t->seq);
}

static void device_queue(struct trace *t, struct rstore *rs, struct id16 user, uint32_t device)
{
    uint8_t key[QUEUE_KEY];
    struct slice s = {NULL, 0};
    struct queue *q = queue_new(user, device);
    queue_key(user, device, key);
    bool ok = !rstore_row(rs, RSTORE_LIVE, OFFLINE_QUEUE, slice_of(key, sizeof key), &s) && s.n &&
              !queue_unpack(q, s);
    const struct entry *e = ok ? find_in(rs, q, t) : NULL;
    const char *name = trace_name(t, user);
    if (e)
        trace_hop(t, 2, 0, "redis",
                  json_pack("{ss sI sb sI}", "user", name, "device", (json_int_t)device, "queued", 1,
                            "from_offset", (json_int_t)(e->pos >> 16) - 1),
                  "in the queue of %s/%" PRIu32 " (%" PRIu32 " items)", name, device, q->n);
    else
        trace_hop(t, 2, 0, "redis",
                  json_pack("{ss sI sb sb}", "user", name, "device", (json_int_t)device, "queued", 0,
                            "rest_in_history", ok && q->rest_in_history),
                  "not in the queue of %s/%" PRIu32 "%s", name, device,
                  ok && q->rest_in_history ? "; what went over its cap is only in history" : "");
    free((void *)(uintptr_t)s.p);
    queue_free(q);
}

static void user_queues(struct trace *t, struct rstore *rs, struct id16 id)
{
    struct ctl *c = t->c;
    struct slice s = {NULL, 0};
    struct user *u = user_new(id);
    rstore_choose(rs, topics_group(c->deploy.topics, GROUP_OFFLINE),
                  topics_partition(c->deploy.topics, T_OFFLINE, slice_id(&id)));
    if (rstore_row(rs, RSTORE_LIVE, OFFLINE_USER, slice_id(&id), &s) == 0 && s.n && user_unpack(u, s) == 0)
        for (size_t i = 0; i < u->n_devices; i++)
            device_queue(t, rs, id, u->devices[i].no);
    else
        trace_hop(t, 2, 0, "redis", json_pack("{ss sb}", "user", trace_name(t, id), "known", 0),
                  "no device of %s is known here", trace_name(t, id));
    free((void *)(uintptr_t)s.p);
    user_free(u);
}

static void queues(struct trace *t)
{
    struct rstore rs = {0};
    if (t->group) {
        trace_hop(t, 2, 0, "redis", json_pack("{sb}", "group", 1),
                  "events of groups are not queued; who missed them is marked and asks history");
        return;
    }
    if (rstore_open(t->c, &rs)) {
        trace_hop(t, 2, 0, "redis", json_pack("{sb}", "away", 1), "does not answer");
        return;
    }
    user_queues(t, &rs, t->peer);
    if (!id_eq(t->peer, t->user))
        user_queues(t, &rs, t->user);
    rstore_close(&rs);
}

void trace_stores(struct trace *t)
{
    if (!t->n_records)
        return;
    row(t);
    if (t->seq)
        queues(t);
}
