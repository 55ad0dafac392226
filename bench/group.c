/* group.c: the phases of `parley-bench group`. */
#include "bench/group.h"
#include "bench/bench.h"
#include "bench/result.h"

#include "common/im/frame.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define TICK_MS     10
#define QUIT_NS     30000000000 /* without progress before the load */
#define BEAT_NS     10000000000
#define PROGRESS_NS 1000000000

void group_fail(struct group *g, const char *fmt, ...)
{
    va_list args;
    if (!g->failure[0]) {
        va_start(args, fmt);
        vsnprintf(g->failure, sizeof g->failure, fmt, args);
        va_end(args);
        fprintf(stderr, "parley-bench: %s\n", g->failure);
    }
    g->phase = G_OVER;
    loop_stop(g->loop, 0);
}

void group_enter(struct group *g, enum group_phase phase)
{
    g->phase = phase;
    g->phase_ns = now_ns();
}

static struct group_mark mark(const struct group *g)
{
    return (struct group_mark){now_ns(), g->delivered, g->done, procs_self_us()};
}

static void progress(struct group *g, int64_t now)
{
    static const char *const names[] = {"log-in", "group", "probe", "warm-up", "measure", "tail", "end"};
    if (!g->o.quiet)
        fprintf(stderr, "%s%-8s %6zu of %zu here  %9.0f deliveries/s%s", isatty(2) ? "\r" : "",
                names[g->phase], g->ready, g->n,
                (double)(g->delivered - g->told) * 1e9 / (double)(now - g->told_ns), isatty(2) ? " " : "\n");
    g->told = g->delivered;
    g->told_ns = now;
}

static void regular_jobs(struct group *g, int64_t now)
{
    if (now - g->acks_ns >= (int64_t)g->o.ack_ms * 1000000) {
        for (size_t i = 0; i < g->n; i++)
            group_confirm(g, &g->m[i]);
        g->acks_ns = now;
    }
    if (!g->o.bare && now - g->beat_ns >= BEAT_NS) {
        for (size_t i = 0; i < g->n; i++)
            if (g->m[i].ready)
                link_frame(&g->m[i].k, IM__FRAME_TYPE__HEARTBEAT, 2, "", 0);
        g->beat_ns = now;
    }
    if (now - g->told_ns >= PROGRESS_NS)
        progress(g, now);
}

static void look_at_tail(struct group *g, int64_t now)
{
    static uint64_t before;
    if (g->delivered + g->sequenced != before)
        g->progress_ns = now;
    before = g->delivered + g->sequenced;
    if (g->done < g->ops - g->first || g->head != g->first_seq + g->ops - g->first) {
        if (now - g->progress_ns > (int64_t)g->o.tail_ms * 1000000)
            group_fail(g, "lost: %llu of %llu messages reached everybody", (unsigned long long)g->done,
                       (unsigned long long)(g->ops - g->first));
        return;
    }
    group_enter(g, G_OVER);
    loop_stop(g->loop, 0);
}

static void on_tick(struct timer *t)
{
    struct group *g = container_of(t, struct group, tick);
    int64_t now = now_ns(), passed = now - g->phase_ns;
    loop_timer_start(g->loop, t, TICK_MS);
    regular_jobs(g, now);
    if (g->phase == G_LOGIN)
        group_open_more(g);
    else if (g->phase == G_PROBE)
        group_probe(g);
    if (g->phase <= G_PROBE && passed > QUIT_NS) {
        group_fail(g, "no progress: %zu of %zu are here, %llu invited", g->ready, g->n,
                   (unsigned long long)g->invited);
    } else if (g->phase == G_WARM && passed >= (int64_t)g->o.warm_ms * 1000000) {
        group_enter(g, G_MEASURE);
        procs_begin(&g->procs);
        g->start = mark(g);
    } else if (g->phase == G_MEASURE && passed >= (int64_t)g->o.measure_ms * 1000000) {
        g->end = mark(g);
        procs_end(&g->procs);
        g->progress_ns = now_ns();
        group_enter(g, G_TAIL);
    } else if (g->phase == G_TAIL) {
        look_at_tail(g, now);
    }
}

static void say_goodbye(struct group *g)
{
    for (size_t i = 0; i < g->n; i++)
        group_confirm(g, &g->m[i]);
    for (int64_t until = now_ns() + 300000000; !g->o.bare && now_ns() < until;)
        if (loop_turn(g->loop, 10) < 0)
            break;
}

static bool prepare(struct group *g)
{
    g->n = g->o.receivers + 1;
    g->m = calloc(g->n, sizeof *g->m);
    g->latency = hist_new();
    g->text = malloc(g->o.size);
    if (!g->m || !g->latency || !g->text)
        return false;
    memset(g->text, 'x', g->o.size);
    g->links = (struct links){
        .loop = g->loop, .edges = g->o.edges, .up = group_up, .frame = group_frame, .over = group_over};
    links_init(&g->links);
    return g->o.bare || !people_read(&g->people, g->o.accounts, g->n);
}

int group_run(struct group *g, const char *what)
{
    int rc = 1;
    if (loop_new(&g->loop) < 0)
        return 1;
    if (prepare(g)) {
        group_enter(g, G_LOGIN);
        g->told_ns = g->acks_ns = g->beat_ns = now_ns();
        timer_init(&g->tick, on_tick);
        loop_timer_start(g->loop, &g->tick, 1);
        loop_run(g->loop);
        loop_timer_stop(g->loop, &g->tick);
        g->phase = G_OVER;
        group_verify(g);
        say_goodbye(g);
        rc = result_print(group_report(g, what), !g->failure[0]);
    }
    for (size_t i = 0; i < g->n && g->m; i++) {
        link_close(&g->m[i].k);
        bytes_release(&g->m[i].k.in);
    }
    loop_unhook(g->loop, &g->links.hook);
    people_release(&g->people);
    hist_free(g->latency);
    free(g->sent);
    free(g->text);
    free(g->m);
    loop_free(g->loop);
    return rc;
}

static const char about[] =
    "parley-bench group: one sends, many receive, in one group; every number of every receiver is "
    "checked.\n\n"
    "Example\n"
    "  parley-bench group --edge 127.0.0.1:7000 --edge 127.0.0.1:7001 --accounts FILE --receivers 1000";

int command_group(int argc, char **argv)
{
    static struct group g = {.o = {.receivers = 1000,
                                   .in_flight = 8,
                                   .size = 100,
                                   .warm_ms = 1000,
                                   .measure_ms = 5000,
                                   .tail_ms = 15000,
                                   .ack_ms = 1000,
                                   .ack_every = 64}};
    struct group_options *o = &g.o;
    o->kafka = getenv("PARLEY_KAFKA");
    const struct arg args[] = {
        {"edge", ARG_LIST, &o->edges, "host:port of an edge; once for each"},
        {"accounts", ARG_TEXT, &o->accounts, "file of accounts (parley-bench accounts)"},
        {"receivers", ARG_NUMBER, &o->receivers, "members beside the one who sends (1000)"},
        {"in-flight", ARG_NUMBER, &o->in_flight, "messages that not everybody has yet (8)"},
        {"size", ARG_NUMBER, &o->size, "bytes of text in a message (100)"},
        {"warm-ms", ARG_NUMBER, &o->warm_ms, "before measuring (1000)"},
        {"measure-ms", ARG_NUMBER, &o->measure_ms, "how long (5000)"},
        {"tail-ms", ARG_NUMBER, &o->tail_ms,
         "without any progress after it: what is missing is lost (15000)"},
        {"postgres", ARG_TEXT, &o->postgres, "conninfo (env: $PARLEY_POSTGRES): check history too"},
        {"kafka", ARG_TEXT, &o->kafka, "host:port of a broker ($PARLEY_KAFKA): count records per message"},
        {"process", ARG_LIST, &o->processes, "name=pid: count its CPU time; once for each"},
        {"ack-ms", ARG_NUMBER, &o->ack_ms, "deliveries are confirmed this often (1000), and"},
        {"ack-every", ARG_NUMBER, &o->ack_every, "whenever so many are not (64)"},
        {"quiet", ARG_FLAG, &o->quiet, "no progress lines"},
    };
    int rc = args_parse(about, args, ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    if (args_edges(&o->edges))
        return 2;
    o->postgres = args_postgres(o->postgres);
    if (!o->edges.n || !o->receivers || o->size > 2000 || procs_init(&g.procs, &o->processes)) {
        fprintf(stderr, "parley-bench: group needs --edge, --receivers, --size up to 2000\n");
        return 2;
    }
    return group_run(&g, "group");
}
