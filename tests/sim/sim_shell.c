#include "tests/sim/sim_shell.h"

#include "tests/sim/sim_batch.h"
#include "tests/sim/sim_describe.h"
#include "tests/sim/sim_plant.h"
#include "tests/sim/sim_shell_int.h"
#include "tests/sim/sim_world.h"

#include <errno.h>

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

/* ---- step, send ---- */
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
        sim_shell_plan(b);
    else
        sim_shell_step(b);
}

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
        sim_shell_put(p);
    }
}

void sim_shell_step(struct sim_batch *b)
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
    if (!b->in_flight || sim_shell_early(p))
        sim_shell_put(p);
    sim_shell_turn(p);
}

/* ---- turns ---- */
static void take_turn(struct sim_shell *p)
{
    p->turn_scheduled = false;
    if (p->state == SHELL_RUNNING && !p->loading && p->queue && p->n_batches < SHELL_BATCHES &&
        !p->sim->verdict[0])
        start_batch(p);
    if (p->core && p->queue && !p->loading && p->n_batches < SHELL_BATCHES)
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
        sim_shell_put(p);
    }
}

bool sim_shell_idle(const struct sim_shell *p)
{
    return p->state == SHELL_RUNNING && !p->queue && !p->loading && !p->batches && !p->putting;
}
