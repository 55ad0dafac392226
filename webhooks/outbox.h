/* outbox.h: what waits for one endpoint, and what may be tried when. No I/O, no clock: the caller says what time it is.
 *
 * A lane is a conversation: its deliveries go one after the other, the next only when the one before has ended. Lanes
 * go side by side, at most `parallel` at once, in the order in which they became due. A delivery that failed is due
 * again after a back-off, half of it random.
 *
 * The circuit: after `failures` attempts in a row without a success nothing is tried for a while (open), then one
 * delivery as a probe (half open). A probe that succeeds closes it, and everything that waited is due at once; one that
 * fails opens it for longer. An endpoint that refuses all it gets is as good as down, so refusals count too: the probe
 * bounds how fast an endpoint that is wrongly set up can bury events.
 *
 * Deliveries are embedded in their owner's struct; nothing is allocated for them but their lane. One thread. */
#ifndef PARLEY_WEBHOOKS_OUTBOX_H
#define PARLEY_WEBHOOKS_OUTBOX_H

#include "common/im/ids.h"

struct outbox;
struct lane;

struct delivery { /* private but for tries */
    struct delivery *next, **prev;
    struct lane *lane; /* NULL: not in an outbox */
    uint32_t tries;    /* attempts begun */
};

struct outbox_conf {
    uint32_t parallel;              /* attempts at once */
    int64_t retry_ms, retry_max_ms; /* after the first failure, doubling up to the limit */
    uint32_t refusals;              /* so many refusals and a delivery is given up */
    uint32_t failures;              /* in a row: the circuit opens */
    int64_t open_ms, open_max_ms;   /* for how long, likewise doubling */
    int64_t wait_max_ms;            /* an endpoint may ask for no longer pause than this */
    uint64_t seed;                  /* of what is random */
};

enum circuit { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN };

enum attempt {
    ATTEMPT_OK,
    ATTEMPT_FAILED,  /* no answer, or 5xx, 408: again and again */
    ATTEMPT_BUSY,    /* 429: the endpoint is there, and asks for a pause */
    ATTEMPT_REFUSED, /* another answer: this event will not be taken */
};
enum outbox_next {
    OUTBOX_ENDED, /* the delivery is out; its lane goes on */
    OUTBOX_AGAIN, /* it stays, and will be handed out again */
    OUTBOX_BURY,  /* refused for good: the lane waits until outbox_remove() */
};

struct outbox *outbox_new(const struct outbox_conf *); /* NULL: no memory. The conf is copied */
void outbox_free(struct outbox *);                     /* nothing may be in it */

int outbox_add(struct outbox *, struct delivery *, struct id16 lane); /* -ENOMEM */
/* The next to be tried now; it is under way until outbox_done() or outbox_remove(). NULL: none now. */
struct delivery *outbox_take(struct outbox *, int64_t now_ms);
/* pause_ms: what the endpoint asked for with Retry-After; 0: nothing. */
enum outbox_next outbox_done(struct outbox *, struct delivery *, enum attempt, int64_t pause_ms,
                             int64_t now_ms);
void outbox_remove(struct outbox *, struct delivery *); /* wherever it stands, under way or not */

int64_t outbox_due(
    const struct outbox *); /* take() may have something from then on; INT64_MAX: not by itself */
enum circuit outbox_circuit(const struct outbox *);
size_t outbox_count(const struct outbox *); /* deliveries in it */
uint32_t outbox_underway(const struct outbox *);

#endif
