#include "auditor/watch.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/dead.h"
#include "common/im/traceid.h"

#include <errno.h>
#include <stdlib.h>

#define GATHER_MS 2000  /* partitions of one start come together */
#define IDLE_MS   60000 /* looked back so far when nothing is new in im.conversation */
#define SKEW      2000  /* ms: between the clocks of two brokers */
#define LATER     10000 /* ms: between a broker's clock and ours */

METRIC_COUNTER(rounds_total, "parley_auditor_rounds_total",
               "Rounds ended: deliveries judged up to fanout's position.");
METRIC_COUNTER(sights, "parley_auditor_sights_total", "Records of im.deliver.* and im.offline read.");
METRIC_COUNTER(unreadable, "parley_auditor_unreadable_total", "Of them, those that cannot be read.");

struct watch {
    struct watch_conf conf;
    struct rounds *rounds;
    struct tail_place *places;
    size_t n_places;
    struct tail *tail;
    struct sight_env sight;
    int64_t from_ms;           /* the tail begins with what is that young; INT64_MAX: not known */
    int64_t opened_ms;         /* when the first partition was; 0: none yet */
    int64_t *committed, *ends; /* of the round that waits for the tail */
    bool catching_up;
};

/* ---- the tail ---- */

static bool full(void *ctx)
{
    return books_full(((struct watch *)ctx)->conf.books);
}

static void on_record(void *ctx, const struct record *r)
{
    struct watch *w = ctx;
    metric_add(&sights, 1);
    if (sight_record(&w->sight, r) == 0)
        return;
    metric_add(&unreadable, 1);
    log_warn("a record cannot be read: what it may have delivered is not judged", log_int("topic", r->topic),
             log_int("part", r->part), log_int("offset", r->offset),
             traceid_log(dead_trace(r->topic, r->value)));
    books_blind(w->conf.books, clock_wall_ms());
}

static void on_lost(void *ctx)
{
    log_warn("deliveries were removed before they could be read: they are not judged");
    books_blind(((struct watch *)ctx)->conf.books, clock_wall_ms());
}

static void on_fatal(void *ctx, const char *reason)
{
    log_error("a Kafka client is dead", log_str("why", reason));
    daemon_fail(((struct watch *)ctx)->conf.run);
}

static void start_tail(struct watch *w, const int64_t *from)
{
    const struct topics *topics = w->conf.deploy->topics;
    int64_t keep = topics_get(topics, T_DELIVER0)->retention_ms, oldest = clock_wall_ms() - keep + keep / 24;
    const struct tail_conf conf = {.deploy = w->conf.deploy,
                                   .places = w->places,
                                   .n = w->n_places,
                                   .ctx = w,
                                   .full = full,
                                   .record = on_record,
                                   .lost = on_lost,
                                   .fatal = on_fatal};
    w->tail = tail_new(w->conf.run->loop, &conf, from);
    if (!w->tail) {
        daemon_fail(w->conf.run);
        return;
    }
    /* Before this, deliveries may be gone already. */
    int64_t cover = keep > 0 && oldest > w->from_ms + SKEW ? oldest : w->from_ms + SKEW;
    for (int32_t i = 0; i < topics_get(topics, T_CONVERSATION)->parts; i++)
        books_cover(w->conf.books, i, cover);
    log_info("deliveries are read", log_int("from_ms", w->from_ms));
}

/* ---- rounds ---- */

static void begin(void *ctx)
{
    books_round_begin(((struct watch *)ctx)->conf.books);
}

static void judge_marks(struct watch *w, const struct rounds_answer *a)
{
    for (int32_t i = 0; i < a->parts; i++) {
        int64_t mark = rows_mark(w->conf.rows, i);
        const struct finding f = {.kind = FOUND_RETENTION,
                                  .topic = topics_name(w->conf.deploy->topics, T_CONVERSATION),
                                  .part = i,
                                  .offset = mark,
                                  .what = "the log begins after the persister's mark"};
        if (mark >= 0 && mark < a->low[i])
            report_add(w->conf.report, &f);
    }
}

static void answer(void *ctx, const struct rounds_answer *a)
{
    struct watch *w = ctx;
    judge_marks(w, a);
    if (a->tail_from)
        start_tail(w, a->tail_from);
    if (!w->tail)
        return;
    books_round_ends(w->conf.books, a->end);
    memcpy(w->committed, a->committed, (size_t)a->parts * sizeof *w->committed);
    memcpy(w->ends, a->tail_end, a->n * sizeof *w->ends);
    w->catching_up = true;
}

static void failed(void *ctx, int err)
{
    struct watch *w = ctx;
    log_debug("positions cannot be asked now", log_err(err));
    w->catching_up = false;
}

void watch_turn(struct watch *w)
{
    if (w->tail)
        tail_poke(w->tail);
    if (!w->catching_up || !w->tail || !tail_reached(w->tail, w->ends))
        return;
    w->catching_up = false;
    books_round_told(w->conf.books, w->committed);
    metric_add(&rounds_total, 1);
}

void watch_second(struct watch *w)
{
    int64_t now = loop_now_ms(w->conf.run->loop);
    if (w->catching_up || !w->opened_ms || (!w->tail && now < w->opened_ms + GATHER_MS))
        return;
    if (!w->tail && w->from_ms == INT64_MAX)
        w->from_ms = clock_wall_ms() - IDLE_MS;
    rounds_ask(w->rounds, w->tail ? -1 : w->from_ms);
}

/* ---- partitions ---- */

void watch_opened(struct watch *w, int32_t part)
{
    if (!w->opened_ms)
        w->opened_ms = loop_now_ms(w->conf.run->loop);
    if (w->tail) /* what went out until now was not kept */
        books_cover(w->conf.books, part, clock_wall_ms() + LATER);
}

void watch_first(struct watch *w, int64_t time_ms)
{
    if (!w->tail && time_ms - 2 * SKEW < w->from_ms)
        w->from_ms = time_ms > 2 * SKEW ? time_ms - 2 * SKEW : 0;
}

struct watch *watch_new(const struct watch_conf *conf)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->conf = *conf;
    w->from_ms = INT64_MAX;
    w->places = tail_places(conf->deploy->topics, &w->n_places);
    const struct rounds_conf rounds = {.deploy = conf->deploy,
                                       .places = w->places,
                                       .n = w->n_places,
                                       .ctx = w,
                                       .begin = begin,
                                       .answer = answer,
                                       .failed = failed};
    w->committed =
        calloc((size_t)topics_get(conf->deploy->topics, T_CONVERSATION)->parts, sizeof *w->committed);
    w->ends = calloc(w->n_places + 1, sizeof *w->ends);
    w->rounds = w->places ? rounds_new(conf->run->loop, &rounds) : NULL;
    w->sight = (struct sight_env){conf->deploy->topics, conf->presence, conf->books, arena_new(0)};
    if (w->committed && w->ends && w->rounds && w->sight.arena)
        return w;
    watch_free(w);
    return NULL;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    tail_free(w->tail);
    rounds_free(w->rounds);
    arena_free(w->sight.arena);
    free(w->places);
    free(w->committed);
    free(w->ends);
    free(w);
}
