/* intake.h: im.query, read by a group: records in, a window of questions in flight, the finished prefix committed.
 *
 * A question that is older than INTAKE_OLD_MS is passed over: whoever asked it has given up. At a revoke what is in
 * flight gets INTAKE_DRAIN_MS. Loop thread. */
#ifndef PARLEY_QUERY_INTAKE_H
#define PARLEY_QUERY_INTAKE_H

#include "query/work.h"

#define INTAKE_OLD_MS   20000
#define INTAKE_DRAIN_MS 2000

struct lease;
struct intake;

struct intake *intake_new(struct daemon_run *, const struct deploy *, struct work *,
                          const struct lease *); /* NULL: logged */
/* assigned(ctx): which partitions are ours has changed, see intake_owns(). */
void intake_on_assigned(struct intake *, void (*assigned)(void *ctx), void *ctx);
bool intake_owns(const struct intake *, struct id16 user);    /* this user's questions come here */
void intake_done(struct intake *, const struct work_token *); /* for work_conf.done */
/* Finishes what is in flight, leaves the group, then done(ctx) once. */
void intake_stop(struct intake *, void (*done)(void *ctx), void *ctx);
void intake_free(struct intake *);

#endif
