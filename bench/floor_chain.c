/* floor_chain.c: the raw three-hop chain: what Kafka and PostgreSQL allow at best on this machine.
 *
 *     driver → 1 → relay → 2 → relay → 3 → driver          and   2 → reader → PostgreSQL (COPY)
 *
 * Four processes. The driver keeps a window in flight and, like the load client, waits while history is behind. */
#include "bench/floor_chain.h"
#include "bench/args.h"
#include "bench/bench.h"
#include "bench/kfloor.h"
#include "bench/procs.h"
#include "bench/result.h"

#include "common/base/macros.h"
#include "common/base/rand.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAIN_NS 20000000000

static const char *const topics[] = {"parley-bench.1", "parley-bench.2", "parley-bench.3"};

struct chain {
    const char *kafka, *postgres;
    uint64_t size, window, warm_ms, measure_ms, linger_ms, max_lag, convs, seed;
    struct arg_list processes;
    struct chain_shared *shared;
    struct procs procs;
    struct kfloor_client out, in;
    pid_t child[3];
    uint8_t *value;
    struct chain_head *conv;
    uint64_t turn, sent, delivered;
    struct hist *h;
    int64_t begin, end;
    uint64_t at_begin[2], at_end[2]; /* delivered, rows */
    int64_t self_us, really_begin, really_end;
};

static void query(const char *postgres, const char *sql)
{
    PGconn *db = PQconnectdb(postgres);
    PGresult *r = PQexec(db, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    PQclear(r);
    PQfinish(db);
}

static pid_t child(struct chain *c, int which)
{
    pid_t pid = fork();
    if (pid < 0)
        kfloor_die("fork", "failed");
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (which < 2)
        chain_relay(c->shared, c->kafka, topics[which], topics[which + 1], c->linger_ms);
    chain_reader(c->shared, c->kafka, topics[1], c->postgres);
}

/* Before this process has any Kafka client: their threads do not survive a fork. */
static void start_children(struct chain *c)
{
    static const char *const names[] = {"relay-1", "relay-2", "reader"};
    c->shared = mmap(NULL, sizeof *c->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c->shared == MAP_FAILED)
        kfloor_die("mmap", "failed");
    int n = c->postgres ? 3 : 2;
    for (int i = 0; i < n; i++) {
        struct procs_one *o = &c->procs.v[c->procs.n];
        c->child[i] = child(c, i);
        if (c->procs.n < PROCS_MAX) {
            snprintf(o->name, sizeof o->name, "%s", names[i]);
            o->pid = c->child[i];
            c->procs.n++;
        }
    }
    for (int64_t until = now_ns() + 30000000000; c->shared->ready < n; usleep(10000))
        if (now_ns() > until || waitpid(-1, NULL, WNOHANG) > 0)
            kfloor_die("chain", "a relay did not start");
}

static void send_one(struct chain *c, int64_t now)
{
    struct chain_head *h = &c->conv[c->turn++ % c->convs];
    h->sent_ns = now;
    h->seq++;
    memcpy(c->value, h, sizeof *h);
    if (!kfloor_produce(&c->out, h->conv, 16, c->value, c->size))
        kfloor_die("produce", "queue full: a smaller --window");
    c->sent++;
}

static void take_all(struct chain *c)
{
    rd_kafka_message_t *m;
    while ((m = kfloor_next(&c->in))) {
        struct chain_head h;
        int64_t now = now_ns();
        memcpy(&h, m->payload, sizeof h);
        if (h.sent_ns >= c->begin && h.sent_ns < c->end)
            hist_add(c->h, now - h.sent_ns);
        c->delivered++;
        rd_kafka_message_destroy(m);
    }
}

static bool may_send(const struct chain *c)
{
    return c->sent - c->delivered < c->window && (!c->postgres || c->sent - c->shared->rows < c->max_lag);
}

static void note(struct chain *c, uint64_t at[2])
{
    at[0] = c->delivered;
    at[1] = c->shared->rows;
}

static void drive(struct chain *c)
{
    int64_t now = now_ns(), told = now, last = now;
    c->begin = now + (int64_t)c->warm_ms * 1000000;
    c->end = c->begin + (int64_t)c->measure_ms * 1000000;
    while ((now = now_ns()) < c->end) {
        if (!c->really_begin && now >= c->begin) {
            procs_begin(&c->procs);
            c->self_us = procs_self_us();
            c->really_begin = now_ns();
            note(c, c->at_begin);
        }
        while (may_send(c))
            send_one(c, now_ns());
        kfloor_wait(&c->out, &c->in, 1);
        kfloor_reports(&c->out);
        uint64_t before = c->delivered;
        take_all(c);
        if (c->delivered != before)
            last = now;
        if (now - last > 20000000000)
            kfloor_die("chain", "nothing came through for 20 s");
        if (now - told > 1000000000 && isatty(2))
            fprintf(stderr, "\rchain    %8llu through  in flight %6llu ", (unsigned long long)c->delivered,
                    (unsigned long long)(c->sent - c->delivered)),
                told = now;
    }
    c->really_end = now_ns();
    note(c, c->at_end);
    procs_end(&c->procs);
    c->self_us = procs_self_us() - c->self_us;
}

static bool drain(struct chain *c)
{
    uint64_t before = 0, now;
    for (int64_t until = now_ns() + DRAIN_NS; now_ns() < until;) {
        kfloor_wait(&c->out, &c->in, 10);
        kfloor_reports(&c->out);
        take_all(c);
        if (c->delivered == c->sent && (!c->postgres || c->shared->rows == c->sent))
            return true;
        now = c->delivered + (c->postgres ? c->shared->rows : 0);
        if (now != before) /* as long as there is progress */
            until = now_ns() + DRAIN_NS;
        before = now;
    }
    return false;
}

static void prepare(struct chain *c)
{
    c->value = calloc(1, c->size);
    c->conv = calloc(c->convs, sizeof *c->conv);
    c->h = hist_new();
    if (!c->value || !c->conv || !c->h)
        kfloor_die("chain", "no memory");
    memset(c->value, 'x', c->size);
    for (uint64_t i = 0; i < c->convs; i++) {
        rand_bytes(c->conv[i].conv, 16);
        rand_bytes(c->conv[i].sender, 16);
    }
    kfloor_topics(c->kafka, topics, 3);
    if (c->postgres)
        query(c->postgres, "SET client_min_messages = warning; DROP TABLE IF EXISTS " CHAIN_TABLE
                           "; CREATE TABLE " CHAIN_TABLE " (LIKE messages INCLUDING ALL)");
    start_children(c);
    kfloor_producer(&c->out, c->kafka, topics[0], c->linger_ms);
    kfloor_consumer(&c->in, c->kafka, topics[2]);
}

static int finish(struct chain *c)
{
    bool whole = drain(c);
    double s = (double)(c->really_end - c->really_begin) / 1e9;
    uint64_t n = c->at_end[0] - c->at_begin[0];
    json_t *o = result_new("chain", c->seed);
    json_object_set_new(o, "record_bytes", json_integer((json_int_t)c->size));
    json_object_set_new(o, "window", json_integer((json_int_t)c->window));
    json_object_set_new(o, "seconds", json_real(s));
    json_object_set_new(o, "measured", json_integer((json_int_t)n));
    json_object_set_new(o, "delivered_per_s", json_real((double)n / s));
    if (c->postgres)
        json_object_set_new(o, "rows_per_s", json_real((double)(c->at_end[1] - c->at_begin[1]) / s));
    json_object_set_new(o, "deliver_us", result_latency(c->h));
    json_object_set_new(o, "cpu_us_per_message", procs_json(&c->procs, n));
    json_object_set_new(o, "client_cpu_us_per_message", json_real(n ? (double)c->self_us / (double)n : 0));
    if (!whole)
        fprintf(stderr, "FAILED: %llu sent, %llu came through, %llu rows\n", (unsigned long long)c->sent,
                (unsigned long long)c->delivered, (unsigned long long)c->shared->rows);
    c->shared->stop = 1;
    for (int i = 0; i < 3; i++)
        if (c->child[i])
            waitpid(c->child[i], NULL, 0);
    kfloor_release(&c->in);
    kfloor_release(&c->out);
    if (c->postgres)
        query(c->postgres, "DROP TABLE IF EXISTS " CHAIN_TABLE);
    hist_free(c->h);
    free(c->conv);
    free(c->value);
    return result_print(o, whole);
}

int command_floor_chain(int argc, char **argv)
{
    static struct chain c = {.size = 260,
                             .window = 8000,
                             .warm_ms = 2000,
                             .measure_ms = 10000,
                             .max_lag = 20000,
                             .convs = 100,
                             .seed = 1};
    c.kafka = getenv("PARLEY_KAFKA");
    const struct arg args[] = {
        {"kafka", ARG_TEXT, &c.kafka, "host:port of a broker ($PARLEY_KAFKA)"},
        {"postgres", ARG_TEXT, &c.postgres, "conninfo (env: $PARLEY_POSTGRES): with the reader"},
        {"window", ARG_NUMBER, &c.window, "records in flight (8000)"},
        {"max-lag", ARG_NUMBER, &c.max_lag, "wait while so many rows are missing (20000)"},
        {"conversations", ARG_NUMBER, &c.convs, "keys (100)"},
        {"size", ARG_NUMBER, &c.size, "bytes of a record's value (260)"},
        {"linger-ms", ARG_NUMBER, &c.linger_ms, "of all producers (0)"},
        {"warm-ms", ARG_NUMBER, &c.warm_ms, "before measuring (2000)"},
        {"measure-ms", ARG_NUMBER, &c.measure_ms, "how long (10000)"},
        {"process", ARG_LIST, &c.processes, "name=pid: count its CPU time; once for each"},
        {"seed", ARG_NUMBER, &c.seed, "(1)"},
    };
    int rc =
        args_parse("parley-bench floor chain: three bare Kafka hops, and a reader that COPYs to PostgreSQL.",
                   args, ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    c.postgres = args_postgres(c.postgres);
    if (!c.kafka || !c.convs || c.size < sizeof(struct chain_head) + 1 || c.window > 90000) {
        fprintf(
            stderr,
            "parley-bench: chain needs --kafka, --conversations, --size of at least %zu, --window ≤ 90000\n",
            sizeof(struct chain_head) + 1);
        return 2;
    }
    if (procs_init(&c.procs, &c.processes))
        return 2;
    prepare(&c);
    drive(&c);
    return finish(&c);
}
