#include "bench/group.h"
#include "bench/result.h"

#include "common/base/hex.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <unistd.h>

/* Rows of the messages that count: as many as were sent, dense, in the order of sending. */
static bool rows_there(PGconn *db, const struct group *g, bool *wrong)
{
    char sql[400], hex[33];
    uint64_t sent = g->ops - g->first;
    snprintf(sql, sizeof sql,
             "SELECT count(*), coalesce(max(seq) - min(seq) + 1, 0), "
             "coalesce(max(client_seq - seq) - min(client_seq - seq), 0), "
             "count(*) FILTER (WHERE kind <> 1) FROM messages WHERE conv = '\\x%s' AND seq > %llu",
             hex_encode(hex, g->conv, 16), (unsigned long long)g->first_seq);
    PGresult *r = PQexec(db, sql);
    uint64_t v[4] = {0};
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK;
    for (int i = 0; ok && i < 4; i++)
        v[i] = strtoull(PQgetvalue(r, 0, i), NULL, 10);
    PQclear(r);
    *wrong = !ok || v[0] > sent || v[1] != v[0] || v[2] || v[3];
    return ok && v[0] == sent;
}

static void verify_rows(struct group *g)
{
    PGconn *db = PQconnectdb(g->o.postgres);
    bool wrong = PQstatus(db) != CONNECTION_OK, there = false;
    for (int64_t until = now_ns() + (int64_t)g->o.tail_ms * 1000000; !wrong && !there && now_ns() < until;) {
        there = rows_there(db, g, &wrong);
        if (!there && !wrong)
            usleep(50000);
    }
    PQfinish(db);
    if (wrong || !there)
        group_fail(g, wrong ? "the rows in history are not the messages that were sent"
                            : "rows are missing in history");
}

void group_verify(struct group *g)
{
    uint64_t sent = g->ops - g->first;
    if (g->failure[0])
        return;
    for (size_t i = 1; i < g->n; i++)
        if (g->m[i].upto != g->first_seq + sent) {
            group_fail(g, "member %zu has numbers up to %llu, not %llu", i, (unsigned long long)g->m[i].upto,
                       (unsigned long long)(g->first_seq + sent));
            return;
        }
    if (g->head != g->first_seq + sent)
        group_fail(g, "the sender was told numbers up to %llu", (unsigned long long)g->head);
    else if (g->o.postgres)
        verify_rows(g);
    if (!g->o.bare && g->o.kafka && !g->failure[0] && ends_read(g->o.kafka, &g->after))
        group_fail(g, "Kafka does not answer");
}

static json_t *per(uint64_t a, uint64_t b, uint64_t n)
{
    return json_real(n ? (double)(b - a) / (double)n : 0);
}

json_t *group_report(const struct group *g, const char *what)
{
    json_t *o = result_new(what, 0);
    uint64_t n = g->end.delivered - g->start.delivered, sent = g->ops - g->first;
    double span = (double)(g->end.at_ns - g->start.at_ns) / 1e9;
    if (g->failure[0])
        json_object_set_new(o, "failure", json_string(g->failure));
    json_object_set_new(o, "receivers", json_integer((json_int_t)g->o.receivers));
    json_object_set_new(o, "in_flight", json_integer((json_int_t)g->o.in_flight));
    json_object_set_new(o, "body_bytes", json_integer((json_int_t)g->o.size));
    json_object_set_new(o, "seconds", json_real(span));
    json_object_set_new(o, "messages", json_integer((json_int_t)sent));
    json_object_set_new(o, "measured", json_integer((json_int_t)n));
    json_object_set_new(o, "deliveries_per_s", json_real(span > 0 ? (double)n / span : 0));
    json_object_set_new(o, "deliver_us", result_latency(g->latency));
    json_object_set_new(o, "cpu_us_per_delivery", procs_json(&g->procs, n));
    json_object_set_new(o, "client_cpu_us_per_delivery",
                        json_real(n ? (double)(g->end.self_us - g->start.self_us) / (double)n : 0));
    if (!g->o.bare && g->o.kafka) {
        json_t *r = json_object();
        json_object_set_new(r, "inbound", per(g->before.inbound, g->after.inbound, sent));
        json_object_set_new(r, "conversation", per(g->before.conversation, g->after.conversation, sent));
        json_object_set_new(r, "deliver", per(g->before.deliver, g->after.deliver, sent));
        json_object_set_new(r, "offline", per(g->before.offline, g->after.offline, sent));
        json_object_set_new(o, "records_per_message", r);
    }
    return o;
}
