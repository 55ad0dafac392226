/* parley-auditor: reads all that is written, all the time, and says where a promise was not kept.
 *
 * reads    im.conversation (group parley-auditor); im.deliver.* and im.offline without a group; im.presence, im.lease and
 *          im.vault (views); the groups' positions; rows in PostgreSQL, read-only
 * writes   im.dlq never; nothing at all
 * keeps    the reducer's cells in Redis; takes them from PostgreSQL when they are lost
 * commits  when the cells are in Redis; what was read and not judged yet is not judged after a crash */
#include "auditor/core.h"
#include "auditor/retention.h"
#include "auditor/snapshot.h"
#include "auditor/spans.h"
#include "auditor/watch.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/bodyview.h"
#include "common/im/worker.h"

#include <errno.h>
#include <stdlib.h>

#define TURN_MS         200
#define ROUND_MS        1000
#define OTLP_TIMEOUT_MS 5000

METRIC_GAUGE(entries, "parley_auditor_open_messages", "Messages read of which not all is judged yet.");
METRIC_GAUGE(bytes, "parley_auditor_window_bytes", "Memory they take.");
METRIC_GAUGE(waiting, "parley_auditor_waiting",
             "Recipients seen whose message is not known yet, or asked about.");
METRIC_GAUGE(behind, "parley_auditor_behind", "Records between what was read and what was judged.", "what");

struct settings {
    struct auditor_settings core;
    struct deploy_settings deploy;
    struct bodyview_settings bodies;
    int64_t window, grace_ms, retention_ms;
    const char *otlp;
    int64_t otlp_one_in;
    bool open_bodies;
};

static const struct conf_def core_defs[] = {
    CONF_SIZE("auditor.cache", struct auditor_settings, cache_bytes, "64MiB", 1 << 20, 1LL << 36,
              "Conversations kept in memory, per partition; further ones are read from Redis."),
};
static const struct conf_def auditor_defs[] = {
    CONF_SIZE("auditor.window", struct settings, window, "64MiB", 1 << 20, 1LL << 36,
              "Messages that are not judged yet, per partition; when there are more the oldest are left "
              "unjudged, which "
              "parley_auditor_unjudged_total counts."),
    CONF_MS("auditor.grace", struct settings, grace_ms, "5s", 100, 600000,
            "What PostgreSQL says wrong is looked at again after this time before it is told."),
    CONF_MS("auditor.retention", struct settings, retention_ms, "60s", 1000, 86400000,
            "How often the groups' positions are compared with what the topics still hold."),
    CONF_STR("auditor.otlp", struct settings, otlp, "",
             "Where spans of messages go, by OTLP/HTTP as JSON: http://HOST:4318/v1/traces. Empty: nowhere."),
    CONF_INT("auditor.otlp_one_in", struct settings, otlp_one_in, "1", 1, 1000000,
             "One trace in so many is exported, chosen by its id; 1: all."),
    CONF_BOOL("auditor.open_bodies", struct settings, open_bodies, "true",
              "Open sealed bodies, to compare what was said with what is kept and delivered; needs the "
              "master key."),
};

struct process {
    struct worker worker;
    struct worker_conf conf;
    struct snapshot_conf snapshot;
    struct report *report;
    struct books *books;
    struct auditor_shared shared;
    struct otlp *otlp;
    struct spans spans;
    struct secrets *secrets;
    struct bodyview *bodies;
    struct rows *rows;
    struct watch *watch;
    struct retention *retention;
    struct timer turn, second, minute;
};

static const uint16_t inputs[] = {T_CONVERSATION};

static const struct settings *settings_of(const struct process *p)
{
    return p->worker.run->settings;
}

/* ---- timers ---- */

static void on_turn(struct timer *t)
{
    struct process *p = container_of(t, struct process, turn);
    watch_turn(p->watch);
    rows_turn(p->rows);
    loop_timer_start(p->worker.run->loop, t, TURN_MS);
}

static void on_second(struct timer *t)
{
    struct process *p = container_of(t, struct process, second);
    struct books_stats s;
    watch_second(p->watch);
    books_stats(p->books, &s);
    metric_set(&entries, (int64_t)s.entries);
    metric_set(&bytes, (int64_t)s.bytes);
    metric_set(&waiting, (int64_t)s.waiting);
    metric_set(metric_with(&behind, "delivery"), s.delivery_behind);
    metric_set(metric_with(&behind, "history"), s.history_behind);
    loop_timer_start(p->worker.run->loop, t, ROUND_MS);
}

static void on_minute(struct timer *t)
{
    struct process *p = container_of(t, struct process, minute);
    retention_ask(p->retention);
    loop_timer_start(p->worker.run->loop, t, settings_of(p)->retention_ms);
}

/* ---- partitions ---- */

static void opened(void *ctx, int32_t part)
{
    watch_opened(((struct process *)ctx)->watch, part);
}

static void first(void *ctx, int32_t part, int64_t time_ms)
{
    (void)part;
    watch_first(((struct process *)ctx)->watch, time_ms);
}

static void recover(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    snapshot_begin(&((struct process *)ctx)->snapshot, r, gap);
}

static void recover_room(void *ctx, struct shell_recovery *r)
{
    (void)ctx;
    snapshot_room(r);
}

static void recover_cancel(void *ctx, struct shell_recovery *r)
{
    (void)ctx;
    snapshot_cancel(r);
}

/* ---- start and stop ---- */

static void bodies_ready(void *ctx)
{
    (void)ctx;
}

static bool make(struct process *p)
{
    const struct settings *s = settings_of(p);
    const struct deploy *d = &p->worker.deploy;
    int32_t parts = topics_get(d->topics, T_CONVERSATION)->parts;
    p->secrets = s->open_bodies ? bodyview_secrets(&s->bodies) : NULL;
    p->bodies =
        !s->open_bodies || p->secrets ? bodyview_new(p->worker.run, d, p->secrets, bodies_ready, p) : NULL;
    if (!p->bodies)
        return false;
    const char *topic = topics_name(d->topics, T_CONVERSATION);
    if (s->otlp[0]) {
        p->otlp = otlp_new(&(struct otlp_conf){s->otlp, s->otlp_one_in, OTLP_TIMEOUT_MS});
        if (!p->otlp)
            return false;
        spans_init(&p->spans, p->otlp, topic);
    }
    const struct books_conf books = {.parts = parts,
                                     .topic = topic,
                                     .bytes = (size_t)s->window,
                                     .grace_ms = s->grace_ms,
                                     .report = p->report,
                                     .bodies = bodyview_keys(p->bodies),
                                     .hops = p->otlp ? &p->spans.hops : NULL};
    p->books = books_new(&books);
    p->retention = retention_new(p->worker.run->loop, d, p->report);
    p->rows = p->books ? rows_new(p->worker.run, s->deploy.postgres, p->books, parts) : NULL;
    const struct watch_conf watch = {p->worker.run, d,         p->worker.views.presence,
                                     p->books,      p->report, p->rows};
    p->watch = p->rows ? watch_new(&watch) : NULL;
    return p->retention && p->watch;
}

static void started(void *ctx)
{
    struct process *p = ctx;
    struct loop *loop = p->worker.run->loop;
    if (!make(p)) {
        log_error("cannot start");
        daemon_fail(p->worker.run);
        return;
    }
    p->shared.books = p->books;
    loop_timer_start(loop, &p->turn, TURN_MS);
    loop_timer_start(loop, &p->second, ROUND_MS);
    loop_timer_start(loop, &p->minute, ROUND_MS);
}

static int init(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    struct process *p = run->state = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    timer_init(&p->turn, on_turn);
    timer_init(&p->second, on_second);
    timer_init(&p->minute, on_minute);
    p->report = report_new(NULL, NULL);
    p->snapshot = (struct snapshot_conf){.loop = run->loop, .conninfo = s->deploy.postgres};
    p->shared = (struct auditor_shared){.first = first, .ctx = p};
    p->conf = (struct worker_conf){.name = "auditor",
                                   .group = GROUP_AUDITOR,
                                   .inputs = inputs,
                                   .n_inputs = ARRAY_LEN(inputs),
                                   .ops = &auditor_core,
                                   .shared = &p->shared,
                                   .follow = FOLLOW_PRESENCE | FOLLOW_ENDED,
                                   .recover = recover,
                                   .recover_room = recover_room,
                                   .recover_cancel = recover_cancel,
                                   .started = started,
                                   .opened = opened,
                                   .ctx = p,
                                   .put_ms = 100};
    return p->report ? worker_init(&p->worker, run, &p->conf, &s->deploy, &s->core) : -ENOMEM;
}

static void drain(struct daemon_run *run)
{
    worker_drain(&((struct process *)run->state)->worker);
}

static void fini(struct daemon_run *run)
{
    struct process *p = run->state;
    if (!p)
        return;
    loop_timer_stop(run->loop, &p->turn);
    loop_timer_stop(run->loop, &p->second);
    loop_timer_stop(run->loop, &p->minute);
    retention_free(p->retention);
    watch_free(p->watch);
    rows_free(p->rows);
    bodyview_free(p->bodies);
    worker_release(&p->worker); /* closes what is open, in the books too */
    books_free(p->books);
    otlp_free(p->otlp);
    secrets_free(p->secrets);
    report_free(p->report);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct conf_table tables[] = {CONF_TABLE(core_defs, struct settings, core),
                                               {.defs = auditor_defs, .n = ARRAY_LEN(auditor_defs)},
                                               BODYVIEW_TABLE(struct settings, bodies),
                                               DEPLOY_TABLE(struct settings, deploy)};
    return daemon_main(
        argc, argv,
        &(struct daemon){
            .name = "auditor",
            .summary = "reads everything and says where a promise was not kept",
            .examples = "  parley-auditor --config parley.json      # one is enough; more share the work\n"
                        "  curl -s 127.0.0.1:9107/metrics | grep violations\n",
            .http = "127.0.0.1:9107",
            .tables = tables,
            .n_tables = ARRAY_LEN(tables),
            .settings_size = sizeof(struct settings),
            .sections = deploy_sections,
            .init = init,
            .drain = drain,
            .fini = fini,
        });
}
