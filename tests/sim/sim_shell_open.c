/* sim_shell_open.c: the mark is judged, rows are made again if need be, the core opens at it. */
#include "tests/sim/sim_batch.h"
#include "tests/sim/sim_shell_int.h"
#include "tests/sim/sim_world.h"

static bool on_record(void *ctx, const struct record *r)
{
    struct sim_shell *p = ctx;
    struct sim_queued *q = sim_alloc(p->sim, sizeof *q);
    q->rec = *r;
    while (p->group->inputs[q->input] != r->topic)
        q->input++;
    *p->queue_tail = q;
    p->queue_tail = &q->next;
    p->n_queue++;
    sim_shell_turn(p);
    return p->n_queue < 64;
}

static void open_core(struct sim_shell *p)
{
    struct core_open o = {.part = p->part,
                          .next = p->mark.next,
                          .quiet = p->mark.quiet,
                          .settings = p->settings,
                          .shared = p->shared};
    memcpy(p->next, p->mark.next, sizeof p->next);
    p->core = p->decl->ops->open(&o);
    if (!p->core)
        abort();
    p->state = SHELL_RUNNING;
    sim_trace(p->sim, "%s %s/%d: open at %ld, quiet below %ld, committed %ld", p->proc->actor.name,
              p->decl->name, p->part, (long)p->mark.next[0], (long)p->mark.quiet[0], (long)p->committed[0]);
    for (size_t i = 0; i < p->group->n_inputs; i++)
        sim_reader_open(&p->readers[i], &p->proc->actor, p->group->inputs[i], p->part, p->mark.next[i],
                        on_record, p);
}

static void started(struct sim_shell *p)
{
    bool ahead = false;
    open_core(p);
    for (size_t i = 0; i < p->group->n_inputs; i++)
        ahead |= p->mark.next[i] > p->committed[i];
    if (!ahead)
        return;
    p->commit_scheduled = true;
    sim_shell_after(p, sim_between(p->sim, 0, 200) * MS, sim_shell_commit);
}

static void on_recovered(void *ctx, enum store_rc rc)
{
    struct sim_shell *p = ctx;
    if (rc == STORE_FENCED) {
        sim_shell_reopen(p, "recovered rows refused");
        return;
    }
    if (rc == STORE_DOWN) {
        sim_store_put(&p->handle, &p->put, on_recovered, p, p->cancelled);
        return;
    }
    p->mark = p->put.mark;
    started(p);
}

static void recover(struct sim_shell *p)
{
    struct sim_recovery *r = sim_alloc(p->sim, sizeof *r);
    if (p->decl->recover)
        p->decl->recover(p, r);
    else
        memcpy(r->quiet, p->committed, sizeof r->quiet);
    if (r->again) {
        sim_shell_after(p, sim_between(p->sim, 5, 100) * MS, recover);
        return;
    }
    sim_trace(p->sim, "%s %s/%d: recovered %u rows, next %ld, quiet %ld", p->proc->actor.name, p->decl->name,
              p->part, r->rows.n, (long)r->next[0], (long)r->quiet[0]);
    p->put = (struct sim_put){.rows = r->rows.v, .n = r->rows.n, .mark = p->mark, .reset = true};
    p->put.mark.serial++;
    p->put.mark.present = true;
    memcpy(p->put.mark.next, r->next, sizeof r->next);
    memcpy(p->put.mark.quiet, r->quiet, sizeof r->quiet);
    sim_store_put(&p->handle, &p->put, on_recovered, p, p->cancelled);
}

static void judge_mark(struct sim_shell *p)
{
    bool fresh = true, behind = false;
    for (size_t i = 0; i < p->group->n_inputs; i++) {
        int64_t c = p->committed[i];
        fresh &= c == 0;
        behind |= p->mark.next[i] < c && p->mark.quiet[i] < c;
    }
    if (p->mark.present && !behind) {
        started(p);
    } else if (!p->mark.present && fresh) {
        struct sim_recovery none = {0};
        p->put = (struct sim_put){.mark = p->mark, .reset = true};
        p->put.mark.serial++;
        p->put.mark.present = true;
        memcpy(p->put.mark.next, none.next, sizeof none.next);
        memcpy(p->put.mark.quiet, none.quiet, sizeof none.quiet);
        sim_store_put(&p->handle, &p->put, on_recovered, p, p->cancelled);
    } else {
        recover(p);
    }
}

static void on_opened(void *ctx, enum store_rc rc, const struct store_mark *mark)
{
    struct sim_shell *p = ctx;
    if (rc != STORE_OK) {
        sim_shell_after(p, sim_between(p->sim, 10, 200) * MS, sim_shell_open_store);
        return;
    }
    p->mark = *mark;
    judge_mark(p);
}

void sim_shell_open_store(struct sim_shell *p)
{
    p->handle = (struct sim_handle){.of = &p->sim->world->stores.part[p->decl->store][p->part],
                                    .actor = &p->proc->actor};
    sim_store_open(&p->handle, on_opened, p, p->cancelled);
}

struct sim_shell *sim_shell_open(struct sim_proc *proc, struct sim_group *g, const struct sim_core *decl,
                                 int32_t part, const int64_t *committed, const void *settings, void *shared)
{
    struct sim *s = proc->actor.sim;
    struct sim_shell *p = sim_alloc(s, sizeof *p);
    *p = (struct sim_shell){.sim = s,
                            .proc = proc,
                            .group = g,
                            .decl = decl,
                            .part = part,
                            .settings = settings,
                            .shared = shared};
    p->cancelled = sim_alloc(s, sizeof *p->cancelled);
    p->queue_tail = &p->queue;
    p->batches_tail = &p->batches;
    memcpy(p->committed, committed, sizeof p->committed);
    sim_shell_open_store(p);
    return p;
}
