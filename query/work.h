/* work.h: questions being answered: PostgreSQL asked, waits kept, answers sent; a bounded number at a time.
 *
 * A question that waits for PostgreSQL longer than WORK_PATIENCE_MS is answered BUSY, one whose number did not come
 * within WORK_WAIT_MS BEHIND. Loop thread. */
#ifndef PARLEY_QUERY_WORK_H
#define PARLEY_QUERY_WORK_H

#include "common/im/deploy.h"
#include "query/answer.h"
#include "query/question.h"

#define WORK_PATIENCE_MS 2000
#define WORK_WAIT_MS     2000
#define WORK_RETRY_MS    1000 /* what BUSY says */

struct work;

struct work_token { /* the owner's: whose answer it was */
    int32_t part;
    uint64_t generation, ticket;
};

struct work_conf {
    struct daemon_run *run;
    const struct deploy *deploy;
    const struct question_env *env; /* borrowed */
    unsigned connections, window;
    void *ctx;
    void (*done)(
        void *ctx,
        const struct work_token *); /* the answer is acked, or given up; work_full() may have changed */
};

struct work *work_new(const struct work_conf *); /* NULL: logged */
void work_free(struct work *);                   /* no done() any more */

bool work_full(const struct work *);
unsigned work_count(const struct work *);
struct answers *work_answers(struct work *);
/* Reading of the process's own: 0: fn comes (DB_DOWN by work_free() at the latest); else there is no room now. */
int work_read(struct work *, const struct ask *, db_fn *, void *ctx);
/* 0: done() comes, later or now. -EBADMSG: no question. Must not be full. */
int work_take(struct work *, const struct session *, const Im__QueryRecord *, const struct work_token *);

#endif
