#include "common/base/fold.h"

#include "common/base/shell_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (1u << 20) /* few of them: every row looks through all whether it is in one */

enum { PLANNED, MORE, POISON };

struct fold {
    const struct core_ops *ops;
    struct fold_owner owner;
    void *core;
    struct batch batch; /* of no partition: what is sent is dropped */
    uint64_t poison;
};

struct fold *fold_new(const struct core_ops *ops, const struct core_open *open,
                      const struct fold_owner *owner)
{
    struct fold *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->ops = ops;
    f->owner = *owner;
    f->batch.arena = arena_new(CHUNK);
    f->core = f->batch.arena ? ops->open(open) : NULL;
    if (!f->core) {
        fold_free(f);
        return NULL;
    }
    return f;
}

void fold_free(struct fold *f)
{
    if (!f)
        return;
    if (f->core)
        f->ops->close(f->core);
    arena_free(f->batch.arena);
    free(f);
}

static void begin(struct fold *f)
{
    struct batch *b = &f->batch;
    struct arena *a = b->arena;
    arena_reset(a);
    *b = (struct batch){.arena = a};
    b->fx.b = b->want.b = b;
    b->fx.quiet = true;
    b->sends_tail = &b->sends;
    b->rows_tail = &b->rows;
    b->wants_tail = &b->wants;
}

void fold_loaded(struct fold *f, uint8_t table, struct slice key, struct slice row)
{
    f->ops->load(f->core, table, key, row);
}

static int load(struct fold *f)
{
    struct batch *b = &f->batch;
    size_t n = 0;
    for (struct srow *w = b->unloaded; w; w = w->next)
        n++;
    struct store_key *keys = fx_alloc(&b->fx, (n + 1) * sizeof *keys);
    n = 0;
    for (struct srow *w = b->unloaded; w; w = w->next)
        keys[n++] = (struct store_key){w->r.table, w->r.key};
    b->unloaded = NULL;
    return n ? f->owner.load(f->owner.ctx, f, keys, n) : 0;
}

/* How many records may be stepped; states: one of each. Negative: load() failed. */
static int64_t plan(struct fold *f, const struct record *r, size_t n, uint8_t *states)
{
    bool more = true;
    memset(states, MORE, n);
    for (int round = 0; more; round++) {
        if (round == SHELL_PLAN_ROUNDS)
            return -ELOOP;
        more = false;
        for (size_t i = 0; i < n; i++) {
            if (states[i] != MORE)
                continue;
            enum core_rc rc = f->ops->plan(f->core, &r[i], &f->batch.want);
            states[i] = rc == CORE_MORE ? MORE : rc == CORE_POISON ? POISON : PLANNED;
            more |= rc == CORE_MORE;
            if (rc == CORE_STOP || rc == CORE_LATER)
                n = i; /* the records before it are good */
        }
        int rc = load(f);
        if (rc)
            return rc;
    }
    return (int64_t)n;
}

/* False: the core stops here. What a record caused that was not taken is undone. */
static bool step(struct fold *f, const struct record *r, bool poison)
{
    struct batch *b = &f->batch;
    struct srow **tail = b->rows_tail;
    enum core_rc rc = poison ? CORE_POISON : f->ops->step(f->core, r, r->time_ms, &b->fx);
    if (rc == CORE_OK)
        return true;
    *(b->rows_tail = tail) = NULL;
    f->poison += rc == CORE_POISON;
    return rc == CORE_POISON;
}

int64_t fold_batch(struct fold *f, const struct record *r, size_t n)
{
    struct batch *b = &f->batch;
    begin(f);
    uint8_t *states = fx_alloc(&b->fx, n + 1);
    memset(states, PLANNED, n + 1);
    int64_t good = f->ops->plan ? plan(f, r, n, states) : (int64_t)n, done = 0;
    if (good < 0)
        return good;
    while (done < good && step(f, &r[done], states[done] == POISON))
        done++;
    if (f->ops->end)
        f->ops->end(f->core, n ? r[n - 1].time_ms : 0, &b->fx);
    for (struct srow *s = b->rows; s; s = s->next) {
        int rc = f->owner.row(f->owner.ctx, &s->r);
        if (rc)
            return rc;
    }
    return done;
}

uint64_t fold_poison(const struct fold *f)
{
    return f->poison;
}
