/* tail.h: reads all delivery topics and im.offline, without a group, from given offsets on.
 *
 * Positions are not kept anywhere: where the auditor begins in im.conversation says from when on it needs them. Loop
 * thread. */
#ifndef PARLEY_AUDITOR_TAIL_H
#define PARLEY_AUDITOR_TAIL_H

#include "common/im/deploy.h"

struct tail;

struct tail_place { /* a partition that is read */
    uint16_t topic;
    int32_t part;
};
/* All of them, in a fixed order: *n places, malloc'ed. NULL: no memory. */
struct tail_place *tail_places(const struct topics *, size_t *n);

struct tail_conf {
    const struct deploy *deploy; /* borrowed, as is `places` */
    const struct tail_place *places;
    size_t n;
    void *ctx;
    bool (*full)(void *ctx); /* asked before each record: read no further now */
    void (*record)(void *ctx, const struct record *);
    void (*lost)(void *ctx);                      /* records are gone that were not read: retention */
    void (*fatal)(void *ctx, const char *reason); /* the client is dead */
};
/* `from`: n offsets. NULL: logged. */
struct tail *tail_new(struct loop *, const struct tail_conf *, const int64_t *from);
void tail_free(struct tail *);
/* Everything below these n offsets was handed out. */
bool tail_reached(const struct tail *, const int64_t *ends);
void tail_poke(struct tail *); /* it may not be full any more */

#endif
