/* load_run.c: log in, warm up, measure, wait for the tail, look into history, tell. */
#include "bench/bench.h"
#include "bench/load.h"
#include "bench/result.h"

#include "common/im/frame.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#define TICK_MS      5
#define AT_ONCE      32 /* log-ins under way */
#define PROGRESS_NS  1000000000
#define HEARTBEAT_NS 10000000000
#define QUIT_NS      60000000000 /* without one more client */

void load_fail(struct load *l, const char *fmt, ...)
{
    va_list args;
    if (!l->failure[0]) {
        va_start(args, fmt);
        vsnprintf(l->failure, sizeof l->failure, fmt, args);
        va_end(args);
        fprintf(stderr, "parley-bench: %s\n", l->failure);
    }
    l->phase = LOAD_OVER;
    loop_stop(l->loop, 0);
}

static struct load_mark mark(const struct load *l)
{
    return (struct load_mark){.at_ns = now_ns(),
                              .history_at_ns = l->history ? history_at_ns(l->history) : 0,
                              .delivered = l->delivered,
                              .acked = l->acked,
                              .persisted = l->history ? history_rows(l->history) : 0,
                              .self_us = (uint64_t)procs_self_us()};
}

static void enter(struct load *l, enum load_phase phase)
{
    l->phase = phase;
    l->phase_ns = now_ns();
}

/* ---- log-in ---- */
static void open_more(struct load *l)
{
    size_t under_way = 0;
    for (size_t i = 0; i < l->n && under_way < AT_ONCE; i++) {
        struct conn *c = &l->conns[i];
        if (c->state == CONN_IDLE && !l->failure[0])
            conn_open(c);
        under_way += c->state != CONN_READY;
        if (c->retry_ms && c->retry_ms <= loop_now_ms(l->loop)) {
            c->retry_ms = 0;
            if (c->state == CONN_REGISTERING)
                conn_register(c);
            else
                conn_login(c);
        }
    }
}

void load_ready(struct load *l, struct conn *c)
{
    (void)c;
    l->phase_ns = now_ns();
    if (++l->n_ready < l->n)
        return;
    enter(l, LOAD_WARM);
    if (pace_start(l) < 0)
        load_fail(l, "timer: %s", strerror(errno));
}

/* ---- phases ---- */
static void confirm_all(struct load *l)
{
    for (size_t i = 0; i < l->n; i++)
        conn_confirm(&l->conns[i]);
}

static void begin_measuring(struct load *l)
{
    enter(l, LOAD_MEASURE);
    procs_begin(&l->procs);
    l->start = mark(l);
}

static void end_measuring(struct load *l)
{
    l->end = mark(l);
    procs_end(&l->procs);
    enter(l, LOAD_TAIL);
    pace_stop(l);
}

static bool all_here(const struct load *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->conns[i].sent != l->conns[i].finished || l->conns[i].due_n)
            return false;
    return l->acked == l->sent && (!l->history || history_rows(l->history) >= l->sent);
}

static void look_at_tail(struct load *l, int64_t now)
{
    struct load_mark m = mark(l);
    if (m.delivered + m.acked + m.persisted != l->over.delivered + l->over.acked + l->over.persisted ||
        !l->over.at_ns)
        l->over = m;
    bool here = all_here(l);
    if (!here && now - l->over.at_ns < (int64_t)l->o.tail_ms * 1000000)
        return;
    enter(l, LOAD_OVER);
    loop_stop(l->loop, 0);
}

/* The rate is only worth something if history keeps up: what it is behind is bounded like what is in flight. */
static void hold_or_not(struct load *l)
{
    if (!l->history || !l->o.max_lag || l->o.rate)
        return;
    uint64_t rows = history_rows(l->history);
    bool hold = l->sent > rows && l->sent - rows > l->o.max_lag;
    if (hold == l->holding)
        return;
    l->holding = hold;
    if (!hold)
        pace_resume(l);
}

static void regular_jobs(struct load *l, int64_t now)
{
    if (now - l->last_ack_ns >= (int64_t)l->o.ack_ms * 1000000) {
        confirm_all(l);
        l->last_ack_ns = now;
    }
    if (now - l->last_beat_ns >= HEARTBEAT_NS) {
        for (size_t i = 0; i < l->n; i++)
            if (l->conns[i].state == CONN_READY)
                conn_frame(&l->conns[i], IM__FRAME_TYPE__HEARTBEAT, 2, "", 0);
        l->last_beat_ns = now;
    }
    if (now - l->told.at_ns >= PROGRESS_NS)
        report_progress(l, now);
}

static void on_tick(struct timer *t)
{
    struct load *l = container_of(t, struct load, tick);
    int64_t now = now_ns(), passed = now - l->phase_ns;
    loop_timer_start(l->loop, t, TICK_MS);
    if (l->phase == LOAD_SETUP) {
        open_more(l);
        if (passed > QUIT_NS)
            load_fail(l, "only %zu of %zu clients could log in", l->n_ready, l->n);
        return;
    }
    hold_or_not(l);
    regular_jobs(l, now);
    if (l->phase == LOAD_WARM && passed >= (int64_t)l->o.warm_ms * 1000000)
        begin_measuring(l);
    else if (l->phase == LOAD_MEASURE && passed >= (int64_t)l->o.measure_ms * 1000000)
        end_measuring(l);
    else if (l->phase == LOAD_TAIL)
        look_at_tail(l, now);
}

static void on_flush(struct loop_hook *h)
{
    load_flush(container_of(h, struct load, flush));
}

static void on_signal(struct loop_signal *s)
{
    (void)s;
    fprintf(stderr, "\nparley-bench: interrupted\n");
    _Exit(130);
}

/* ---- beginning and end ---- */
static int prepare(struct load *l)
{
    if (!l->o.edges.n || l->o.connections < 2 || l->o.connections % 2 || l->o.size > 32768) {
        fprintf(stderr,
                "parley-bench: load needs --edge, an even number of --connections, --size up to 32768\n");
        return -EINVAL;
    }
    l->n = l->o.connections;
    l->conns = calloc(l->n, sizeof *l->conns);
    l->check = check_new(l->n / 2);
    l->ack = hist_new();
    l->deliver = hist_new();
    l->sequenced = hist_new();
    l->recent = hist_new();
    l->text = malloc(l->o.size + 1);
    if (!l->conns || !l->check || !l->ack || !l->deliver || !l->sequenced || !l->recent || !l->text)
        return -ENOMEM;
    l->rng.state = l->o.seed;
    for (uint64_t i = 0; i < l->o.size; i++)
        l->text[i] = (char)('a' + rng_below(&l->rng, 26));
    for (size_t i = 0; i < l->n; i++)
        l->conns[i] = (struct conn){.l = l,
                                    .index = (uint32_t)i,
                                    .conv = (uint32_t)i / 2,
                                    .side = (int)(i & 1),
                                    .peer = &l->conns[i ^ 1],
                                    .fd = -1};
    if (l->o.postgres && !(l->history = history_new(l->loop, l->o.postgres)))
        return -EIO;
    return procs_init(&l->procs, &l->o.processes) || accounts_read(l) ? -EINVAL : 0;
}

static void verify(struct load *l)
{
    bool rows = false;
    size_t n = l->n / 2;
    struct history_conv *v = calloc(n, sizeof *v);
    if (l->history && v && !l->failure[0]) {
        for (size_t i = 0; i < n; i++) {
            struct conn *c = &l->conns[2 * i];
            v[i] =
                (struct history_conv){.from_seq = check_low(l->check, i), .base = {c->base, c->peer->base}};
            memcpy(v[i].conv, c->conv_known ? c->conv_id : c->peer->conv_id, 16);
            memcpy(v[i].first_sender, c->user, 16);
        }
        rows = history_verify(l->history, v, n, l->check) == 0;
        if (!rows)
            load_fail(l, "history could not be read");
    }
    free(v);
    if (!l->failure[0])
        check_end(l->check, rows);
}

static void say_goodbye(struct load *l)
{
    confirm_all(l);
    for (size_t i = 0; i < l->n; i++)
        if (l->conns[i].state == CONN_READY)
            conn_frame(&l->conns[i], IM__FRAME_TYPE__LOGOUT_REQ, 3, "", 0);
    for (int64_t until = now_ns() + 3000000000; l->n_ready && now_ns() < until;)
        if (loop_turn(l->loop, 50) < 0)
            break;
}

static void release(struct load *l)
{
    pace_stop(l);
    for (size_t i = 0; i < l->n && l->conns; i++) {
        conn_close(&l->conns[i]);
        bytes_release(&l->conns[i].in);
        bytes_release(&l->conns[i].out);
        free(l->conns[i].token);
        free(l->conns[i].due);
    }
    history_free(l->history);
    check_free(l->check);
    hist_free(l->ack);
    hist_free(l->deliver);
    hist_free(l->sequenced);
    hist_free(l->recent);
    json_decref(l->accounts);
    free(l->conns);
    free(l->text);
}

static int run(struct load *l)
{
    struct loop_signal term = {0}, interrupt = {0};
    if (loop_signal_add(l->loop, &term, SIGTERM, on_signal) < 0 ||
        loop_signal_add(l->loop, &interrupt, SIGINT, on_signal) < 0)
        return 1;
    loop_hook(l->loop, &l->flush, on_flush);
    timer_init(&l->tick, on_tick);
    loop_timer_start(l->loop, &l->tick, 1);
    enter(l, LOAD_SETUP);
    l->told.at_ns = l->last_beat_ns = now_ns();
    loop_run(l->loop);
    loop_timer_stop(l->loop, &l->tick);
    if (!l->failure[0])
        accounts_write(l);
    verify(l);
    say_goodbye(l);
    json_t *result = report_result(l);
    bool good = !l->failure[0] && check_good(l->check);
    if (!good) {
        fprintf(stderr, "FAILED: this run lost, repeated or reordered messages, or did not end\n");
        check_print(l->check, stderr);
    }
    return result_print(result, good);
}

static const char about[] =
    "parley-bench load: clients that log in, send to each other, and check every message.\n"
    "A run in which one is lost, repeated, out of order, or not in history is FAILED (exit status 1).\n\n"
    "Examples\n"
    "  parley-bench load --edge 127.0.0.1:7000 --edge 127.0.0.1:7001 --in-flight 1\n"
    "  parley-bench load --edge … --connections 200 --window 32 --postgres env\n"
    "  parley-bench load --edge … --connections 200 --rate 5000    open loop, no coordinated omission";

int command_load(int argc, char **argv)
{
    struct load l = {.o = {.connections = 2,
                           .window = 64,
                           .size = 100,
                           .warm_ms = 2000,
                           .measure_ms = 10000,
                           .seed = 1,
                           .max_lag = 20000,
                           .tail_ms = 15000,
                           .ack_ms = 20,
                           .ack_every = 64}};
    struct load_options *o = &l.o;
    const struct arg args[] = {
        {"edge", ARG_LIST, &o->edges, "host:port of an edge; once for each"},
        {"connections", ARG_NUMBER, &o->connections, "clients, in pairs (2)"},
        {"in-flight", ARG_NUMBER, &o->in_flight, "closed loop: messages in flight over all clients"},
        {"window", ARG_NUMBER, &o->window,
         "closed loop: messages in flight per client (64, the protocol's limit)"},
        {"rate", ARG_NUMBER, &o->rate, "open loop: messages a second over all clients"},
        {"poisson", ARG_NUMBER, &o->poisson, "1: gaps of the open loop as of independent senders (0: equal)"},
        {"size", ARG_NUMBER, &o->size, "bytes of text in a message (100)"},
        {"warm-ms", ARG_NUMBER, &o->warm_ms, "before measuring (2000)"},
        {"measure-ms", ARG_NUMBER, &o->measure_ms, "how long (10000)"},
        {"tail-ms", ARG_NUMBER, &o->tail_ms,
         "without any progress after it: what is missing is lost (15000)"},
        {"postgres", ARG_TEXT, &o->postgres, "conninfo (env: $PARLEY_POSTGRES): check history too"},
        {"max-lag", ARG_NUMBER, &o->max_lag, "closed loops wait while history is behind by more (20000)"},
        {"accounts", ARG_TEXT, &o->accounts, "file that keeps names and tokens between runs"},
        {"process", ARG_LIST, &o->processes,
         "name=pid: count its CPU time, with its children; once for each"},
        {"ack-ms", ARG_NUMBER, &o->ack_ms, "deliveries are confirmed this often (20), and"},
        {"ack-every", ARG_NUMBER, &o->ack_every, "whenever so many are not (64)"},
        {"seed", ARG_NUMBER, &o->seed, "of texts and gaps (1)"},
        {"quiet", ARG_FLAG, &o->quiet, "no progress lines"},
    };
    int rc = args_parse(about, args, ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    if (args_edges(&o->edges))
        return 2;
    o->postgres = args_postgres(o->postgres);
    if (loop_new(&l.loop) < 0)
        return 1;
    rc = prepare(&l);
    rc = rc ? (rc == -EINVAL ? 2 : 1) : run(&l);
    release(&l);
    loop_free(l.loop);
    return rc;
}
