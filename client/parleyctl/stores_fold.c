/* stores_fold.c: the log through a core, its rows into the shadow. */
#include "client/parleyctl/stores.h"

#include "common/base/arena.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_RECORDS 1000u
#define BATCH_BYTES   (1u << 20)

int stores_too_new(const struct stores_work *w)
{
    ctl_complain("%s, partition %" PRId32
                 ": the log holds a record of a newer version: use a newer parleyctl",
                 w->kind->word, w->part);
    return CTL_FAILED;
}

int stores_put(struct stores_work *w, const struct store_row *rows, size_t n)
{
    w->rows += n;
    return rstore_put(&w->redis, rows, n);
}

/* ---- records ---- */
struct feeding {
    struct stores_work *work;
    stores_record_fn *fn;
    void *ctx;
    int rc;
};

static enum scan_go feed(void *ctx, const struct record *rec)
{
    struct feeding *f = ctx;
    f->work->done++;
    f->rc = f->fn(f->ctx, rec);
    return f->rc ? SCAN_STOP : SCAN_ON;
}

int stores_feed(struct stores_work *w, uint16_t topic, int64_t from, int64_t to, stores_record_fn *fn,
                void *ctx)
{
    struct feeding f = {.work = w, .fn = fn, .ctx = ctx};
    const struct scan_range range = {topic, w->part, from, to};
    char what[64];
    if (from >= to)
        return 0;
    snprintf(what, sizeof what, "%s %" PRId32, w->kind->word, w->part);
    int rc = scan_read(w->scan, &range, 1, w->c->quiet ? NULL : what, feed, &f);
    return f.rc ? f.rc : rc ? CTL_FAILED : 0;
}

/* ---- through a core ---- */
struct folding {
    struct stores_work *work;
    struct fold *fold;
    struct arena *arena; /* of the records waiting */
    struct record recs[BATCH_RECORDS];
    size_t n, bytes;
    struct store_row *rows; /* of the batch under way */
    size_t n_rows, cap_rows;
    struct stores_stretch *stretch;
};

static void answer(void *fold, const struct store_key *k, struct slice row)
{
    fold_loaded(fold, k->table, k->key, row);
}

static int load(void *ctx, struct fold *fold, const struct store_key *keys, size_t n)
{
    struct folding *f = ctx;
    return rstore_load(&f->work->redis, keys, n, answer, fold) ? -EIO : 0;
}

static int row(void *ctx, const struct store_row *r)
{
    struct folding *f = ctx;
    if (f->n_rows == f->cap_rows) {
        f->cap_rows = f->cap_rows ? 2 * f->cap_rows : 1024;
        f->rows = realloc(f->rows, f->cap_rows * sizeof *f->rows);
        if (!f->rows)
            abort();
    }
    f->rows[f->n_rows++] = *r;
    return 0;
}

static int flush(struct folding *f)
{
    f->n_rows = 0;
    int64_t taken = fold_batch(f->fold, f->recs, f->n);
    int rc = taken < 0 ? CTL_FAILED : taken < (int64_t)f->n ? stores_too_new(f->work) : 0;
    if (taken < 0 && taken != -EIO)
        ctl_complain("%s, partition %" PRId32 ": %s", f->work->kind->word, f->work->part,
                     strerror((int)-taken));
    if (!rc && f->n_rows)
        rc = stores_put(f->work, f->rows, f->n_rows);
    f->n = f->bytes = 0;
    arena_reset(f->arena);
    return rc;
}

static int take(void *ctx, const struct record *rec)
{
    struct folding *f = ctx;
    void *key = arena_copy(f->arena, rec->key.p, rec->key.n);
    void *value = arena_copy(f->arena, rec->value.p, rec->value.n);
    if (!key || !value)
        abort();
    struct record *r = &f->recs[f->n++];
    *r = *rec;
    r->key.p = key;
    r->value.p = rec->value.p ? value : NULL;
    f->stretch->seen++;
    f->bytes += rec->key.n + rec->value.n;
    return f->n == BATCH_RECORDS || f->bytes >= BATCH_BYTES ? flush(f) : 0;
}

int stores_fold(struct stores_work *w, const struct core_ops *ops, const void *settings, void *shared,
                struct stores_stretch *stretches, size_t n)
{
    static const int64_t beginning[STORE_TOPICS];
    static const int64_t quiet[STORE_TOPICS] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    const struct core_open open = {
        .part = w->part, .next = beginning, .quiet = quiet, .settings = settings, .shared = shared};
    struct folding *f = calloc(1, sizeof *f);
    if (!f || !(f->arena = arena_new(0)))
        abort();
    f->work = w;
    f->fold = fold_new(ops, &open, &(struct fold_owner){f, load, row});
    int rc = f->fold ? 0 : CTL_FAILED;
    if (rc)
        ctl_complain("out of memory");
    for (size_t i = 0; i < n && !rc; i++) {
        f->stretch = &stretches[i];
        f->stretch->seen = 0;
        rc = stores_feed(w, f->stretch->topic, f->stretch->from, f->stretch->to, take, f);
        if (!rc)
            rc = flush(f);
    }
    fold_free(f->fold);
    arena_free(f->arena);
    free(f->rows);
    free(f);
    return rc;
}
