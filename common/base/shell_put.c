/* shell_put.c: rows and mark of the oldest batches whose sends are all acked, in one put; then the commit.
 *
 * One put at a time; what gets acked meanwhile goes together into the next. A run of batches without rows may leave
 * the mark behind for a while. Commits only tell lag and retention, so they are made at most every COMMIT_MS.
 */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/shell_int.h"

#include <errno.h>
#include <string.h>

#define COMMIT_MS    200
#define PUT_ROWS_MAX 20000
#define PUT_ROWS_FEW 500

static void finish_until(struct spart *p, const struct batch *end)
{
    while (p->batches != end) {
        struct batch *b = p->batches;
        p->batches = b->next;
        if (!p->batches)
            p->batches_tail = &p->batches;
        p->n_batches--;
        batch_done(b);
    }
}

/* The acked batches at the head; *end is the first that is not part of the run. */
static uint32_t acked_run(struct spart *p, struct batch **end, struct batch **last)
{
    uint32_t rows = 0;
    struct batch *b = p->batches;
    for (; b && b->state == BATCH_ACKED && rows < PUT_ROWS_MAX; b = b->next) {
        rows += b->n_rows;
        *last = b;
    }
    *end = b;
    return rows;
}

/* Without rows the mark may wait; what is finished goes, the offsets are remembered. */
static void be_lazy(struct spart *p, struct batch *end)
{
    for (struct batch *b = p->batches; b != end; b = b->next) {
        if (!b->stepped) /* no further than the one before */
            continue;
        p->unput_records += b->stepped;
        memcpy(p->unput, b->upto, sizeof p->unput);
        p->has_unput = true;
    }
    finish_until(p, end);
    if (p->unput_records >= p->decl->lazy_records)
        p->mark_due = true;
    else if (p->has_unput && !timer_running(&p->lazy))
        loop_timer_start(p->env->loop, &p->lazy, p->decl->lazy_ms);
}

void spart_lazy_due(struct timer *t)
{
    struct spart *p = container_of(t, struct spart, lazy);
    p->mark_due = true;
    spart_put(p);
}

/* The last row of a key wins; appends keep their order. */
static void gather(struct spart *p, const struct batch *end, uint32_t n)
{
    struct store_row *rows = arena_alloc(p->put_arena, (n + 1) * sizeof *rows);
    struct row_index index = {0};
    struct batch *single = p->batches && p->batches->next == end ? p->batches : NULL;
    size_t k = 0;
    if (!rows)
        shell_no_memory();
    for (struct batch *b = p->batches; b != end; b = b->next) {
        batch_index(b);
        b->state = BATCH_PUTTING;
        for (struct srow *r = b->rows; r && !single; r = r->next) {
            struct srow *old = r->r.append || r->replaced ? NULL : row_index_put(&index, p->put_arena, r);
            if (old)
                old->replaced = true;
        }
    }
    for (struct batch *b = p->batches; b != end; b = b->next)
        for (struct srow *r = b->rows; r; r = r->next)
            if (!r->replaced)
                rows[k++] = r->r;
    p->put = (struct store_put){.rows = rows, .n = k, .mark = &p->put_mark};
}

static void put_out(struct spart *p);

static void on_put(void *ctx, enum store_rc rc)
{
    struct spart *p = ctx;
    struct batch *end = p->batches;
    switch (rc) {
    case STORE_OK:
        shell_crash(p, "put");
        shell_count_put(p, clock_mono_us() - p->put_at_us);
        p->putting = false;
        p->mark = p->put_mark;
        backoff_reset(&p->backoff);
        spart_wait(p, NULL);
        for (; end && end->state == BATCH_PUTTING; end = end->next)
            if (end->n_rows)
                shell_count_ages(end, "stored");
        finish_until(p, end);
        arena_reset(p->put_arena);
        p->commit_due = true;
        spart_commit_now(p);
        spart_put(p);
        spart_drained(p);
        break;
    case STORE_DOWN:
        spart_wait(p, "the store does not take the rows");
        loop_timer_start(p->env->loop, &p->put_retry, spart_retry_ms(p));
        break;
    case STORE_FENCED:
        spart_fail(p, SPART_REOPEN, "the store was opened by another, or lost data");
        break;
    case STORE_BAD:
        spart_fail(p, SPART_HALT, "the store refused a put");
        break;
    }
}

static void put_out(struct spart *p)
{
    p->put_at_us = clock_mono_us();
    shell_crash(p, "putting");
    p->decl->store->ops->put(p->store, &p->put, on_put, p);
}

void spart_put_again(struct timer *t)
{
    struct spart *p = container_of(t, struct spart, put_retry);
    if (p->putting && !p->failure)
        put_out(p);
}

void spart_gather_due(struct timer *t)
{
    spart_put(container_of(t, struct spart, gather));
}

/* Few rows wait for more to go with them, as long as that holds up no batch. */
static bool gathering(struct spart *p, uint32_t rows)
{
    int64_t left = p->put_at_us / 1000 + p->decl->put_ms - loop_now_ms(p->env->loop);
    if (rows >= PUT_ROWS_FEW || left <= 0 || p->n_batches + 1 >= p->decl->batches)
        return false;
    if (!timer_running(&p->gather))
        loop_timer_start(p->env->loop, &p->gather, left);
    return true;
}

void spart_put(struct spart *p)
{
    struct batch *end, *last = NULL;
    if (p->putting || p->failure || !p->core)
        return;
    uint32_t rows = acked_run(p, &end, &last);
    bool force = p->mark_due || p->state == SPART_DRAINING || p->stopping;
    if (!rows && !force) {
        if (last)
            be_lazy(p, end);
        return;
    }
    if (!last && !p->has_unput) {
        p->mark_due = false;
        return;
    }
    if (!force && gathering(p, rows))
        return;
    p->put_mark = p->mark;
    p->put_mark.serial++;
    memcpy(p->put_mark.next, last ? last->upto : p->unput, sizeof p->put_mark.next);
    gather(p, end, rows);
    p->putting = true;
    p->has_unput = p->mark_due = false;
    p->unput_records = 0;
    loop_timer_stop(p->env->loop, &p->lazy);
    put_out(p);
}

/* ---- commit ---- */
static bool worth_committing(const struct spart *p, int64_t *next)
{
    bool any = false;
    for (size_t i = 0; i < p->decl->n_inputs; i++) {
        next[i] = p->mark.next[i] > p->committed[i] ? p->mark.next[i] : -1;
        any |= next[i] >= 0;
    }
    return any;
}

void spart_commit_due(struct timer *t)
{
    spart_commit_now(container_of(t, struct spart, commit_timer));
}

void spart_commit_now(struct spart *p)
{
    int64_t next[STORE_TOPICS], now = loop_now_ms(p->env->loop);
    if (!p->commit_due || p->committing || p->failure)
        return;
    if (!worth_committing(p, next)) {
        p->commit_due = false;
        return;
    }
    bool hurry = p->state == SPART_DRAINING || p->stopping;
    if (!hurry && now - p->last_commit_ms < COMMIT_MS) {
        if (!timer_running(&p->commit_timer))
            loop_timer_start(p->env->loop, &p->commit_timer, COMMIT_MS - (now - p->last_commit_ms));
        return;
    }
    int rc = p->env->commit(p->env->ctx, p, next);
    if (rc == -EAGAIN || rc == -ENOMEM) {
        loop_timer_start(p->env->loop, &p->commit_timer, COMMIT_MS);
        return;
    }
    if (rc < 0) {
        spart_fail(p, SPART_LOST, "the assignment is gone");
        return;
    }
    p->commit_due = false;
    p->committing = true;
    p->last_commit_ms = now;
}

void spart_committed(struct spart *p, int rc, const int64_t *next)
{
    if (!p->committing)
        return;
    p->committing = false;
    if (rc == 0) {
        shell_crash(p, "commit");
        for (size_t i = 0; i < p->decl->n_inputs; i++)
            if (next[i] > p->committed[i])
                p->committed[i] = next[i];
    } else if (rc != -EAGAIN) {
        spart_fail(p, SPART_LOST, "a commit was refused");
        return;
    } else {
        p->commit_due = true;
    }
    if (p->commit_due || p->mark_due)
        spart_commit_now(p);
    spart_drained(p);
}

bool spart_settled(const struct spart *p)
{
    return !p->batches && !p->loading && !p->putting && !p->has_unput && !p->commit_due && !p->committing;
}
