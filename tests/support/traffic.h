/* traffic.h: steady traffic of several people with several devices each, on libparley, and its judgement.
 *
 * Every device sends to every other person, a little at a time, reconnects by itself and resends what has no outcome.
 * All runs in the caller's thread, inside traffic_turn(). The end is always traffic_settle(): everything sent has an
 * outcome, every device has seen everything, and the checker compares it with the history in PostgreSQL. */
#ifndef PARLEY_SUPPORT_TRAFFIC_H
#define PARLEY_SUPPORT_TRAFFIC_H

#include "tests/support/checker.h"
#include "tests/support/pipeline.h"

struct traffic;

struct traffic_conf { /* zero takes the default */
    int people;       /* 3 */
    int devices;      /* of each: 2 */
    int pace_ms;      /* between two sends of a device: 40 */
    int window;       /* sends of a device without outcome: 8 */
    int settle_ms;    /* of patience in traffic_settle(): PL_WAIT_MS */
    bool away;        /* one person more, who was here once and is written to all the time */
    uint64_t seed;    /* default: TEST_SEED, else by chance; said in every failure */
};

struct traffic *traffic_new(struct pl *, const struct traffic_conf *); /* all online */
void traffic_turn(struct traffic *);                                   /* about 5 ms */
void traffic_send(struct traffic *, bool on);                          /* on at first */

size_t traffic_accepted(const struct traffic *); /* told that it is durable, at least */
size_t traffic_acked(const struct traffic *);    /* told its place */
bool traffic_resolved(const struct traffic *);   /* nothing is without an outcome */
size_t traffic_refused(const struct traffic *);
size_t traffic_reconnects(const struct traffic *);
bool traffic_online(const struct traffic *); /* every device */
int traffic_edge(struct traffic *);          /* one that has a client now */
size_t traffic_random(struct traffic *, size_t below);

/* Until so many more were acked. */
void traffic_more(struct traffic *, size_t acked);
#define TRAFFIC_UNTIL(t, pl, cond)                         \
    do {                                                   \
        int64_t by_ = clock_mono_ms() + pl_ms(PL_WAIT_MS); \
        while (!(cond)) {                                  \
            traffic_turn(t);                               \
            traffic_in_time(t, by_, #cond);                \
        }                                                  \
    } while (0)
/* Signals a process and goes on until it has ended; status as of waitpid(). */
int traffic_stop(struct traffic *, enum pl_kind, int i, int signal);
void traffic_in_time(struct traffic *, int64_t by, const char *what);

/* Stops sending, waits, judges; breaches fail the test. Then it is freed. What does not settle is judged too. */
void traffic_settle(struct traffic *);

#endif
