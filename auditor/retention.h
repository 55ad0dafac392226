/* retention.h: does the log of any topic begin after what one of its readers has read, or will it soon?
 *
 * Now and then, on a thread of its own: for each group and partition the committed offset, the ends of the log, and the
 * first record that is younger than three quarters of the retention. A reader below the log's beginning has lost
 * records: a violation. One whose next record is older than three quarters is told of before that happens: a gauge and a
 * warning. Of the slots' groups, which are many, one is asked each time. Loop thread. */
#ifndef PARLEY_AUDITOR_RETENTION_H
#define PARLEY_AUDITOR_RETENTION_H

#include "auditor/report.h"
#include "common/im/deploy.h"

enum retention_state { RETENTION_FINE, RETENTION_CLOSE, RETENTION_OVERTOOK };
struct retention_place {
    int64_t committed; /* -1: none */
    int64_t low, high;
    int64_t young; /* offset of the first record younger than that; high: none is. -1: kept for ever */
};
enum retention_state retention_judge(const struct retention_place *);

struct retention;
/* Borrowed. NULL: no memory. */
struct retention *retention_new(struct loop *, const struct deploy *, struct report *);
void retention_free(struct retention *); /* NULL is fine; never waits */
void retention_ask(struct retention *);  /* unless it is asking still */

#endif
