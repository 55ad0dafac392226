/* judge.h: may who asked to hear of somebody's coming and going still hear of it? Asked again before every push, so
 * that a block or a change of privacy counts as soon as the read models have it.
 *
 *     judge_add(j, &session, users, online, n);  …  judge_run(j);
 *
 * All pushes of a moment are one question, one question at a time; without PostgreSQL they wait. Loop thread. */
#ifndef PARLEY_QUERY_JUDGE_H
#define PARLEY_QUERY_JUDGE_H

#include "query/ask.h"

struct judge;

struct judge_conf {
    void *ctx;
    int (*run)(void *ctx, const struct ask *, db_fn *, void *fn_ctx); /* 0: fn comes; else later */
    /* Those of one judge_add() that may be told; not called when there are none. Must not call back. */
    void (*tell)(void *ctx, const struct session *to, const struct id16 *users, const bool *online, size_t n);
};

struct judge *judge_new(const struct judge_conf *);
void judge_free(struct judge *); /* nothing may be in flight */
void judge_add(struct judge *, const struct session *, const struct id16 *users, const bool *online,
               size_t n);
void judge_run(
    struct judge *); /* asks, if there is anything and nothing in flight; again when there is room */
bool judge_busy(const struct judge *); /* something waits or is in flight: do not add */

#endif
