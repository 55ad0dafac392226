/* logins.c: logins a second by token, each on a connection of its own: connect, LOGIN_REQ, LOGIN_RSP, close. And its floor:
 * the same client with a bare echo server: connect, a frame there, the same frame back, close. */
#include "bench/bench.h"
#include "bench/echo.h"
#include "bench/hist.h"
#include "bench/link.h"
#include "bench/people.h"
#include "bench/procs.h"
#include "bench/result.h"

#include "common/im/frame.h"
#include "common/im/wire.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define TICK_MS  10
#define QUIT_NS  15000000000
#define SOURCES  4000 /* link.h: so many links have one source address */
#define N_SOURCE 8

enum { WARM, MEASURE, TAIL, OVER };

struct visit { /* one connection after the other */
    struct link k;
    struct logins *l;
    uint32_t person;
    int64_t since_ns;
    bool asked;
};

struct logins {
    struct arg_list processes;
    const char *accounts;
    uint64_t in_flight, n_people, warm_ms, measure_ms, echo;
    struct loop *loop;
    struct links links;
    struct people people;
    struct visit *v;
    bool *busy; /* by person: one login at a time */
    uint64_t next, opened, done, answered_late, refused;
    uint64_t at_start, at_end;
    int phase;
    int64_t phase_ns, begin_ns, end_ns, last_ns, self_us;
    struct hist *h;
    struct procs procs;
    struct timer tick;
    char failure[160];
};

static void fail(struct logins *l, const char *what, uint64_t n)
{
    if (!l->failure[0])
        snprintf(l->failure, sizeof l->failure, "%s (%llu)", what, (unsigned long long)n);
    fprintf(stderr, "parley-bench: %s\n", l->failure);
    l->phase = OVER;
    loop_stop(l->loop, 0);
}

static void begin(struct visit *v)
{
    struct logins *l = v->l;
    if (l->phase >= TAIL)
        return;
    do
        v->person = (uint32_t)(l->next++ % l->people.n);
    while (l->busy[v->person]);
    l->busy[v->person] = true;
    v->since_ns = now_ns();
    v->asked = false;
    l->opened++;
    /* Edges in turn, and source addresses in turn: closed connections keep their ports for a while. */
    uint32_t index = (uint32_t)(l->opened % N_SOURCE * SOURCES + l->opened % 2);
    if (link_open(&v->k, &l->links, index))
        fail(l, "could not connect", l->opened);
}

static void on_up(struct link *k)
{
    struct visit *v = container_of(k, struct visit, k);
    v->asked = true;
    link_login(k, 1, v->l->people.v[v->person].token);
}

static void on_over(struct link *k, const char *why)
{
    struct visit *v = container_of(k, struct visit, k);
    if (v->l->phase != OVER)
        fail(v->l, why, v->l->done);
}

static bool right(const struct logins *l, const struct visit *v, uint16_t type, struct slice payload,
                  uint64_t *code)
{
    struct wire w = wire_of(payload);
    struct wire_field f;
    struct slice user = {0};
    *code = 0;
    if (l->echo)
        return type == IM__FRAME_TYPE__LOGIN_REQ;
    while (wire_next(&w, &f)) {
        if (f.id == 1)
            *code = f.number;
        else if (f.id == 2)
            user = f.bytes;
    }
    return type == IM__FRAME_TYPE__LOGIN_RSP && !*code && user.n == 16 &&
           !memcmp(user.p, l->people.v[v->person].id.b, 16);
}

static void on_frame(struct link *k, uint16_t type, uint32_t seq_id, struct slice payload)
{
    struct visit *v = container_of(k, struct visit, k);
    struct logins *l = v->l;
    uint64_t code;
    int64_t now = now_ns();
    if (!v->asked || seq_id != 1)
        return; /* the page that follows a login by itself, when it was quick */
    if (!right(l, v, type, payload, &code)) {
        if (code == IM__CODE__BUSY || code == IM__CODE__TOO_MANY_REQUESTS)
            l->refused++;
        fail(l, "a login was not answered as it should be", code);
        return;
    }
    l->done++;
    l->last_ns = now;
    if (l->phase == MEASURE)
        hist_add(l->h, now - v->since_ns);
    l->busy[v->person] = false;
    link_close(k);
    begin(v);
}

static void on_tick(struct timer *t)
{
    struct logins *l = container_of(t, struct logins, tick);
    int64_t now = now_ns(), passed = now - l->phase_ns;
    loop_timer_start(l->loop, t, TICK_MS);
    if (l->phase == WARM && passed >= (int64_t)l->warm_ms * 1000000) {
        l->phase = MEASURE;
        l->phase_ns = l->begin_ns = now;
        l->at_start = l->done;
        l->self_us = procs_self_us();
        procs_begin(&l->procs);
    } else if (l->phase == MEASURE && passed >= (int64_t)l->measure_ms * 1000000) {
        l->phase = TAIL;
        l->end_ns = now;
        l->at_end = l->done;
        l->self_us = procs_self_us() - l->self_us;
        procs_end(&l->procs);
    } else if (l->phase == TAIL && l->done == l->opened) {
        l->phase = OVER;
        loop_stop(l->loop, 0);
    } else if (l->phase < OVER && now - l->last_ns > QUIT_NS) {
        fail(l, "logins without an answer", l->opened - l->done);
    }
}

static int report(struct logins *l)
{
    uint64_t n = l->at_end - l->at_start;
    double s = (double)(l->end_ns - l->begin_ns) / 1e9;
    json_t *o = result_new(l->echo ? "floor-logins" : "logins", 0);
    if (l->failure[0])
        json_object_set_new(o, "failure", json_string(l->failure));
    json_object_set_new(o, "in_flight", json_integer((json_int_t)l->in_flight));
    json_object_set_new(o, "accounts", json_integer((json_int_t)l->people.n));
    json_object_set_new(o, "measured", json_integer((json_int_t)n));
    json_object_set_new(o, "logins_per_s", json_real(s > 0 ? (double)n / s : 0));
    json_object_set_new(o, "login_us", result_latency(l->h));
    json_object_set_new(o, "cpu_us_per_login", procs_json(&l->procs, n));
    json_object_set_new(o, "client_cpu_us_per_login", json_real(n ? (double)l->self_us / (double)n : 0));
    return result_print(o, !l->failure[0]);
}

static int run(struct logins *l)
{
    if (loop_new(&l->loop) < 0 || people_read(&l->people, l->accounts, l->n_people))
        return 1;
    l->v = calloc(l->in_flight, sizeof *l->v);
    l->busy = calloc(l->people.n, sizeof *l->busy);
    l->h = hist_new();
    if (!l->v || !l->busy || !l->h)
        return 1;
    l->links.loop = l->loop;
    l->links.up = on_up;
    l->links.frame = on_frame;
    l->links.over = on_over;
    links_init(&l->links);
    l->phase_ns = l->last_ns = now_ns();
    timer_init(&l->tick, on_tick);
    loop_timer_start(l->loop, &l->tick, 1);
    for (uint64_t i = 0; i < l->in_flight; i++) {
        l->v[i].l = l;
        begin(&l->v[i]);
    }
    loop_run(l->loop);
    loop_timer_stop(l->loop, &l->tick);
    l->phase = OVER;
    int rc = report(l);
    for (uint64_t i = 0; i < l->in_flight; i++) {
        link_close(&l->v[i].k);
        bytes_release(&l->v[i].k.in);
    }
    loop_unhook(l->loop, &l->links.hook);
    loop_free(l->loop);
    people_release(&l->people);
    hist_free(l->h);
    free(l->busy);
    free(l->v);
    return rc;
}

static int parse_and_run(struct logins *l, const char *about, int argc, char **argv)
{
    const struct arg args[] = {
        {"edge", ARG_LIST, &l->links.edges,
         "host:port of an edge, once for each; of the echo server for the floor"},
        {"accounts", ARG_TEXT, &l->accounts, "file of accounts (parley-bench accounts)"},
        {"people", ARG_NUMBER, &l->n_people, "so many of them in turn (1000)"},
        {"in-flight", ARG_NUMBER, &l->in_flight, "logins under way (64)"},
        {"warm-ms", ARG_NUMBER, &l->warm_ms, "before measuring (1000)"},
        {"measure-ms", ARG_NUMBER, &l->measure_ms, "how long (5000)"},
        {"process", ARG_LIST, &l->processes, "name=pid: count its CPU time; once for each"},
    };
    int rc = args_parse(about, args, ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    if (args_edges(&l->links.edges))
        return 2;
    if ((!l->echo && !l->links.edges.n) || !l->in_flight || l->n_people < 2 * l->in_flight ||
        procs_init(&l->procs, &l->processes)) {
        fprintf(stderr, "parley-bench: logins needs --edge, and twice as many --people as --in-flight\n");
        return 2;
    }
    return -1;
}

int command_logins(int argc, char **argv)
{
    static struct logins l = {.in_flight = 64, .n_people = 1000, .warm_ms = 1000, .measure_ms = 5000};
    int rc = parse_and_run(&l, "parley-bench logins: logins a second by token, each on a new connection.",
                           argc, argv);
    return rc < 0 ? run(&l) : rc;
}

int command_floor_logins(int argc, char **argv)
{
    static struct logins l = {
        .in_flight = 64, .n_people = 1000, .warm_ms = 1000, .measure_ms = 5000, .echo = 1};
    char at[32];
    int rc = parse_and_run(&l, "parley-bench floor logins: connect, accept, echo, close.", argc, argv);
    if (rc >= 0)
        return rc;
    pid_t child = echo_start(at);
    if (child < 0)
        return 1;
    l.links.edges = (struct arg_list){{at}, 1};
    struct procs_one *o = &l.procs.v[l.procs.n++];
    snprintf(o->name, sizeof o->name, "echo");
    o->pid = child;
    rc = run(&l);
    echo_stop(child);
    return rc;
}
