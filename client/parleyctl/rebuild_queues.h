/* rebuild_queues.h: what `parleyctl rebuild queues` compares: the offline worker's rows in a form that does not depend on
 * how records fell into batches, nor on the order in which im.offline and im.cursor were read. */
#ifndef PARLEY_CTL_REBUILD_QUEUES_H
#define PARLEY_CTL_REBUILD_QUEUES_H

#include "client/parleyctl/bodies.h"
#include "client/parleyctl/stores.h"
#include "common/im/presence.h"
#include "offline/state.h"

struct queues_cache { /* the cursors of the device that was looked at last */
    bool any, live;
    uint8_t device[QUEUE_KEY];
    bool known[CURSORS_BUCKETS];
    struct cursors *v[CURSORS_BUCKETS]; /* NULL: it has none */
};

struct queues_own { /* stores_work.own */
    struct conf *conf;
    struct offline_settings settings;
    struct lease *lease;
    struct presence *presence;
    struct bodies bodies; /* what is queued is sealed again under the keys that it was sealed with */
    struct queues_cache cache;
};

void queues_cache_release(struct queues_cache *);

/* For struct stores_kind. */
int queues_canon(void *ctx, uint8_t table, struct slice key, struct slice row);
void queues_describe(const struct keysort_entry *, char *out, size_t n);

#endif
