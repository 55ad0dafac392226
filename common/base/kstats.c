#include "common/base/kstats.h"

#include "common/base/log.h"
#include "common/base/macros.h"
#include "common/base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

METRIC_GAUGE(info, "parley_kafka_client_info", "The Kafka client library; always 1.", "librdkafka");
METRIC_GAUGE(queue_messages, "parley_kafka_queue_messages", "Records a producer holds, sent or not.",
             "client");
METRIC_GAUGE(queue_bytes, "parley_kafka_queue_bytes", "Memory they take.", "client");
METRIC_GAUGE(events, "parley_kafka_waiting_events", "Reports and the like that the process has not taken.",
             "client");
METRIC_COUNTER(rebalances, "parley_kafka_rebalances_total",
               "Assignments and revocations of the group's member.", "client");
METRIC_GAUGE(member_up, "parley_kafka_group_up", "1: the coordinator of the group is known.", "client");
METRIC_GAUGE(up, "parley_kafka_broker_up", "1: connected.", "client,broker");
METRIC_GAUGE_SECONDS(rtt, "parley_kafka_broker_rtt_seconds",
                     "Request round trip, mean of the last interval. A fetch waits for records in it.",
                     "client,broker");
METRIC_GAUGE_SECONDS(rtt_p99, "parley_kafka_broker_rtt_p99_seconds", "The same, 99th percentile.",
                     "client,broker");
METRIC_GAUGE(outbuf, "parley_kafka_broker_unsent_requests", "Requests that wait to be sent.",
             "client,broker");
METRIC_GAUGE(waitresp, "parley_kafka_broker_open_requests", "Requests sent and not answered.",
             "client,broker");
METRIC_COUNTER(requests, "parley_kafka_broker_requests_total", "Requests sent.", "client,broker");
METRIC_COUNTER(tx_bytes, "parley_kafka_broker_sent_bytes_total", "Bytes sent.", "client,broker");
METRIC_COUNTER(rx_bytes, "parley_kafka_broker_received_bytes_total", "Bytes received.", "client,broker");
METRIC_COUNTER(tx_errors, "parley_kafka_broker_send_errors_total", "Requests that could not be sent.",
               "client,broker");
METRIC_COUNTER(rx_errors, "parley_kafka_broker_receive_errors_total", "Answers that could not be read.",
               "client,broker");
METRIC_COUNTER(retries, "parley_kafka_broker_retries_total", "Requests sent again.", "client,broker");
METRIC_COUNTER(timeouts, "parley_kafka_broker_timeouts_total", "Requests without an answer in time.",
               "client,broker");
METRIC_COUNTER(disconnects, "parley_kafka_broker_disconnects_total", "Connections that ended.",
               "client,broker");
METRIC_GAUGE(lag, "parley_kafka_consumer_lag_records",
             "Records the client has not handed out, all its partitions.", "client,topic");
METRIC_GAUGE(fetched, "parley_kafka_fetched_records", "Records fetched and not handed out yet.",
             "client,topic");

/* ---- clients ---- */

static struct {
    const rd_kafka_t *rk;
    char name[64];
} clients[KSTATS_CLIENTS];

static int find_client(const rd_kafka_t *rk)
{
    for (int i = 0; i < KSTATS_CLIENTS; i++)
        if (clients[i].rk == rk)
            return i;
    return -1;
}

static bool taken(const char *name)
{
    for (int i = 0; i < KSTATS_CLIENTS; i++)
        if (clients[i].rk && !strcmp(clients[i].name, name))
            return true;
    return false;
}

void kstats_follow(const rd_kafka_t *rk, const char *name)
{
    int at = find_client(NULL);
    if (at < 0)
        return;
    metric_set(metric_with(&info, rd_kafka_version_str()), 1);
    char mine[sizeof clients[at].name];
    snprintf(mine, sizeof mine, "%.40s", name);
    for (int i = 2; taken(mine); i++)
        snprintf(mine, sizeof mine, "%.40s-%d", name, i);
    memcpy(clients[at].name, mine, sizeof mine);
    clients[at].rk = rk;
}

void kstats_forget(const rd_kafka_t *rk)
{
    static struct metric *const gauges[] = {
        &queue_messages, &queue_bytes, &events,   &member_up, &up,     &rtt,
        &rtt_p99,        &outbuf,      &waitresp, &lag,       &fetched};
    int at = rk ? find_client(rk) : -1;
    if (at < 0)
        return;
    size_t n = strlen(clients[at].name);
    for (size_t g = 0; g < ARRAY_LEN(gauges); g++)
        for (struct metric *s = atomic_load_explicit(&gauges[g]->series, memory_order_acquire); s;
             s = s->next)
            if (!strncmp(s->value, clients[at].name, n) && (s->value[n] == 0 || s->value[n] == ','))
                metric_set(s, 0);
    clients[at].rk = NULL;
}

static int on_stats(rd_kafka_t *rk, char *json, size_t n, void *opaque)
{
    (void)opaque;
    int at = find_client(rk);
    if (at >= 0 && !kstats_read(clients[at].name, json, n))
        log_debug("kafka statistics cannot be read", log_str("client", clients[at].name));
    return 0; /* librdkafka frees the text */
}

void kstats_ask(rd_kafka_conf_t *conf, const struct kconf *kc)
{
    char ms[16];
    if (!kc->stats_ms)
        return;
    snprintf(ms, sizeof ms, "%u", kc->stats_ms);
    if (rd_kafka_conf_set(conf, "statistics.interval.ms", ms, NULL, 0) == RD_KAFKA_CONF_OK)
        rd_kafka_conf_set_stats_cb(conf, on_stats);
}

/* ---- one text: keys down to where the reader stands, and what was read of the broker or topic it is in ---- */

#define DEPTH 8

struct word {
    const char *p;
    size_t n;
};

static const struct field { /* of a broker */
    const char *name, *inner;
    struct metric *to;
} fields[] = {
    {"outbuf_cnt", NULL, &outbuf},
    {"waitresp_cnt", NULL, &waitresp},
    {"tx", NULL, &requests},
    {"txbytes", NULL, &tx_bytes},
    {"rxbytes", NULL, &rx_bytes},
    {"txerrs", NULL, &tx_errors},
    {"rxerrs", NULL, &rx_errors},
    {"txretries", NULL, &retries},
    {"req_timeouts", NULL, &timeouts},
    {"disconnects", NULL, &disconnects},
    {"rtt", "avg", &rtt},
    {"rtt", "p99", &rtt_p99},
};

struct reader {
    const char *client, *at, *end;
    struct word key[DEPTH];
    int depth;
    int64_t broker[ARRAY_LEN(fields)], nodeid, lag, fetched;
    bool logical, connected;
};

static bool is(struct word w, const char *s)
{
    return w.n == strlen(s) && !memcmp(w.p, s, w.n);
}

static struct metric *series(const struct reader *r, struct metric *family, const char *second, size_t n)
{
    char value[160];
    snprintf(value, sizeof value, n ? "%s,%.*s" : "%s", r->client, (int)n, second);
    return metric_with(family, value);
}

static void set(const struct reader *r, struct metric *family, int64_t v)
{
    metric_set(series(r, family, "", 0), v);
}

static void broker_field(struct reader *r, struct word v, int64_t number)
{
    const struct word *k = r->key;
    if (r->depth == 3 && is(k[2], "source")) {
        r->logical = is(v, "logical");
    } else if (r->depth == 3 && is(k[2], "state")) {
        r->connected = is(v, "UP");
    } else if (r->depth == 3 && is(k[2], "nodeid")) {
        r->nodeid = number;
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (is(k[2], fields[i].name) &&
            (fields[i].inner ? r->depth == 4 && is(k[3], fields[i].inner) : r->depth == 3))
            r->broker[i] = number;
}

static void scalar(struct reader *r, struct word v)
{
    const struct word *k = r->key;
    int64_t number = strtoll(v.p, NULL, 10); /* a text ends with a quote, a number with a comma or bracket */
    if (r->depth == 1 && is(k[0], "msg_cnt"))
        set(r, &queue_messages, number);
    else if (r->depth == 1 && is(k[0], "msg_size"))
        set(r, &queue_bytes, number);
    else if (r->depth == 1 && is(k[0], "replyq"))
        set(r, &events, number);
    else if (r->depth == 2 && is(k[0], "cgrp") && is(k[1], "rebalance_cnt"))
        set(r, &rebalances, number);
    else if (r->depth == 2 && is(k[0], "cgrp") && is(k[1], "state"))
        set(r, &member_up, is(v, "up"));
    else if (r->depth >= 3 && is(k[0], "brokers"))
        broker_field(r, v, number);
    else if (r->depth == 5 && is(k[0], "topics") && is(k[4], "consumer_lag"))
        r->lag += number > 0 ? number : 0;
    else if (r->depth == 5 && is(k[0], "topics") && is(k[4], "fetchq_cnt"))
        r->fetched += number;
}

static void opened(struct reader *r)
{
    if (r->depth != 2)
        return;
    memset(r->broker, 0, sizeof r->broker);
    r->lag = r->fetched = 0;
    r->nodeid = -1;
    r->logical = r->connected = false;
}

/* The broker or topic is complete. A consumer's topics only: a producer has no lag. */
static void closed(struct reader *r)
{
    char name[24] = "coordinator";
    if (r->depth != 2)
        return;
    if (is(r->key[0], "topics") && (r->lag || r->fetched || !strstr(r->client, "producer"))) {
        metric_set(series(r, &lag, r->key[1].p, r->key[1].n), r->lag);
        metric_set(series(r, &fetched, r->key[1].p, r->key[1].n), r->fetched);
    }
    if (!is(r->key[0], "brokers") || (r->nodeid < 0 && !r->logical)) /* only an address to begin with */
        return;
    if (!r->logical)
        snprintf(name, sizeof name, "%lld", (long long)r->nodeid);
    metric_set(series(r, &up, name, strlen(name)), r->connected);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        metric_set(series(r, fields[i].to, name, strlen(name)), r->broker[i]);
}

static void blank(struct reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n,:", *r->at))
        r->at++;
}

static bool text(struct reader *r, struct word *out)
{
    const char *from = ++r->at;
    while (r->at < r->end && *r->at != '"')
        r->at += *r->at == '\\' && r->at + 1 < r->end ? 2 : 1;
    *out = (struct word){from, (size_t)(r->at - from)};
    return r->at++ < r->end;
}

/* A value that is no object; arrays hold nothing of interest. */
static bool value(struct reader *r)
{
    struct word v;
    if (*r->at == '"') {
        if (!text(r, &v))
            return false;
    } else {
        const char *from = r->at;
        int open = 0;
        for (; r->at < r->end && (open || !strchr(",}", *r->at)); r->at++)
            open += (*r->at == '[') - (*r->at == ']');
        v = (struct word){from, (size_t)(r->at - from)};
    }
    scalar(r, v);
    return r->at < r->end;
}

/* Key by key; an object goes one deeper, its end comes back. */
static bool read_all(struct reader *r)
{
    do {
        blank(r);
        if (r->at >= r->end)
            return false;
        if (*r->at == '}') {
            r->at++;
            closed(r);
            r->depth--;
            continue;
        }
        if (*r->at != '"' || r->depth >= DEPTH || !text(r, &r->key[r->depth]))
            return false;
        r->depth++;
        blank(r);
        if (r->at >= r->end)
            return false;
        if (*r->at == '{') {
            r->at++;
            opened(r);
            continue; /* its keys come below this one */
        }
        if (!value(r))
            return false;
        r->depth--;
    } while (r->depth >= 0);
    return true;
}

bool kstats_read(const char *client, const char *json, size_t n)
{
    struct reader r = {.client = client, .at = json, .end = json + n};
    blank(&r);
    if (r.at >= r.end || *r.at++ != '{')
        return false;
    return read_all(&r);
}
