/* parley-auditor: reads all that is written, all the time, and says where a promise was not kept.
 *
 * reads    im.conversation (group parley-auditor); im.deliver.* and im.offline without a group; im.presence, im.lease and
 *          im.vault (views); the groups' positions; rows in PostgreSQL, read-only
 * writes   im.dlq never; nothing at all
 * keeps    the reducer's cells in Redis; takes them from PostgreSQL when they are lost
 * commits  when the cells are in Redis; what was read and not judged yet is not judged after a crash */
#include "auditor/core.h"
#include "auditor/retention.h"
#include "auditor/rounds.h"
#include "auditor/rows.h"
#include "auditor/sight.h"
#include "auditor/snapshot.h"
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/bodyview.h"
#include "common/im/worker.h"

#include <errno.h>
#include <stdlib.h>

#define TURN_MS   200
#define ROUND_MS  1000
#define GATHER_MS 2000  /* partitions of one start come together */
#define EARLIER   60000 /* ms: what went out of a record is looked for from that long before it on */
#define LATER     10000 /* ms: between two clocks */

METRIC_GAUGE(entries, "parley_auditor_open_messages", "Messages read of which not all is judged yet.");
METRIC_GAUGE(bytes, "parley_auditor_window_bytes", "Memory they take.");
METRIC_GAUGE(waiting, "parley_auditor_waiting",
             "Recipients seen whose message is not known yet, or asked about.");
METRIC_GAUGE(behind, "parley_auditor_behind", "Records between what was read and what was judged.", "what");
METRIC_COUNTER(rounds_total, "parley_auditor_rounds_total",
               "Rounds ended: deliveries judged up to fanout's position.");
METRIC_COUNTER(sights, "parley_auditor_sights_total", "Records of im.deliver.* and im.offline read.");
METRIC_COUNTER(unreadable, "parley_auditor_unreadable_total", "Of them, those that cannot be read.");

struct settings {
    struct auditor_settings core;
    struct deploy_settings deploy;
    struct bodyview_settings bodies;
    int64_t window, grace_ms, retention_ms;
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
    struct secrets *secrets;
    struct bodyview *bodies;
    struct rows *rows;
    struct rounds *rounds;
    struct retention *retention;
    struct tail_place *places;
    size_t n_places;
    struct tail *tail;
    struct sight_env sight;
    struct timer turn, second, minute;
    int64_t from_ms;           /* the tail begins with what is that young; INT64_MAX: not known */
    int64_t opened_ms;         /* when the first partition was; 0: none yet */
    int64_t *committed, *ends; /* of the round that waits for the tail */
    bool catching_up;
};

static const uint16_t inputs[] = {T_CONVERSATION};

static const struct settings *settings_of(const struct process *p)
{
    return p->worker.run->settings;
}

/* ---- the tail ---- */

static bool full(void *ctx)
{
    return books_full(((struct process *)ctx)->books);
}

static void on_record(void *ctx, const struct record *r)
{
    struct process *p = ctx;
    metric_add(&sights, 1);
    int rc = sight_record(&p->sight, r);
    if (rc == -ENOTSUP) {
        log_error("a record is newer than this program: upgrade it", log_int("topic", r->topic),
                  log_int("offset", r->offset));
        daemon_fail(p->worker.run);
    } else if (rc) {
        metric_add(&unreadable, 1);
    }
}

static void on_lost(void *ctx)
{
    log_warn("deliveries were removed before they could be read: they are not judged");
    books_blind(((struct process *)ctx)->books, clock_wall_ms());
}

static void on_fatal(void *ctx, const char *reason)
{
    log_error("a Kafka client is dead", log_str("why", reason));
    daemon_fail(((struct process *)ctx)->worker.run);
}

static void start_tail(struct process *p, const int64_t *from)
{
    const struct topics *topics = p->worker.deploy.topics;
    int64_t keep = topics_get(topics, T_DELIVER0)->retention_ms, oldest = clock_wall_ms() - keep + keep / 24;
    const struct tail_conf conf = {.deploy = &p->worker.deploy,
                                   .places = p->places,
                                   .n = p->n_places,
                                   .ctx = p,
                                   .full = full,
                                   .record = on_record,
                                   .lost = on_lost,
                                   .fatal = on_fatal};
    p->tail = tail_new(p->worker.run->loop, &conf, from);
    if (!p->tail) {
        daemon_fail(p->worker.run);
        return;
    }
    /* Before this, deliveries may be gone already. */
    int64_t cover = keep > 0 && oldest > p->from_ms + LATER ? oldest : p->from_ms + LATER;
    for (int32_t i = 0; i < topics_get(topics, T_CONVERSATION)->parts; i++)
        books_cover(p->books, i, cover);
    log_info("deliveries are read", log_int("from_ms", p->from_ms));
}

/* ---- rounds ---- */

static void begin(void *ctx)
{
    books_round_begin(((struct process *)ctx)->books);
}

static void judge_marks(struct process *p, const struct rounds_answer *a)
{
    for (int32_t i = 0; p->rows && i < a->parts; i++) {
        int64_t mark = rows_mark(p->rows, i);
        const struct finding f = {.kind = FOUND_RETENTION,
                                  .topic = topics_name(p->worker.deploy.topics, T_CONVERSATION),
                                  .part = i,
                                  .offset = mark,
                                  .what = "the log begins after the persister's mark"};
        if (mark >= 0 && mark < a->low[i])
            report_add(p->report, &f);
    }
}

static void answer(void *ctx, const struct rounds_answer *a)
{
    struct process *p = ctx;
    judge_marks(p, a);
    if (a->tail_from)
        start_tail(p, a->tail_from);
    if (!p->tail)
        return;
    books_round_ends(p->books, a->end);
    memcpy(p->committed, a->committed, (size_t)a->parts * sizeof *p->committed);
    memcpy(p->ends, a->tail_end, a->n * sizeof *p->ends);
    p->catching_up = true;
}

static void failed(void *ctx, int err)
{
    struct process *p = ctx;
    log_debug("positions cannot be asked now", log_err(err));
    p->catching_up = false;
}

static void end_round(struct process *p)
{
    if (!p->catching_up || !p->tail || !tail_reached(p->tail, p->ends))
        return;
    p->catching_up = false;
    books_round_told(p->books, p->committed);
    metric_add(&rounds_total, 1);
}

static void next_round(struct process *p)
{
    int64_t now = loop_now_ms(p->worker.run->loop);
    if (p->catching_up || !p->opened_ms || (!p->tail && now < p->opened_ms + GATHER_MS))
        return;
    if (!p->tail && p->from_ms == INT64_MAX)
        p->from_ms = clock_wall_ms() - EARLIER;
    rounds_ask(p->rounds, p->tail ? -1 : p->from_ms);
}

/* ---- timers ---- */

static void on_turn(struct timer *t)
{
    struct process *p = container_of(t, struct process, turn);
    end_round(p);
    rows_turn(p->rows);
    if (p->tail)
        tail_poke(p->tail);
    loop_timer_start(p->worker.run->loop, t, TURN_MS);
}

static void on_second(struct timer *t)
{
    struct process *p = container_of(t, struct process, second);
    struct books_stats s;
    next_round(p);
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
    struct process *p = ctx;
    if (!p->opened_ms)
        p->opened_ms = loop_now_ms(p->worker.run->loop);
    if (p->tail) /* what went out until now was not kept */
        books_cover(p->books, part, clock_wall_ms() + LATER);
}

static void first(void *ctx, int32_t part, int64_t time_ms)
{
    struct process *p = ctx;
    (void)part;
    if (!p->tail && time_ms - EARLIER < p->from_ms)
        p->from_ms = time_ms > EARLIER ? time_ms - EARLIER : 0;
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
    struct loop *loop = p->worker.run->loop;
    int32_t parts = topics_get(d->topics, T_CONVERSATION)->parts;
    p->secrets = s->open_bodies ? bodyview_secrets(&s->bodies) : NULL;
    p->bodies =
        !s->open_bodies || p->secrets ? bodyview_new(p->worker.run, d, p->secrets, bodies_ready, p) : NULL;
    if (!p->bodies)
        return false;
    const struct books_conf books = {.parts = parts,
                                     .topic = topics_name(d->topics, T_CONVERSATION),
                                     .bytes = (size_t)s->window,
                                     .grace_ms = s->grace_ms,
                                     .report = p->report,
                                     .bodies = bodyview_keys(p->bodies)};
    p->places = tail_places(d->topics, &p->n_places);
    const struct rounds_conf rounds = {.deploy = d,
                                       .places = p->places,
                                       .n = p->n_places,
                                       .ctx = p,
                                       .begin = begin,
                                       .answer = answer,
                                       .failed = failed};
    p->books = books_new(&books);
    p->committed = calloc((size_t)parts, sizeof *p->committed);
    p->ends = calloc(p->n_places + 1, sizeof *p->ends);
    p->rounds = p->places ? rounds_new(loop, &rounds) : NULL;
    p->retention = retention_new(loop, d, p->report);
    p->rows = p->books ? rows_new(p->worker.run, s->deploy.postgres, p->books, parts) : NULL;
    p->sight = (struct sight_env){d->topics, p->worker.views.presence, p->books, arena_new(0)};
    return p->committed && p->ends && p->rounds && p->retention && p->rows && p->sight.arena;
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
    p->from_ms = INT64_MAX;
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
    tail_free(p->tail);
    rounds_free(p->rounds);
    retention_free(p->retention);
    rows_free(p->rows);
    bodyview_free(p->bodies);
    worker_release(&p->worker); /* closes what is open, in the books too */
    books_free(p->books);
    secrets_free(p->secrets);
    arena_free(p->sight.arena);
    report_free(p->report);
    free(p->places);
    free(p->committed);
    free(p->ends);
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
