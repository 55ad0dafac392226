/* busy.h: is the router so far behind that the log may lose what it has not read?
 *
 * Looks at the router's committed positions in im.inbound every so often. The oldest unread record's age
 * is known from earlier looks at the log's end; half the topic's retention is too old. A log that has begun to drop its old
 * records is judged by position too: less than half of it ahead of the reader. Loop thread. */
#ifndef PARLEY_EDGE_BUSY_H
#define PARLEY_EDGE_BUSY_H

#include "common/base/kgroups.h"
#include "common/base/loop.h"
#include "common/im/deploy.h"

struct busy_setup {
    struct loop *loop;
    const struct deploy *deploy;
    int64_t every_ms;
    int64_t max_lag; /* records over all partitions; 0: not judged */
};

#define BUSY_MARKS 128

struct busy_part {
    int64_t low, high, committed; /* as of the last look; -1: not known */
    uint32_t n;
    struct {
        int64_t at_ms, high; /* where the log ended when */
    } marks[BUSY_MARKS];
};

struct busy {
    bool busy;
    int64_t lag; /* records; -1: not known */
    struct busy_setup setup;
    struct timer timer;
    struct kgroups *groups;
    struct busy_part *parts;
    int32_t n_parts;
    int64_t retention_ms;
};

int MUST_CHECK busy_init(struct busy *, const struct busy_setup *);
void busy_release(struct busy *);

/* Pure, for tests: takes low, high, committed of a partition at a time; is it too far behind? */
bool busy_judge(struct busy_part *, int64_t now_ms, int64_t retention_ms);

#endif
