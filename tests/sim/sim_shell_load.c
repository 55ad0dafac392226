/* sim_shell_load.c: what a batch will look at is asked of the core and fetched, as often as the core wants more. */
#include "tests/sim/sim_batch.h"
#include "tests/sim/sim_shell_int.h"
#include "tests/sim/sim_world.h"

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
        sim_shell_plan(b);
    else
        sim_shell_step(b);
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

void sim_shell_plan(struct sim_batch *b)
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
