/* watch.h: what went out, and how far fanout is: the tail and the rounds, brought together into the books.
 *
 * Where the tail begins follows from the first record of im.conversation that is read: a little before its time; without
 * one, a minute before now. It begins when the partitions of one start have come together. Loop thread. */
#ifndef PARLEY_AUDITOR_WATCH_H
#define PARLEY_AUDITOR_WATCH_H

#include "auditor/rounds.h"
#include "auditor/rows.h"
#include "auditor/sight.h"
#include "common/base/daemon.h"

struct watch;
struct watch_conf { /* borrowed */
    struct daemon_run *run;
    const struct deploy *deploy;
    const struct presence *presence;
    struct books *books;
    struct report *report;
    struct rows *rows;
};
struct watch *watch_new(const struct watch_conf *); /* NULL: no memory */
void watch_free(struct watch *);                    /* NULL is fine */

void watch_opened(struct watch *, int32_t part);
void watch_first(struct watch *, int64_t time_ms); /* of a record, before it is judged */
void watch_turn(struct watch *);                   /* often */
void watch_second(struct watch *);                 /* now and then: begins a round when none goes on */

#endif
