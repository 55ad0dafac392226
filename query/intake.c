#include "query/intake.h"

#include "common/base/arena_protobuf.h"
#include "common/base/clock.h"
#include "common/base/kconsumer.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/offsets.h"
#include "common/im/dead.h"
#include "common/im/lease.h"
#include "common/im/traceid.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW    4096 /* of offsets, per partition */
#define COMMIT_MS 200
#define HELD_MS   3600000 /* committed again after so long, lest the broker forget it */
#define QUEUE_KB  4096

METRIC_COUNTER(questions, "parley_query_questions_total", "Questions taken up.");
METRIC_COUNTER(passed, "parley_query_passed_total", "Questions not answered.", "why");
METRIC_GAUGE(lag, "parley_query_lag", "Records of im.query not read yet.");

struct part { /* of im.query; offsets NULL: not ours */
    struct offsets *offsets;
    uint64_t generation;
    int64_t committed, committed_ms;
    bool paused;
};

struct unread { /* on its way to im.dlq */
    struct answer answer;
    struct intake *in;
    struct work_token token;
};

struct intake {
    struct daemon_run *run;
    const struct deploy *deploy;
    struct work *work;
    const struct lease *lease;
    struct kconsumer *consumer;
    struct part *parts;
    int32_t n_parts;
    uint64_t generation;
    unsigned in_flight; /* of this assignment */
    bool revoking, committing;
    struct arena *arena;
    struct timer commit, drain;
    void (*stopped)(void *ctx);
    void *ctx;
    void (*assigned)(void *ctx);
    void *assigned_ctx;
};

/* ---- back-pressure ---- */

static void pace(struct intake *in)
{
    for (int32_t i = 0; i < in->n_parts; i++) {
        struct part *p = &in->parts[i];
        if (!p->offsets)
            continue;
        bool stop = in->revoking || work_full(in->work) || offsets_full(p->offsets);
        if (stop == p->paused)
            continue;
        p->paused = stop;
        if (stop)
            kconsumer_pause(in->consumer, T_QUERY, i);
        else
            kconsumer_resume(in->consumer, T_QUERY, i);
    }
}

/* ---- commits ---- */

static void forget_parts(struct intake *in)
{
    for (int32_t i = 0; i < in->n_parts; i++) {
        offsets_free(in->parts[i].offsets);
        in->parts[i] = (struct part){0};
    }
    in->generation++;
    in->in_flight = 0;
    in->revoking = false;
    loop_timer_stop(in->run->loop, &in->drain);
}

static void committed(void *ctx, int err)
{
    struct intake *in = ctx;
    in->committing = false;
    if (err == -ESTALE) { /* the group gave them away: what is in flight will be asked again there */
        log_warn("the assignment of im.query was lost");
        forget_parts(in);
    }
}

static void commit(struct intake *in)
{
    int64_t now = loop_now_ms(in->run->loop);
    struct kpart list[256];
    size_t n = 0;
    for (int32_t i = 0; i < in->n_parts && n < ARRAY_LEN(list); i++) {
        struct part *p = &in->parts[i];
        if (!p->offsets || (offsets_mark(p->offsets) == p->committed && now - p->committed_ms < HELD_MS))
            continue;
        p->committed = offsets_mark(p->offsets);
        p->committed_ms = now;
        list[n++] = (struct kpart){T_QUERY, i, p->committed};
    }
    if (n && kconsumer_commit(in->consumer, list, n, committed, in) == 0)
        in->committing = true;
}

static void on_commit(struct timer *t)
{
    struct intake *in = container_of(t, struct intake, commit);
    int64_t sum = 0;
    if (!in->committing)
        commit(in);
    for (int32_t i = 0; i < in->n_parts; i++) {
        int64_t behind = in->parts[i].offsets ? kconsumer_lag(in->consumer, T_QUERY, i) : 0;
        sum += behind > 0 ? behind : 0;
    }
    metric_set(&lag, sum);
    loop_timer_start(in->run->loop, &in->commit, COMMIT_MS);
}

/* ---- one record ---- */

static void drop(struct intake *in, const struct work_token *t)
{
    if (t->part >= in->n_parts || in->parts[t->part].generation != t->generation ||
        !in->parts[t->part].offsets)
        return;
    offsets_drop(in->parts[t->part].offsets, t->ticket);
    in->in_flight--;
    if (in->revoking && in->in_flight == 0)
        loop_timer_start(in->run->loop, &in->drain, 0);
    pace(in);
}

void intake_done(struct intake *in, const struct work_token *t)
{
    drop(in, t);
}

static void dead_done(struct answer *a, bool ok)
{
    struct unread *d = container_of(a, struct unread, answer);
    (void)ok;
    drop(d->in, &d->token);
    free(d);
}

static void dead_letter(struct intake *in, const struct record *rec, const struct work_token *token)
{
    struct unread *d = calloc(1, sizeof *d);
    log_warn("a question that cannot be read", log_int("part", rec->part), log_int("offset", rec->offset),
             traceid_log(dead_trace(rec->topic, rec->value)));
    if (d) {
        *d = (struct unread){.in = in, .token = *token, .answer = {.done = dead_done}};
        if (answer_dead(work_answers(in->work), rec, "not a question", &d->answer) == 0)
            return;
    }
    free(d); /* the asker gets no answer either way, and nothing else is lost with it */
    drop(in, token);
}

/* The edge's epoch is over: nobody is there to hear the answer. */
static bool nobody(const struct intake *in, const struct session *s)
{
    const struct lease_slot *slot = lease_get(in->lease, s->slot);
    return !slot || slot->claim > (int64_t)s->epoch || slot->ended >= (int64_t)s->epoch;
}

static void pass(struct intake *in, const struct work_token *token, const char *why)
{
    metric_add(metric_with(&passed, why), 1);
    drop(in, token);
}

static bool on_message(void *ctx, const struct record *rec, struct kmsg *msg)
{
    struct intake *in = ctx;
    struct part *p = &in->parts[rec->part];
    (void)msg;
    struct work_token token = {rec->part, p->generation,
                               p->offsets ? offsets_open(p->offsets, rec->offset) : 0};
    if (!token.ticket)
        return false; /* comes again to whoever has the partition */
    in->in_flight++;
    struct arena_protobuf pb;
    Im__QueryRecord *r;
    struct session from;
    arena_reset(in->arena);
    int rc = codec_query(arena_protobuf_allocator(&pb, in->arena, 65536 + 4 * rec->value.n), rec->value, &r);
    if (rc || session_from_pb(r->session, &from) || id_is_zero(from.user))
        dead_letter(in, rec, &token);
    else if (clock_wall_ms() - rec->time_ms > INTAKE_OLD_MS)
        pass(in, &token, "old");
    else if (nobody(in, &from))
        pass(in, &token, "nobody");
    else if (work_take(in->work, &from, r, &token))
        dead_letter(in, rec, &token);
    else
        metric_add(&questions, 1);
    pace(in);
    return false;
}

void intake_on_assigned(struct intake *in, void (*assigned)(void *ctx), void *ctx)
{
    in->assigned = assigned;
    in->assigned_ctx = ctx;
}

bool intake_owns(const struct intake *in, struct id16 user)
{
    int32_t part = topics_partition(in->deploy->topics, T_QUERY, slice_id(&user));
    return part >= 0 && part < in->n_parts && in->parts[part].offsets;
}

/* ---- the group ---- */

static void on_assigned(void *ctx, const struct kpart *parts, size_t n)
{
    struct intake *in = ctx;
    forget_parts(in);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].part >= in->n_parts)
            continue;
        if (parts[i].offset < 0) {
            log_error("the group has no committed offset: were the topics created by parleyctl?",
                      log_int("part", parts[i].part));
            daemon_fail(in->run);
            return;
        }
        in->parts[parts[i].part] = (struct part){.offsets = offsets_new(parts[i].offset, WINDOW),
                                                 .generation = in->generation,
                                                 .committed = parts[i].offset,
                                                 .committed_ms = loop_now_ms(in->run->loop)};
        if (!in->parts[parts[i].part].offsets)
            abort();
        kconsumer_start(in->consumer, T_QUERY, parts[i].part, parts[i].offset);
    }
    ready_ok(in->run->ready, "kafka");
    pace(in);
    if (in->assigned)
        in->assigned(in->assigned_ctx);
}

static void give_back(struct timer *t)
{
    struct intake *in = container_of(t, struct intake, drain);
    if (!in->revoking)
        return;
    commit(in);
    forget_parts(in);
    kconsumer_revoke_done(in->consumer);
}

static void on_revoked(void *ctx, const struct kpart *parts, size_t n)
{
    struct intake *in = ctx;
    (void)parts;
    (void)n;
    in->revoking = true;
    pace(in);
    loop_timer_start(in->run->loop, &in->drain, in->in_flight ? INTAKE_DRAIN_MS : 0);
}

static void on_lost(void *ctx, const struct kpart *parts, size_t n)
{
    (void)parts;
    (void)n;
    forget_parts(ctx);
}

static void on_error(void *ctx, enum kconsumer_error err, const struct kpart *part, const char *reason)
{
    struct intake *in = ctx;
    if (err == KCONSUMER_TRANSIENT)
        return;
    if (err == KCONSUMER_OUT_OF_RANGE &&
        part) { /* retention overtook us: those questions are long forgotten */
        int64_t low = kconsumer_low(in->consumer, T_QUERY, part->part);
        struct part *p = &in->parts[part->part];
        if (low >= 0 && p->offsets && low > offsets_next(p->offsets)) {
            offsets_free(p->offsets);
            p->offsets = offsets_new(low, WINDOW);
            p->generation = ++in->generation;
            if (p->offsets && kconsumer_start(in->consumer, T_QUERY, part->part, low) == 0)
                return;
        }
    }
    log_error("im.query cannot be read", log_str("why", reason));
    daemon_fail(in->run);
}

struct intake *intake_new(struct daemon_run *run, const struct deploy *d, struct work *work,
                          const struct lease *lease)
{
    static const uint16_t inputs[] = {T_QUERY};
    struct intake *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    *in = (struct intake){.run = run, .deploy = d, .work = work, .lease = lease, .generation = 1};
    in->n_parts = topics_get(d->topics, T_QUERY)->parts;
    timer_init(&in->commit, on_commit);
    timer_init(&in->drain, give_back);
    in->parts = calloc((size_t)in->n_parts, sizeof *in->parts);
    in->arena = arena_new(0);
    const struct kconsumer_conf conf = {
        .kafka = d->kafka,
        .group = topics_group(d->topics, GROUP_QUERY),
        .topics = d->ktopics,
        .n_topics = d->n_ktopics,
        .inputs = inputs,
        .n_inputs = ARRAY_LEN(inputs),
        .queue_kbytes = QUEUE_KB,
        .ctx = in,
        .ops = {on_assigned, on_revoked, on_lost, on_message, on_error},
    };
    in->consumer = in->parts && in->arena ? kconsumer_new(run->loop, &conf) : NULL;
    if (!in->consumer) {
        log_error("cannot read im.query");
        intake_free(in);
        return NULL;
    }
    ready_wait(run->ready, "kafka", "joining the group");
    loop_timer_start(run->loop, &in->commit, COMMIT_MS);
    return in;
}

static void on_closed(void *ctx)
{
    struct intake *in = ctx;
    in->stopped(in->ctx);
}

void intake_stop(struct intake *in, void (*done)(void *ctx), void *ctx)
{
    in->stopped = done;
    in->ctx = ctx;
    kconsumer_close(in->consumer, on_closed, in);
}

void intake_free(struct intake *in)
{
    if (!in)
        return;
    loop_timer_stop(in->run->loop, &in->commit);
    loop_timer_stop(in->run->loop, &in->drain);
    if (in->consumer)
        kconsumer_free(in->consumer);
    for (int32_t i = 0; in->parts && i < in->n_parts; i++)
        offsets_free(in->parts[i].offsets);
    arena_free(in->arena);
    free(in->parts);
    free(in);
}
