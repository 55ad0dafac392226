/* sim_shell_put.c: once a batch's sends are acked, its rows and the mark are put together, then the offsets committed. */
#include "tests/sim/sim_batch.h"
#include "tests/sim/sim_shell_int.h"
#include "tests/sim/sim_world.h"

bool sim_shell_early(const struct sim_shell *p)
{
    return p->sim->conf.plant == PLANT_EARLY_COMMIT && p->decl->store == STORE_FANOUT;
}

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
    sim_shell_put(p);
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
    sim_shell_put(p);
}

void sim_shell_put(struct sim_shell *p)
{
    size_t n = 0, n_appends = 0;
    uint32_t batches = 0;
    struct sim_batch *last = NULL;
    if (p->putting || !p->core)
        return;
    for (struct sim_batch *b = p->batches; b && b->stepped && (!b->in_flight || sim_shell_early(p));
         b = b->next) {
        if (batches && sim_chance(p->sim, 200))
            break;
        for (struct fx_row *r = b->rows; r; r = r->next)
            *(r->append ? &n_appends : &n) += 1;
        last = b;
        batches++;
    }
    if (!last)
        return;
    if (!n && !n_appends && !p->mark_due && p->n_batches < SHELL_BATCHES && sim_chance(p->sim, 500)) {
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
