/* shell_part.c: a partition's life. */
#include "common/base/log.h"
#include "common/base/shell_int.h"

#include <stdlib.h>
#include <string.h>

/* The answer may come after the partition is gone, so it finds it through this. */
struct spart_opening {
    struct spart *p;
    struct store *store;
};

/* ---- trouble ---- */
void spart_wait(struct spart *p, const char *why)
{
    if (!why && !p->waiting)
        return;
    p->waiting = why != NULL;
    snprintf(p->why, sizeof p->why, "%s", why ? why : "");
    p->env->changed(p->env->ctx, p);
}

int64_t spart_retry_ms(struct spart *p)
{
    return backoff_next_ms(&p->backoff);
}

static void closed(struct spart *p)
{
    p->state = SPART_CLOSED;
    p->env->changed(p->env->ctx, p);
}

static void halt(struct spart *p)
{
    log_error("partition halted", log_str("core", p->decl->name), log_int("part", p->part),
              log_str("why", p->why));
    p->env->stop(p->env->ctx, p);
    p->state = SPART_HALTED;
    p->env->changed(p->env->ctx, p);
}

static void carry_out_failure(struct loop_job *j)
{
    struct spart *p = container_of(j, struct spart, fail_job);
    enum spart_failure f = p->failure;
    bool draining = p->state == SPART_DRAINING;
    spart_close_core(p);
    p->failure = SPART_FINE;
    p->waiting = false;
    if (f == SPART_HALT && !draining) {
        halt(p);
        return;
    }
    log_warn("partition given up", log_str("core", p->decl->name), log_int("part", p->part),
             log_str("why", p->why));
    p->env->stop(p->env->ctx, p);
    if (draining) {
        closed(p);
        return;
    }
    p->state = SPART_OPENING; /* lost: most likely the consumer says so before this is over */
    p->env->changed(p->env->ctx, p);
    loop_timer_start(p->env->loop, &p->open_retry, f == SPART_LOST ? 5000 : spart_retry_ms(p));
}

void spart_fail(struct spart *p, enum spart_failure f, const char *why)
{
    if (p->failure >= f || p->state == SPART_CLOSED || p->state == SPART_HALTED)
        return;
    p->failure = f;
    snprintf(p->why, sizeof p->why, "%s", why);
    loop_defer(p->env->loop, &p->fail_job, carry_out_failure);
}

/* ---- closing ---- */
static void drop_queue(struct spart *p)
{
    for (; p->q_n; p->q_n--) {
        brec_drop(&p->queue[p->q_head]);
        p->q_head = p->q_head + 1 == p->decl->queue_records ? 0 : p->q_head + 1;
    }
    p->q_bytes = 0;
    p->paused = false;
}

/* The state goes; what was sent stays sent. */
void spart_close_core(struct spart *p)
{
    struct timer *timers[] = {&p->wake, &p->open_retry,   &p->load_retry, &p->put_retry,
                              &p->lazy, &p->commit_timer, &p->drain,      &p->gather};
    for (size_t i = 0; i < ARRAY_LEN(timers); i++)
        loop_timer_stop(p->env->loop, timers[i]);
    recovery_cancel(p);
    drop_queue(p);
    if (p->loading)
        batch_give_up(p->loading);
    p->loading = NULL;
    while (p->batches) {
        struct batch *b = p->batches;
        p->batches = b->next;
        batch_give_up(b);
    }
    p->batches_tail = &p->batches;
    p->n_batches = 0;
    if (p->core) {
        p->decl->ops->close(p->core);
        if (p->decl->closed)
            p->decl->closed(p->decl->ctx, p->part);
    }
    p->core = NULL;
    if (p->opening)
        p->opening->p = NULL;
    p->opening = NULL;
    if (p->commit_token)
        p->commit_token->p = NULL;
    p->commit_token = NULL;
    if (p->store)
        p->decl->store->ops->close(p->store);
    p->store = NULL;
    arena_reset(p->put_arena);
    p->putting = p->has_unput = p->mark_due = p->commit_due = p->committing = p->stopping = p->poked = false;
    p->unput_records = 0;
    p->wake_at = p->wake_armed = INT64_MAX;
}

void spart_lost(struct spart *p)
{
    loop_cancel(p->env->loop, &p->fail_job);
    p->failure = SPART_FINE;
    spart_close_core(p);
    closed(p);
}

void spart_drained(struct spart *p)
{
    if (p->failure || !p->core || !spart_settled(p))
        return;
    if (p->state == SPART_DRAINING) {
        spart_close_core(p);
        closed(p);
    } else if (p->stopping) {
        spart_fail(p, SPART_HALT, p->stop_why);
    }
}

static void drain_due(struct timer *t)
{
    struct spart *p = container_of(t, struct spart, drain);
    log_warn("partition not drained in time", log_str("core", p->decl->name), log_int("part", p->part));
    spart_lost(p);
}

void spart_drain(struct spart *p)
{
    if (p->state != SPART_RUNNING || p->failure) {
        spart_lost(p);
        return;
    }
    p->state = SPART_DRAINING;
    drop_queue(p);
    if (p->loading && timer_running(&p->load_retry)) { /* else its load is still to be answered */
        loop_timer_stop(p->env->loop, &p->load_retry);
        batch_give_up(p->loading);
        p->loading = NULL;
    }
    loop_timer_start(p->env->loop, &p->drain, p->decl->drain_ms);
    for (size_t i = 0; i < p->decl->n_inputs; i++)
        p->commit_due |= p->mark.next[i] > p->committed[i];
    spart_put(p);
    spart_commit_now(p);
    spart_drained(p);
}

/* ---- opening ---- */
void spart_open_core(struct spart *p)
{
    struct core_open o = {.part = p->part,
                          .next = p->mark.next,
                          .quiet = p->mark.quiet,
                          .settings = p->decl->settings,
                          .shared = p->decl->shared};
    memcpy(p->next, p->mark.next, sizeof p->next);
    p->core = p->decl->ops->open(&o);
    if (!p->core) {
        spart_fail(p, SPART_HALT, "the core did not open");
        return;
    }
    p->state = SPART_RUNNING;
    spart_wait(p, NULL);
    log_info("partition open", log_str("core", p->decl->name), log_int("part", p->part),
             log_int("next", p->mark.next[0]), log_int("generation", p->mark.generation));
    p->env->start(p->env->ctx, p, p->mark.next);
    p->commit_due =
        true; /* a crash between put and commit left the commit behind: an idle topic would show lag */
    spart_commit_now(p);
    if (p->decl->opened)
        p->decl->opened(p->decl->ctx, p->part);
    p->env->changed(p->env->ctx, p);
}

static void judge_mark(struct spart *p)
{
    bool fresh = true, behind = false, none = false;
    for (size_t i = 0; i < p->decl->n_inputs; i++) {
        int64_t c = p->committed[i];
        none |= c < 0;
        fresh &= c == 0;
        behind |= p->mark.next[i] < c && p->mark.quiet[i] < c;
    }
    if (none)
        spart_fail(p, SPART_HALT, "the group has no committed offset: topics not set up, or away too long");
    else if (p->mark.present && !behind)
        spart_open_core(p);
    else if (!p->mark.present && fresh)
        recovery_start(p, true);
    else if (p->decl->recover)
        recovery_start(p, false);
    else
        spart_fail(p, SPART_HALT,
                   p->mark.present ? "the store's mark is behind the committed offset"
                                   : "the store has no mark");
}

static void on_open(void *ctx, enum store_rc rc, struct store_part *sp, const struct store_mark *mark)
{
    struct spart *p = ctx;
    if (rc == STORE_OK) {
        p->store = sp;
        p->mark = *mark;
        spart_wait(p, NULL);
        judge_mark(p);
    } else if (rc == STORE_BAD) {
        spart_fail(p, SPART_HALT, "the store refused to open");
    } else {
        spart_wait(p, "the store does not answer");
        loop_timer_start(p->env->loop, &p->open_retry, spart_retry_ms(p));
    }
}

static void on_open_answer(void *ctx, enum store_rc rc, struct store_part *sp, const struct store_mark *mark)
{
    struct spart_opening *o = ctx;
    if (o->p) {
        o->p->opening = NULL;
        on_open(o->p, rc, sp, mark);
    } else if (rc == STORE_OK) {
        o->store->ops->close(sp);
    }
    free(o);
}

static void open_store(struct spart *p)
{
    const struct shell_decl *d = p->decl;
    struct spart_opening *o = malloc(sizeof *o);
    if (!o)
        shell_no_memory();
    *o = (struct spart_opening){p, d->store};
    p->opening = o;
    store_open(d->store, d->store_name, p->part, d->n_inputs, p->committed, on_open_answer, o);
}

static void open_due(struct timer *t)
{
    struct spart *p = container_of(t, struct spart, open_retry);
    if (p->state == SPART_OPENING && !p->opening)
        open_store(p);
}

static void on_timer_nothing(struct timer *t)
{
    (void)t; /* the turn that follows looks at the time */
}

struct spart *spart_new(const struct shell_decl *decl, const struct spart_env *env, int32_t part,
                        const int64_t *committed)
{
    struct spart *p = calloc(1, sizeof *p);
    if (!p || !(p->queue = calloc(decl->queue_records, sizeof *p->queue)) || !(p->put_arena = arena_new(0)))
        shell_no_memory();
    p->decl = decl;
    p->env = env;
    p->part = part;
    p->batches_tail = &p->batches;
    p->wake_at = p->wake_armed = INT64_MAX;
    memcpy(p->committed, committed, decl->n_inputs * sizeof *committed);
    timer_init(&p->wake, on_timer_nothing);
    timer_init(&p->open_retry, open_due);
    timer_init(&p->load_retry, batch_load_again);
    timer_init(&p->put_retry, spart_put_again);
    timer_init(&p->lazy, spart_lazy_due);
    timer_init(&p->commit_timer, spart_commit_due);
    timer_init(&p->drain, drain_due);
    timer_init(&p->gather, spart_gather_due);
    backoff_init(&p->backoff, 50, 5000, rand_u64());
    p->last_commit_ms = loop_now_ms(env->loop);
    open_store(p);
    return p;
}

void spart_free(struct spart *p)
{
    if (!p)
        return;
    loop_cancel(p->env->loop, &p->fail_job);
    spart_close_core(p);
    while (p->spare) {
        struct batch *b = p->spare;
        p->spare = b->next;
        batch_give_up(b);
    }
    arena_free(p->put_arena);
    free(p->queue);
    free(p);
}
