#include "tests/sim/sim_shell.h"

#include "tests/sim/sim_batch.h"
#include "tests/sim/sim_describe.h"
#include "tests/sim/sim_plant.h"
#include "tests/sim/sim_shell_int.h"
#include "tests/sim/sim_world.h"

#include <errno.h>

#define BATCHES 4

static bool early(const struct sim_shell *p)
{
    return p->sim->conf.plant == PLANT_EARLY_COMMIT && p->decl->store == STORE_FANOUT;
}

/* ---- closing, opening again ---- */
static void close_core(struct sim_shell *p)
{
    *p->cancelled = true;
    for (size_t i = 0; i < p->group->n_inputs; i++)
        sim_reader_close(&p->readers[i]);
    if (p->loading)
        p->loading->shell = NULL;
    for (struct sim_batch *b = p->batches; b; b = b->next)
        b->shell = NULL;
    p->loading = p->batches = NULL;
    p->batches_tail = &p->batches;
    p->n_batches = 0;
    p->queue = NULL;
    p->queue_tail = &p->queue;
    p->n_queue = 0;
    p->putting = p->mark_due = p->turn_scheduled = p->commit_scheduled = false;
    if (p->core)
        p->decl->ops->close(p->core);
    p->core = NULL;
    p->cancelled = sim_alloc(p->sim, sizeof *p->cancelled);
}

void sim_shell_close(struct sim_shell *p)
{
    if (p->state == SHELL_CLOSED)
        return;
    close_core(p);
    p->state = SHELL_CLOSED;
}

struct later { /* a call that is void when the partition has been opened again meanwhile */
    struct sim_shell *p;
    const bool *cancelled;
    void (*fn)(struct sim_shell *);
};

static void run_later(void *ctx, uint64_t arg)
{
    struct later *l = ctx;
    (void)arg;
    if (!*l->cancelled)
        l->fn(l->p);
}

void sim_shell_after(struct sim_shell *p, int64_t us, void (*fn)(struct sim_shell *))
{
    struct later *l = sim_alloc(p->sim, sizeof *l);
    *l = (struct later){p, p->cancelled, fn};
    sim_at(p->sim, &p->proc->actor, us, run_later, l, 0);
}

void sim_shell_reopen(struct sim_shell *p, const char *why)
{
    if (p->state == SHELL_CLOSED)
        return;
    sim_trace(p->sim, "%s %s/%d: closed: %s", p->proc->actor.name, p->decl->name, p->part, why);
    bool draining = p->state == SHELL_DRAINING;
    close_core(p);
    if (draining) {
        p->state = SHELL_CLOSED;
        sim_group_drained(p->group, p->part, p->proc);
        return;
    }
    p->state = SHELL_OPENING;
    sim_shell_after(p, sim_between(p->sim, 1, 200) * MS, sim_shell_open_store);
}

/* ---- plan, load ---- */
static void step(struct sim_batch *b);
static void plan(struct sim_batch *b);
static void load(struct sim_shell *p);

/* The newest put of a row that is still on its way to the store. */
static bool in_flight(const struct sim_shell *p, const struct sim_row *want, struct slice *row)
{
    bool found = false;
    for (const struct sim_batch *b = p->batches; b; b = b->next)
        for (const struct fx_row *r = b->rows; r; r = r->next)
            if (!r->append && r->r.table == want->table && r->r.key.n == want->key.n &&
                !memcmp(r->r.key.p, want->key.p, want->key.n)) {
                *row = r->r.row;
                found = true;
            }
    return found;
}

static void planned(struct sim_batch *b)
{
    bool more = false;
    for (uint32_t i = 0; i < b->n_recs; i++)
        more |= b->more[i];
    if (more)
        plan(b);
    else
        step(b);
}

static void on_loaded(void *ctx, enum store_rc rc)
{
    struct sim_batch *b = ctx;
    struct sim_shell *p = b->shell;
    if (!p)
        return;
    if (rc == STORE_FENCED) {
        sim_shell_reopen(p, "a load was refused");
        return;
    }
    if (rc != STORE_OK) {
        sim_shell_after(p, sim_between(p->sim, 5, 100) * MS, load);
        return;
    }
    for (uint32_t i = b->loaded; i < b->asked; i++) {
        struct sim_row *w = &b->wants[i];
        struct slice newer = w->row;
        in_flight(p, w, &newer); /* put by sent() meanwhile */
        p->decl->ops->load(p->core, w->table, w->key, newer);
    }
    b->loaded = b->asked;
    planned(b);
}

static void load(struct sim_shell *p)
{
    struct sim_batch *b = p->loading;
    if (!b)
        return;
    for (uint32_t i = b->asked; i < b->n_wants;
         i++) { /* what is on its way to the store need not be asked for */
        struct slice row;
        if (!in_flight(p, &b->wants[i], &row))
            continue;
        struct sim_row w = b->wants[i];
        b->wants[i] = b->wants[b->loaded];
        b->wants[b->loaded++] = w;
        p->decl->ops->load(p->core, w.table, w.key, row);
    }
    b->asked = b->n_wants;
    if (b->loaded < b->asked)
        sim_store_load(&p->handle, b->wants + b->loaded, b->asked - b->loaded, on_loaded, b, p->cancelled);
    else
        planned(b);
}

static void plan(struct sim_batch *b)
{
    struct sim_shell *p = b->shell;
    if (b->round++ == 4) {
        sim_fail(p->sim, "halted", "%s: the core's plan does not end", p->decl->name);
        return;
    }
    for (uint32_t i = 0; i < b->n_recs; i++) {
        if (b->round > 1 && !b->more[i])
            continue;
        enum core_rc rc = p->decl->ops->plan(p->core, &b->recs[i]->rec, &b->want);
        b->more[i] = rc == CORE_MORE;
        if (rc == CORE_POISON || rc == CORE_STOP) {
            sim_fail(p->sim, rc == CORE_STOP ? "halted" : "poison", "%s/%d plans offset %ld of topic %u",
                     p->decl->name, p->part, (long)b->recs[i]->rec.offset, b->recs[i]->rec.topic);
            return;
        }
    }
    if (b->loaded < b->n_wants)
        load(p);
    else
        planned(b);
}

static void start_batch(struct sim_shell *p)
{
    struct sim_batch *b = sim_batch_new(p);
    uint64_t most = 1 + sim_below(p->sim, sim_chance(p->sim, 500) ? 3 : BATCH_MAX);
    while (p->queue && b->n_recs < most) {
        struct sim_queued *q = p->queue;
        bool quiet = q->rec.offset < p->mark.quiet[q->input];
        if (b->n_recs && quiet != b->fx.quiet)
            break;
        b->fx.quiet = quiet;
        p->queue = q->next;
        if (!p->queue)
            p->queue_tail = &p->queue;
        p->n_queue--;
        b->recs[b->n_recs++] = q;
    }
    for (size_t i = 0; i < p->group->n_inputs; i++)
        if (p->readers[i].full && p->n_queue < 32)
            sim_reader_kick(&p->readers[i]);
    p->loading = b;
    if (p->decl->ops->plan)
        plan(b);
    else
        step(b);
}

/* ---- step, send ---- */
static void put(struct sim_shell *p);

static void on_report(void *ctx, uint64_t tag, enum sent outcome, int64_t offset);

static void send_out(struct sim_batch *b)
{
    struct sim_shell *p = b->shell;
    while (b->sends) {
        struct fx_send *f = b->sends;
        b->sends = f->next;
        if (!b->sends)
            b->sends_tail = &b->sends;
        b->in_flight++;
        sim_send(&p->proc->producer, f->topic, f->part, f->key, f->value, on_report, b, f->tag);
    }
}

static void on_report(void *ctx, uint64_t tag, enum sent outcome, int64_t offset)
{
    struct sim_batch *b = ctx;
    struct sim_shell *p = b->shell;
    (void)offset;
    b->in_flight--;
    if (!p)
        return;
    if (tag && p->decl->ops->sent)
        p->decl->ops->sent(p->core, tag, outcome, &b->fx);
    if (outcome != SENT_OK) {
        sim_shell_reopen(p, "a record could not be sent");
        return;
    }
    send_out(b);
    if (!b->in_flight) {
        if (sim_point(&p->proc->actor, p->decl->p_acked))
            return;
        put(p);
    }
}

static void step(struct sim_batch *b)
{
    struct sim_shell *p = b->shell;
    int64_t now = p->sim->now / MS;
    for (uint32_t i = 0; i < b->n_recs; i++) {
        const struct record *r = &b->recs[i]->rec;
        struct record changed = *r;
        if (p->sim->conf.plant == PLANT_NO_DUPLICATES && r->topic == T_CONVERSATION)
            changed.value = sim_plant_unnumbered(p->sim, r->value);
        sim_trace(p->sim, "%s %s/%d: %s%s", p->proc->actor.name, p->decl->name, p->part,
                  sim_describe(p->sim, r), b->fx.quiet ? " (quiet)" : "");
        enum core_rc rc = p->decl->ops->step(p->core, &changed, now, &b->fx);
        if (rc != CORE_OK) {
            sim_fail(p->sim, rc == CORE_STOP ? "halted" : "poison", "%s/%d steps offset %ld of topic %u",
                     p->decl->name, p->part, (long)r->offset, r->topic);
            return;
        }
        p->next[b->recs[i]->input] = r->offset + 1;
    }
    if (p->decl->ops->end)
        p->decl->ops->end(p->core, now, &b->fx);
    b->fx.quiet = false;
    b->stepped = true;
    p->loading = NULL;
    memcpy(b->upto, p->next, sizeof b->upto);
    *p->batches_tail = b;
    p->batches_tail = &b->next;
    p->n_batches++;
    if (sim_point(&p->proc->actor, p->decl->p_step))
        return;
    send_out(b);
    if (!b->in_flight || early(p))
        put(p);
    sim_shell_turn(p);
}

/* ---- put, commit ---- */

static void finished(struct sim_shell *p)
{
    if (p->state == SHELL_DRAINING && !p->batches && !p->loading && !p->putting) {
        sim_shell_close(p);
        sim_group_drained(p->group, p->part, p->proc);
    }
}

static void on_put(void *ctx, enum store_rc rc)
{
    struct sim_shell *p = ctx;
    if (rc == STORE_FENCED) {
        sim_shell_reopen(p, "a put was refused");
        return;
    }
    if (rc == STORE_DOWN) {
        sim_store_put(&p->handle, &p->put, on_put, p, p->cancelled);
        return;
    }
    p->putting = false;
    p->mark = p->put.mark;
    while (p->batches && p->batches->putting) {
        struct sim_batch *b = p->batches;
        p->batches = b->next;
        p->n_batches--;
        b->shell = NULL;
    }
    if (!p->batches)
        p->batches_tail = &p->batches;
    if (sim_point(&p->proc->actor, p->decl->p_put))
        return;
    if (!p->commit_scheduled) {
        p->commit_scheduled = true;
        sim_shell_after(p, p->state == SHELL_DRAINING ? 0 : sim_between(p->sim, 0, 200) * MS,
                        sim_shell_commit);
    }
    put(p);
    sim_shell_turn(p);
}

void sim_shell_commit(struct sim_shell *p)
{
    p->commit_scheduled = false;
    if (sim_group_commit(p->group, p->part, p->proc, p->mark.next)) {
        sim_shell_reopen(p, "a commit was refused");
        return;
    }
    for (size_t i = 0; i < p->group->n_inputs; i++)
        if (p->mark.next[i] > p->committed[i])
            p->committed[i] = p->mark.next[i];
    if (sim_point(&p->proc->actor, p->decl->p_commit))
        return;
    finished(p);
}

static void put_due(struct sim_shell *p)
{
    p->mark_due = true;
    put(p);
}

static void put(struct sim_shell *p)
{
    size_t n = 0, n_appends = 0;
    uint32_t batches = 0;
    struct sim_batch *last = NULL;
    if (p->putting || !p->core)
        return;
    for (struct sim_batch *b = p->batches; b && b->stepped && (!b->in_flight || early(p)); b = b->next) {
        if (batches && sim_chance(p->sim, 200))
            break;
        for (struct fx_row *r = b->rows; r; r = r->next)
            *(r->append ? &n_appends : &n) += 1;
        last = b;
        batches++;
    }
    if (!last)
        return;
    if (!n && !n_appends && !p->mark_due && p->n_batches < BATCHES && sim_chance(p->sim, 500)) {
        sim_shell_after(p, sim_between(p->sim, 1, 200) * MS, put_due); /* a mark alone may wait */
        return;
    }
    p->mark_due = false;
    p->put = (struct sim_put){.rows = sim_alloc(p->sim, n * sizeof(struct sim_row) + 1),
                              .appends = sim_alloc(p->sim, n_appends * sizeof(struct slice) + 1),
                              .mark = p->mark};
    p->put.mark.serial++;
    memcpy(p->put.mark.next, last->upto, sizeof p->put.mark.next);
    for (struct sim_batch *b = p->batches;; b = b->next) {
        b->putting = true;
        for (struct fx_row *r = b->rows; r; r = r->next)
            if (r->append)
                p->put.appends[p->put.n_appends++] = r->r.row;
            else
                p->put.rows[p->put.n++] = r->r;
        if (b == last)
            break;
    }
    p->putting = true;
    sim_store_put(&p->handle, &p->put, on_put, p, p->cancelled);
}

/* ---- turns ---- */
static void take_turn(struct sim_shell *p)
{
    p->turn_scheduled = false;
    if (p->state == SHELL_RUNNING && !p->loading && p->queue && p->n_batches < BATCHES && !p->sim->verdict[0])
        start_batch(p);
    if (p->core && p->queue && !p->loading && p->n_batches < BATCHES)
        sim_shell_turn(p);
}

void sim_shell_turn(struct sim_shell *p)
{
    if (p->turn_scheduled || !p->core || !p->queue)
        return;
    p->turn_scheduled = true;
    sim_shell_after(p, sim_chance(p->sim, 700) ? 10 : sim_delay(p->sim), take_turn);
}

void sim_shell_drain(struct sim_shell *p)
{
    if (p->state != SHELL_RUNNING) {
        sim_shell_close(p);
        sim_group_drained(p->group, p->part, p->proc);
        return;
    }
    p->state = SHELL_DRAINING;
    p->queue = NULL;
    p->queue_tail = &p->queue;
    p->n_queue = 0;
    if (p->loading)
        p->loading->shell = NULL;
    p->loading = NULL;
    p->mark_due = true;
    if (!p->batches && !p->putting) {
        p->commit_scheduled = true;
        sim_shell_after(p, 0, sim_shell_commit);
    } else {
        put(p);
    }
}

bool sim_shell_idle(const struct sim_shell *p)
{
    return p->state == SHELL_RUNNING && !p->queue && !p->loading && !p->batches && !p->putting;
}
