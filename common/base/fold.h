/* fold.h: runs a core (core.h) over records outside the shell: no Kafka, no store, no loop.
 *
 * For whoever makes rows again from a log that he reads himself. The core sees what it sees in the shell, in the same
 * order: plan (at most 4 rounds), load, step each record, end; its rows go to the owner. What it sends is dropped, as
 * is a record that it calls poison. One thread; any number of folds.
 */
#ifndef PARLEY_BASE_FOLD_H
#define PARLEY_BASE_FOLD_H

#include "common/base/store.h"

struct fold;

struct fold_owner {
    void *ctx;
    /* Answers each of the keys with fold_loaded(). 0, or negative errno, which ends the batch. May be NULL when the core
     * has no plan. */
    int (*load)(void *ctx, struct fold *, const struct store_key *, size_t n);
    /* The rows of a batch, in the order in which the core gave them; borrowed until the next batch. 0 or negative errno. */
    int (*row)(void *ctx, const struct store_row *);
};

/* The owner is copied, what `open` points at is borrowed until fold_free(). NULL: no memory, or the core refuses. */
struct fold *fold_new(const struct core_ops *, const struct core_open *, const struct fold_owner *);
void fold_free(struct fold *);

/* The records of one batch. How many were taken: fewer than n when the core stopped at the next one (it says why);
 * negative errno: of load() or row(), or -ELOOP: the plan does not end. After anything but n the fold is good for
 * nothing but fold_free(). */
int64_t fold_batch(struct fold *, const struct record *, size_t n);

/* From load(): n == 0: proven absent. */
void fold_loaded(struct fold *, uint8_t table, struct slice key, struct slice row);
uint64_t fold_poison(const struct fold *); /* records dropped so far */

#endif
