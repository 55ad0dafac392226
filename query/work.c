#include "query/work.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/codes.h"
#include "common/im/frame.h"
#include "query/lanes.h"

#include <errno.h>
#include <stdlib.h>
#define uthash_fatal(msg) abort()
#include <utlist.h>

#define ARENA_CHUNK    (16 << 10)
#define CHECK_MS       100
#define POLL_FIRST_MS  20
#define POLL_MOST_MS   100
#define SLOW_QUEUE_MAX 32 /* searches that wait for their connection; further ones are told at once */

METRIC_HISTOGRAM(took, "parley_query_seconds", "From taking up a question to handing its answer to Kafka.",
                 1e-6, "question");
METRIC_COUNTER(refused, "parley_query_refused_total", "Answers that were a code only.", "code");
METRIC_GAUGE(in_work, "parley_query_in_work", "Questions being answered.");

enum queue { NOWHERE, FOR_POSTGRES, FOR_SLOW, FOR_KAFKA, QUEUES };

struct job {
    struct question q;
    struct answer answer;
    struct work *w;
    struct arena *arena;
    struct work_token token;
    struct timer poll;
    int64_t since_us;      /* taken up */
    int64_t queued_ms;     /* waits for PostgreSQL since */
    int64_t wait_until_ms; /* 0: nothing (any more) to wait for */
    bool waits;            /* one of the window's few places for those that wait */
    uint32_t poll_ms;
    enum queue queue;
    struct job *next, *prev; /* of the queue, or of the free ones */
};

struct work {
    struct work_conf conf;
    struct loop *loop;
    struct lanes *lanes;
    struct answers *answers;
    struct job *jobs, *free;
    struct job *queue[QUEUES];
    unsigned n, n_slow, n_waiting;
    struct timer check;
    struct loop_job pump;
};

static void run(struct job *j);

/* ---- the end of a question ---- */

static void finish(struct job *j)
{
    struct work *w = j->w;
    w->n_waiting -= j->waits;
    j->waits = false;
    const struct work_token token = j->token;
    loop_timer_stop(w->loop, &j->poll);
    answer_release(&j->answer);
    arena_reset(j->arena);
    j->queue = NOWHERE;
    LL_PREPEND(w->free, j);
    w->n--;
    metric_set(&in_work, w->n);
    w->conf.done(w->conf.ctx, &token);
}

static void on_sent(struct answer *a, bool ok)
{
    (void)ok; /* what is lost is asked again */
    finish(container_of(a, struct job, answer));
}

static void send_off(struct job *j)
{
    struct work *w = j->w;
    int rc = answer_send(w->answers, &j->answer);
    if (!rc)
        metric_observe(metric_with(&took, frame_name(j->q.verb->type)), clock_mono_us() - j->since_us);
    if (rc == -EAGAIN) {
        j->queue = FOR_KAFKA;
        DL_APPEND(w->queue[FOR_KAFKA], j);
    } else if (rc) {
        finish(j);
    }
}

static void reply(struct job *j, uint16_t frame_type, const ProtobufCMessage *m)
{
    if (protobuf_c_message_get_packed_size(m) > FRAME_CAP_MAX - FRAME_HEADER) {
        Im__Error e = IM__ERROR__INIT;
        log_error("an answer is larger than a frame", log_str("question", frame_name(j->q.verb->type)));
        e.code = IM__CODE__INTERNAL;
        reply(j, IM__FRAME_TYPE__ERROR, &e.base);
        return;
    }
    if (answer_encode(&j->answer, &j->q.from, IM__ITEM_KIND__ITEM_REPLY, frame_type, j->q.seq_id, m))
        send_off(j);
    else
        finish(j);
}

static void refuse(struct job *j, Im__Code code)
{
    metric_add(metric_with(&refused, code_name(code)), 1);
    if (code != IM__CODE__BUSY && code != IM__CODE__INTERNAL) {
        reply(j, question_answer_type(&j->q), question_refusal(&j->q, code));
        return;
    }
    Im__Error e = IM__ERROR__INIT;
    e.code = code;
    e.message = (char *)(uintptr_t)code_cause(code);
    e.retry_after_ms = code == IM__CODE__BUSY ? WORK_RETRY_MS : 0;
    reply(j, IM__FRAME_TYPE__ERROR, &e.base);
}

/* ---- PostgreSQL ---- */

static void enqueue(struct job *j)
{
    struct work *w = j->w;
    enum queue queue = j->q.verb->slow ? FOR_SLOW : FOR_POSTGRES;
    if (loop_now_ms(w->loop) - j->queued_ms > WORK_PATIENCE_MS ||
        (queue == FOR_SLOW && w->n_slow >= SLOW_QUEUE_MAX)) {
        refuse(j, IM__CODE__BUSY);
        return;
    }
    w->n_slow += queue == FOR_SLOW;
    j->queue = queue;
    DL_APPEND(w->queue[queue], j);
}

static void dequeue(struct job *j)
{
    DL_DELETE(j->w->queue[j->queue], j);
    j->w->n_slow -= j->queue == FOR_SLOW;
    j->queue = NOWHERE;
}

/* Cancelled by its time limit, out of resources, shutting down: passes. */
static bool passes(const char *sqlstate)
{
    return strncmp(sqlstate, "57", 2) == 0 || strncmp(sqlstate, "53", 2) == 0 ||
           strncmp(sqlstate, "40", 2) == 0;
}

/* True: there is nothing to read. */
static bool failed(struct job *j, const struct db_result *r)
{
    if (r->status == DB_OK)
        return false;
    if (r->status == DB_DOWN) {
        enqueue(j); /* reading twice does no harm */
        return true;
    }
    bool later = passes(r->sqlstate);
    if (!later)
        log_error("PostgreSQL refused a question", log_str("question", frame_name(j->q.verb->type)),
                  log_str("sqlstate", r->sqlstate), log_str("why", r->message));
    refuse(j, later ? IM__CODE__BUSY : IM__CODE__INTERNAL);
    return true;
}

/* Else a few clients could fill the window with questions that wait for what never comes. */
static bool may_wait(struct job *j)
{
    struct work *w = j->w;
    if (!j->waits && w->n_waiting < w->conf.window / 4 + 1) {
        j->waits = true;
        w->n_waiting++;
    }
    return j->waits;
}

static void on_head(void *ctx, const struct db_result *r)
{
    struct job *j = ctx;
    if (failed(j, r))
        return;
    uint64_t head = PQntuples(r->results[0]) ? (uint64_t)db_get_i64(r->results[0], 0, 0) : 0;
    if (head >= j->q.wait->seq) {
        j->wait_until_ms = 0;
        run(j);
    } else if (loop_now_ms(j->w->loop) >= j->wait_until_ms || !may_wait(j)) {
        refuse(j, IM__CODE__BEHIND);
    } else {
        loop_timer_start(j->w->loop, &j->poll, j->poll_ms);
        j->poll_ms = j->poll_ms * 2 > POLL_MOST_MS ? POLL_MOST_MS : j->poll_ms * 2;
    }
}

static void on_rows(void *ctx, const struct db_result *r)
{
    struct job *j = ctx;
    ProtobufCMessage *rsp = NULL;
    if (failed(j, r))
        return;
    Im__Code code = j->q.verb->take(&j->q, r->results, &rsp);
    if (code) {
        refuse(j, code);
    } else if (rsp) {
        reply(j, question_answer_type(&j->q), rsp);
    } else {
        j->q.round++;
        run(j);
    }
}

static void run(struct job *j)
{
    struct ask a;
    ask_start(&a, j->arena);
    Im__Code code = IM__CODE__OK;
    if (j->wait_until_ms)
        question_ask_head(&j->q, &a);
    else
        code = j->q.verb->ask(&j->q, &a);
    if (code) {
        refuse(j, code);
        return;
    }
    if (lanes_run(j->w->lanes, j->q.verb->slow && !j->wait_until_ms, &a, j->wait_until_ms ? on_head : on_rows,
                  j))
        enqueue(j);
}

static void on_poll(struct timer *t)
{
    struct job *j = container_of(t, struct job, poll);
    j->queued_ms = loop_now_ms(j->w->loop);
    run(j);
}

/* ---- moving on ---- */

/* As many of each queue as there is room for; who still finds none goes to the end again, in order. */
static void pump(struct loop_job *job)
{
    struct work *w = container_of(job, struct work, pump);
    for (enum queue k = FOR_POSTGRES; k <= FOR_SLOW; k++) {
        struct job *end = w->queue[k] ? w->queue[k]->prev : NULL, *j;
        for (bool last = false; end && !last && (j = w->queue[k]);) {
            last = j == end;
            dequeue(j);
            run(j);
            if (w->queue[k] && w->queue[k]->prev == j) { /* no room */
                DL_DELETE(w->queue[k], j);
                DL_PREPEND(w->queue[k], j);
                break;
            }
        }
    }
    struct job *blocked = w->queue[FOR_KAFKA], *j;
    w->queue[FOR_KAFKA] = NULL;
    while ((j = blocked)) {
        DL_DELETE(blocked, j);
        j->queue = NOWHERE;
        send_off(j);
    }
}

static void on_room(void *ctx)
{
    struct work *w = ctx;
    loop_defer(w->loop, &w->pump, pump);
}

static void on_check(struct timer *t)
{
    struct work *w = container_of(t, struct work, check);
    struct job *j, *next;
    int64_t now = loop_now_ms(w->loop);
    for (enum queue k = FOR_POSTGRES; k <= FOR_SLOW; k++)
        DL_FOREACH_SAFE(w->queue[k], j, next)
    if (now - j->queued_ms > WORK_PATIENCE_MS) {
        dequeue(j);
        refuse(j, IM__CODE__BUSY);
    }
    loop_timer_start(w->loop, &w->check, CHECK_MS);
}

int work_take(struct work *w, const struct session *from, const Im__QueryRecord *r,
              const struct work_token *token)
{
    struct job *j = w->free;
    if (!j->arena)
        j->arena = arena_new(ARENA_CHUNK);
    if (!j->arena)
        abort();
    int rc = question_init(&j->q, w->conf.env, j->arena, from, (uint16_t)r->frame_type, r->seq_id,
                           codec_slice(r->payload));
    if (rc) {
        arena_reset(j->arena);
        return rc;
    }
    LL_DELETE(w->free, j);
    w->n++;
    metric_set(&in_work, w->n);
    j->w = w;
    j->token = *token;
    j->answer = (struct answer){.done = on_sent};
    j->since_us = clock_mono_us();
    j->queued_ms = loop_now_ms(w->loop);
    j->wait_until_ms = j->q.wait ? j->queued_ms + WORK_WAIT_MS : 0;
    j->poll_ms = POLL_FIRST_MS;
    timer_init(&j->poll, on_poll);
    run(j);
    return 0;
}

int work_read(struct work *w, const struct ask *a, db_fn *fn, void *ctx)
{
    return lanes_run(w->lanes, false, a, fn, ctx);
}

bool work_full(const struct work *w)
{
    return !w->free;
}

unsigned work_count(const struct work *w)
{
    return w->n;
}

struct answers *work_answers(struct work *w)
{
    return w->answers;
}

struct work *work_new(const struct work_conf *conf)
{
    struct work *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->conf = *conf;
    w->loop = conf->run->loop;
    timer_init(&w->check, on_check);
    w->jobs = calloc(conf->window, sizeof *w->jobs);
    for (unsigned i = 0; w->jobs && i < conf->window; i++)
        LL_PREPEND(w->free, &w->jobs[i]);
    w->answers = answers_new(conf->run, conf->deploy, on_room, w);
    w->lanes = lanes_new(conf->run, conf->deploy->settings->postgres, conf->connections, on_room, w);
    if (!w->jobs || !w->answers || !w->lanes) {
        work_free(w);
        return NULL;
    }
    loop_timer_start(w->loop, &w->check, CHECK_MS);
    return w;
}

static void nothing(void *ctx, const struct work_token *token)
{
    (void)ctx;
    (void)token;
}

void work_free(struct work *w)
{
    if (!w)
        return;
    w->conf.done = nothing;
    lanes_free(w->lanes); /* what was asked there goes into the queues */
    answers_free(w->answers);
    loop_timer_stop(w->loop, &w->check);
    loop_cancel(w->loop, &w->pump);
    for (unsigned i = 0; w->jobs && i < w->conf.window; i++) {
        if (w->jobs[i].w)
            loop_timer_stop(w->loop, &w->jobs[i].poll);
        answer_release(&w->jobs[i].answer);
        arena_free(w->jobs[i].arena);
    }
    free(w->jobs);
    free(w);
}
