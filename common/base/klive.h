/* klive.h: what is written from now on to some partitions of one topic; a reader without a group, for what may be lost.
 *
 * Partitions come and go at will. Each is read from its end at the time it is added; what is written while it is being
 * added, while brokers are away or while a dead client is made anew may be missed, silently. Nothing is committed.
 * Loop thread. */
#ifndef PARLEY_BASE_KLIVE_H
#define PARLEY_BASE_KLIVE_H

#include "common/base/core.h"
#include "common/base/kconf.h"

struct loop;
struct klive;

struct klive_conf {
    struct kconf kafka;
    uint16_t topic;     /* index to put into struct record */
    const char *name;   /* topic name, borrowed */
    int32_t partitions; /* of the topic */
    void *ctx;
    void (*message)(void *ctx, const struct record *); /* may not free the reader */
};

struct klive *klive_new(struct loop *,
                        const struct klive_conf *); /* NULL: no memory; no client is made yet */
void klive_free(struct klive *);
void klive_add(struct klive *, int32_t part);
void klive_remove(struct klive *, int32_t part);

#endif
