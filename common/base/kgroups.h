/* kgroups.h: who is in consumer groups, and how far a group has read; asked now, answered later on the loop.
 *
 * A client of its own that joins nothing, made at the first question. One question at a time; each is answered once,
 * within about its time-out, whatever happens to the brokers (kask.h says how). Loop thread.
 */
#ifndef PARLEY_BASE_KGROUPS_H
#define PARLEY_BASE_KGROUPS_H

#include "common/base/kconf.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct kgroups;

#define KGROUP_MEMBERS 8

enum kgroup_state { KGROUP_UNKNOWN, KGROUP_EMPTY, KGROUP_DEAD, KGROUP_STABLE, KGROUP_REBALANCING };
struct kgroup {
    const char *name;
    int err;                 /* 0, or -EAGAIN and the like: then the rest is not valid */
    enum kgroup_state state; /* DEAD: does not exist, or never had members */
    size_t n_members;
    char client_ids[KGROUP_MEMBERS][64]; /* of the first eight */
};
struct kgroup_part {
    int64_t committed; /* -1: none */
    int64_t low, high; /* first and next offset of the log */
};

/* `group`: whose commits kgroups_progress() reads; NULL: not to be asked. conf and group are borrowed. */
struct kgroups *kgroups_new(struct loop *, const struct kconf *, const char *group, int timeout_ms);
/* Never blocks for an answer: a question under way gets none. Not from inside an answer. NULL is fine. */
void kgroups_free(struct kgroups *);

bool kgroups_busy(const struct kgroups *); /* a question is under way */

/* All groups in the order asked for, borrowed until return; or err < 0 and n == 0. */
typedef void kgroups_fn(void *ctx, int err, const struct kgroup *, size_t n);
/* 0; -EBUSY: another question is under way; -ENOMEM; -EAGAIN. Names are copied. */
int kgroups_describe(struct kgroups *, const char *const *names, size_t n, kgroups_fn *, void *ctx);

/* Partitions 0 to n-1 of a topic; or err < 0 and n == 0. */
typedef void kgroups_progress_fn(void *ctx, int err, const struct kgroup_part *, int32_t n);
int kgroups_progress(struct kgroups *, const char *topic, int32_t n, kgroups_progress_fn *, void *ctx);

#endif
