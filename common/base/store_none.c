/* store_none.c: no rows; the mark is what the group has committed. */
#include "common/base/loop.h"
#include "common/base/store.h"

#include <stdlib.h>
#include <string.h>

struct none {
    struct store s;
    struct loop *loop;
    struct answer *answers; /* given at the end of the turn */
};

struct store_part {
    struct none *store;
};

struct answer {
    struct loop_job job;
    struct answer *next, **prev;
    struct none *store;
    struct store_part *part; /* NULL: closed */
    struct store_mark mark;
    store_open_fn *opened;
    store_done_fn *done;
    void *ctx;
};

static void unlink_answer(struct answer *a)
{
    *a->prev = a->next;
    if (a->next)
        a->next->prev = a->prev;
}

static void give(struct loop_job *j)
{
    struct answer *a = container_of(j, struct answer, job);
    unlink_answer(a);
    if (a->opened)
        a->opened(a->ctx, STORE_OK, a->part, &a->mark);
    else if (a->part)
        a->done(a->ctx, STORE_OK);
    free(a);
}

static struct answer *later(struct none *s, struct store_part *p, void *ctx)
{
    struct answer *a = calloc(1, sizeof *a);
    if (!a)
        abort();
    *a = (struct answer){.next = s->answers, .prev = &s->answers, .store = s, .part = p, .ctx = ctx};
    if (a->next)
        a->next->prev = &a->next;
    s->answers = a;
    loop_defer(s->loop, &a->job, give);
    return a;
}

static void none_open(struct store *s, const char *group, int32_t part, size_t n, const int64_t *committed,
                      store_open_fn *fn, void *ctx)
{
    struct none *x = container_of(s, struct none, s);
    struct store_part *p = calloc(1, sizeof *p);
    (void)group;
    (void)part;
    if (!p)
        abort();
    p->store = x;
    struct answer *a = later(x, p, ctx);
    a->opened = fn;
    a->mark.present = true;
    memcpy(a->mark.next, committed, n * sizeof *committed);
}

static void none_load(struct store_part *p, const struct store_key *k, size_t n, store_row_fn *row,
                      store_done_fn *done, void *ctx)
{
    for (size_t i = 0; i < n; i++)
        row(ctx, &k[i], (struct slice){NULL, 0});
    later(p->store, p, ctx)->done = done;
}

static void none_put(struct store_part *p, const struct store_put *put, store_done_fn *done, void *ctx)
{
    (void)put;
    later(p->store, p, ctx)->done = done;
}

static void none_close(struct store_part *p)
{
    for (struct answer *a = p->store->answers; a; a = a->next)
        if (a->part == p)
            a->part = NULL;
    free(p);
}

static bool none_up(const struct store *s)
{
    (void)s;
    return true;
}

static void none_free(struct store *s)
{
    struct none *x = container_of(s, struct none, s);
    while (x->answers) {
        struct answer *a = x->answers;
        loop_cancel(x->loop, &a->job);
        unlink_answer(a);
        if (a->opened)
            free(a->part);
        free(a);
    }
    free(x);
}

struct store *store_none_new(struct loop *loop)
{
    static const struct store_ops ops = {none_open, none_load, none_put, none_close, none_up, none_free};
    struct none *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->s.ops = &ops;
    x->loop = loop;
    return &x->s;
}
