/* rounds.h: asks Kafka, over and over, how far fanout is and where the topics end; and once, where to begin.
 *
 * A round: begin() is called, then on a thread of its own the questions are asked in this order: fanout's committed
 * offsets, the ends of im.conversation, the ends of all that the tail reads. The answer is handed over on the loop. While
 * brokers are away it is asked again, and nothing is handed over. Loop thread. */
#ifndef PARLEY_AUDITOR_ROUNDS_H
#define PARLEY_AUDITOR_ROUNDS_H

#include "auditor/tail.h"

struct rounds;

struct rounds_answer { /* borrowed until return */
    int32_t parts;
    const int64_t *committed, *low, *end; /* of im.conversation, per partition */
    size_t n;
    const int64_t *tail_end;
    const int64_t *tail_from; /* where the tail begins, if that was asked for; else NULL */
};
struct rounds_conf {
    const struct deploy *deploy; /* borrowed, as is `places` */
    const struct tail_place *places;
    size_t n;
    void *ctx;
    void (*begin)(void *ctx);
    void (*answer)(void *ctx, const struct rounds_answer *);
    void (*failed)(void *ctx, int err); /* tried again at the next rounds_ask() */
};
struct rounds *rounds_new(struct loop *, const struct rounds_conf *); /* NULL: no memory */
void rounds_free(struct rounds *);                                    /* NULL is fine; never waits */
/* from_ms >= 0: also where in the tail's topics the records of that time begin. False: the last one goes on still. */
bool rounds_ask(struct rounds *, int64_t from_ms);

#endif
