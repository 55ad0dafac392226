/* shell_batch.c: fill, plan, load, step, tick. One batch at a time is being planned; stepped ones overlap. */
#include "common/base/crash.h"
#include "common/base/log.h"
#include "common/base/shell_int.h"

#include <stdlib.h>
#include <string.h>

#define LATER_MS 5

_Noreturn void shell_no_memory(void)
{
    log_error("out of memory in a batch: the log will be read again");
    log_flush_all();
    abort();
}

/* ---- life ---- */
static void batch_reset(struct batch *b, struct spart *p)
{
    struct arena *a = b->arena;
    struct brec *recs = b->recs;
    *b = (struct batch){.part = p, .arena = a, .recs = recs};
    b->fx.b = b->want.b = b;
    b->sends_tail = &b->sends;
    b->rows_tail = &b->rows;
    b->wants_tail = &b->wants;
}

struct batch *batch_new(struct spart *p)
{
    struct batch *b = p->spare;
    if (b) {
        p->spare = b->next;
    } else {
        b = calloc(1, sizeof *b);
        if (!b || !(b->arena = arena_new(0)) || !(b->recs = calloc(p->decl->batch_records, sizeof *b->recs)))
            shell_no_memory();
    }
    batch_reset(b, p);
    return b;
}

void brec_drop(struct brec *r)
{
    kmsg_free(r->msg);
    free(r->copy);
}

static void drop_records(struct batch *b)
{
    for (uint32_t i = 0; i < b->n_recs; i++)
        brec_drop(&b->recs[i]);
    b->n_recs = 0;
}

void batch_give_up(struct batch *b)
{
    drop_records(b);
    b->part = NULL;
    if (b->in_flight)
        return;
    arena_free(b->arena);
    free(b->recs);
    free(b);
}

void batch_done(struct batch *b)
{
    struct spart *p = b->part;
    if (planted("commit-early")) {
        batch_send(b);
        batch_give_up(b);
        return;
    }
    drop_records(b);
    arena_reset(b->arena);
    b->next = p->spare;
    p->spare = b;
}

/* ---- rows that are on their way to the store ---- */
void batch_index(struct batch *b)
{
    for (struct srow *r = b->unindexed; r; r = r->next) {
        if (r->r.append)
            continue;
        struct srow *old = row_index_put(&b->index, b->arena, r);
        if (old)
            old->replaced = true;
    }
    b->unindexed = NULL;
}

static const struct srow *in_flight(struct spart *p, uint8_t table, struct slice key)
{
    const struct srow *found = NULL;
    for (struct batch *b = p->batches; b; b = b->next) {
        batch_index(b);
        const struct srow *r = row_index_find(&b->index, table, key);
        found = r ? r : found;
    }
    return found;
}

/* ---- plan and load ---- */
static void step(struct batch *b);
static void plan(struct batch *b);

static void planned(struct batch *b)
{
    struct spart *p = b->part;
    bool more = false, later = false;
    for (uint32_t i = 0; i < b->n_recs; i++) {
        more |= b->recs[i].more;
        later |= b->recs[i].later;
    }
    if (later) {
        b->round -= b->round > 1; /* that was none */
        spart_wait(p, "a view does not know yet what the log speaks of");
        loop_timer_start(p->env->loop, &p->load_retry, LATER_MS);
    } else if (more) {
        plan(b);
    } else {
        if (b->waited)
            spart_wait(p, NULL);
        step(b);
    }
}

static void on_row(void *ctx, const struct store_key *k, struct slice row)
{
    struct spart *p = ((struct batch *)ctx)->part;
    if (p->state == SPART_DRAINING)
        return;
    const struct srow *newer = in_flight(p, k->table, k->key); /* put by sent() meanwhile */
    p->decl->ops->load(p->core, k->table, k->key, newer ? newer->r.row : row);
}

static void on_loaded(void *ctx, enum store_rc rc)
{
    struct batch *b = ctx;
    struct spart *p = b->part;
    if (p->state == SPART_DRAINING) { /* not stepped, so it is the next owner's */
        p->loading = NULL;
        batch_give_up(b);
        spart_drained(p);
        return;
    }
    switch (rc) {
    case STORE_OK:
        b->unloaded = NULL;
        spart_wait(p, NULL);
        planned(b);
        break;
    case STORE_DOWN:
        spart_wait(p, "the store does not answer");
        loop_timer_start(p->env->loop, &p->load_retry, spart_retry_ms(p));
        break;
    case STORE_FENCED:
        spart_fail(p, SPART_REOPEN, "the store's rows are not ours any more");
        break;
    case STORE_BAD:
        spart_fail(p, SPART_HALT, "the store refused a load");
        break;
    }
}

static void load(struct batch *b)
{
    struct spart *p = b->part;
    size_t n = 0;
    for (struct srow *w = b->unloaded; w; w = w->next)
        n++;
    if (n > b->n_keys) { /* a repeated load has no more to ask for than the first */
        b->keys = fx_alloc(&b->fx, n * sizeof *b->keys);
        b->n_keys = n;
    }
    struct store_key *keys = b->keys;
    n = 0;
    for (struct srow *w = b->unloaded; w; w = w->next) {
        const struct srow *r = w->replaced ? NULL : in_flight(p, w->r.table, w->r.key);
        if (r)
            p->decl->ops->load(p->core, w->r.table, w->r.key, r->r.row);
        else if (!w->replaced)
            keys[n++] = (struct store_key){w->r.table, w->r.key};
        w->replaced = r != NULL; /* answered: a repeated load does not ask again */
    }
    if (n) {
        p->decl->store->ops->load(p->store, keys, n, on_row, on_loaded, b);
    } else {
        b->unloaded = NULL;
        planned(b);
    }
}

void batch_load_again(struct timer *t)
{
    struct spart *p = container_of(t, struct spart, load_retry);
    struct batch *b = p->failure ? NULL : p->loading;
    if (b && b->waited)
        plan(b);
    else if (b)
        load(b);
}

static void plan(struct batch *b)
{
    struct spart *p = b->part;
    if (b->round++ == SHELL_PLAN_ROUNDS) {
        spart_fail(p, SPART_HALT, "the core's plan does not end");
        return;
    }
    for (uint32_t i = 0; i < b->n_recs; i++) {
        struct brec *r = &b->recs[i];
        if (b->round > 1 && !r->more)
            continue;
        enum core_rc rc = p->decl->ops->plan(p->core, &r->r, &b->want);
        bool endless = rc == CORE_MORE && b->round == SHELL_PLAN_ROUNDS;
        if (r->input == SHELL_OFFERED && (rc == CORE_STOP || rc == CORE_LATER || endless))
            rc = CORE_POISON; /* left out */
        r->later = rc == CORE_LATER;
        b->waited |= r->later;
        r->more = rc == CORE_MORE || r->later;
        r->poison = rc == CORE_POISON;
        if (rc == CORE_STOP) { /* the records before it are good */
            b->stop = true;
            for (uint32_t k = i; k < b->n_recs; k++)
                b->recs[k].more = false;
            drop_records(&(struct batch){.recs = b->recs + i, .n_recs = b->n_recs - i});
            b->n_recs = i;
        }
    }
    if (b->unloaded)
        load(b);
    else
        planned(b);
}

void batch_start(struct spart *p)
{
    struct batch *b = batch_new(p);
    size_t bytes = 0;
    while (p->q_n && b->n_recs < p->decl->batch_records && bytes < p->decl->batch_kbytes * 1024ull) {
        struct brec *r = &p->queue[p->q_head];
        bool quiet = r->input != SHELL_OFFERED && r->r.offset < p->mark.quiet[r->input];
        if (b->n_recs && quiet != b->fx.quiet)
            break; /* end() speaks for all of a batch */
        b->fx.quiet = quiet;
        p->q_head = p->q_head + 1 == p->decl->queue_records ? 0 : p->q_head + 1;
        p->q_n--;
        bytes += r->r.value.n + r->r.key.n;
        b->recs[b->n_recs++] = *r;
    }
    p->q_bytes -= bytes;
    p->loading = b;
    if (p->decl->ops->plan)
        plan(b);
    else
        step(b);
}

/* ---- step ---- */
struct fx_mark { /* to undo what one record caused */
    struct bsend **sends_tail;
    struct srow **rows_tail;
    uint32_t n_rows;
    bool none_unsent, none_unindexed;
};

static struct fx_mark fx_here(const struct batch *b)
{
    return (struct fx_mark){b->sends_tail, b->rows_tail, b->n_rows, !b->unsent, !b->unindexed};
}

static void fx_undo(struct batch *b, const struct fx_mark *m)
{
    *(b->sends_tail = m->sends_tail) = NULL;
    *(b->rows_tail = m->rows_tail) = NULL;
    b->n_rows = m->n_rows;
    if (m->none_unsent)
        b->unsent = NULL;
    if (m->none_unindexed)
        b->unindexed = NULL;
}

static bool bury(struct batch *b, const struct brec *r)
{
    const struct shell_decl *d = b->part->decl;
    if (d->dlq_topic == SHELL_NO_DLQ || !d->dead_letter)
        return false;
    struct shell_dead dead = {&r->r, d->topics[r->r.topic].name, "refused by its reader"};
    struct slice v = d->dead_letter(d->ctx, &dead, &b->fx);
    if (!v.n)
        return false;
    shell_count_dead(b->part);
    fx_send(&b->fx, d->dlq_topic, r->r.key, v, 0);
    return true;
}

static bool step_record(struct batch *b, const struct brec *r, int64_t now)
{
    struct spart *p = b->part;
    struct fx_mark before = fx_here(b);
    bool offered = r->input == SHELL_OFFERED;
    if (offered && (r->poison || now > r->until_ms))
        return true;
    enum core_rc rc = r->poison ? CORE_POISON : p->decl->ops->step(p->core, &r->r, now, &b->fx);
    if (rc == CORE_OK)
        return true;
    fx_undo(b, &before);
    return offered || (rc == CORE_POISON && bury(b, r));
}

static void append(struct spart *p, struct batch *b)
{
    b->state = BATCH_SENDING;
    b->next = NULL;
    memcpy(b->upto, p->next, sizeof b->upto);
    *p->batches_tail = b;
    p->batches_tail = &b->next;
    p->n_batches++;
}

/* What of it was stepped, by age. */
static void note_ages(struct batch *b)
{
    struct batch_age *a = b->stepped ? arena_alloc(b->arena, b->stepped * sizeof *a) : NULL;
    uint32_t n = 0;
    if (!a)
        return;
    for (uint32_t i = 0, k = 0; i < b->n_recs && k < b->stepped; i++) {
        if (b->recs[i].input == SHELL_OFFERED)
            continue;
        k++;
        if (n && a[n - 1].time_ms == b->recs[i].r.time_ms)
            a[n - 1].n++;
        else
            a[n++] = (struct batch_age){b->recs[i].r.time_ms, 1};
    }
    b->ages = a;
    b->n_ages = n;
    shell_count_ages(b, "stepped");
}

static void step(struct batch *b)
{
    struct spart *p = b->part;
    int64_t now = loop_now_ms(p->env->loop);
    uint32_t i;
    for (i = 0; i < b->n_recs; i++) {
        if (!step_record(b, &b->recs[i], now))
            break;
        if (b->recs[i].input == SHELL_OFFERED)
            continue;
        p->next[b->recs[i].input] = b->recs[i].r.offset + 1;
        b->stepped++;
    }
    if (i < b->n_recs)
        snprintf(p->stop_why, sizeof p->stop_why, "the core stops at offset %lld of %s",
                 (long long)b->recs[i].r.offset, p->decl->topics[b->recs[i].r.topic].name);
    else if (b->stop)
        snprintf(p->stop_why, sizeof p->stop_why, "the core stops");
    b->stop |= i < b->n_recs;
    if (p->decl->ops->end)
        p->decl->ops->end(p->core, now, &b->fx);
    b->fx.quiet = false;
    note_ages(b);
    drop_records(b);
    shell_crash(p, "step");
    shell_count_batch(p, b->stepped);
    p->loading = NULL;
    append(p, b);
    if (b->stop) {
        p->stopping = true;
        p->env->stop(p->env->ctx, p);
    }
    batch_send(b);
}

void batch_tick(struct spart *p)
{
    p->poked = false;
    p->wake_at = INT64_MAX;
    if (!p->decl->ops->tick)
        return;
    struct batch *b = batch_new(p);
    p->decl->ops->tick(p->core, loop_now_ms(p->env->loop), &b->fx);
    if (!b->sends && !b->rows) {
        batch_done(b);
        return;
    }
    append(p, b);
    batch_send(b);
}
