/* queue.h: what one device has not got yet: its session, and an index of the items, oldest first.
 *
 * The index is kept in segments of 64 entries, each a row of its own, so that a new item rewrites two kilobytes at
 * most; the header row lists them. The items themselves are rows under (user, device, position). A queue in memory
 * has all of its index. Memory and rows only; what to do with them is the core's. */
#ifndef PARLEY_OFFLINE_QUEUE_H
#define PARLEY_OFFLINE_QUEUE_H

#include "common/base/bytes.h"
#include "common/base/rowcache.h"
#include "common/im/session.h"

#define QUEUE_SEGMENT   64
#define QUEUE_KEY       (ID_SIZE + 4)   /* user:16 device:4 */
#define QUEUE_INDEX_KEY (QUEUE_KEY + 4) /* … segment:4 */
#define QUEUE_ITEM_KEY  (QUEUE_KEY + 8) /* … position:8 */

struct entry {
    struct id16 conv;
    uint64_t seq;
    uint64_t
        pos; /* (offset in im.offline + 1) << 16 | place in the record: ascending, the same at every rebuild */
    uint32_t bytes;
};

struct segment {
    uint32_t no;
    uint16_t n;
    bool missing; /* known from the header, not loaded yet */
    bool dirty;
    struct entry e[QUEUE_SEGMENT];
};

struct queue {
    struct row row; /* of the core's cache; must be first */
    struct id16 user;
    uint32_t device;
    bool dirty; /* on the core's list of rows to put */
    bool header_dirty;
    struct session session; /* of the highest login seen */
    uint64_t login,
        ended; /* the highest login seen, and the highest that is known to be over; live: login > ended */
    bool rest_in_history; /* older ones went over the cap */
    uint32_t next_segment;
    size_t n_segments, n_missing;
    struct segment **segments; /* ascending by number; never an empty one */
    uint32_t n;                /* entries */
    uint64_t bytes;            /* of their items */
};

void queue_key(struct id16 user, uint32_t device, uint8_t out[QUEUE_KEY]);
void queue_index_key(const struct queue *, uint32_t no, uint8_t out[QUEUE_INDEX_KEY]);
void queue_item_key(const struct queue *, uint64_t pos, uint8_t out[QUEUE_ITEM_KEY]);

struct queue *queue_new(struct id16 user, uint32_t device);
void queue_free(struct queue *);
size_t queue_memory(const struct queue *);

const struct entry *queue_find(const struct queue *, struct id16 conv, uint64_t seq); /* NULL: not in it */
uint64_t queue_last(const struct queue *);                            /* highest position; 0: empty */
void queue_append(struct queue *, const struct entry *, struct fx *); /* its position is above all others */

/* Removes what `match` says and deletes the item rows; `gone` (may be NULL) hears of each. Returns how many. */
typedef bool queue_match_fn(void *ctx, const struct entry *);
typedef void queue_gone_fn(void *ctx, const struct queue *, const struct entry *);
size_t queue_remove(struct queue *, queue_match_fn *match, queue_gone_fn *gone, void *ctx, struct fx *);

/* Puts what changed. */
void queue_flush(struct queue *, struct bytes *scratch, struct fx *);
/* Deletes all of its rows but the items'. */
void queue_erase(struct queue *, struct fx *);

void queue_pack(const struct queue *, struct bytes *out); /* the header */
int queue_unpack(struct queue *,
                 struct slice); /* the header; -EBADMSG, -ENOTSUP; segments are then missing */
int queue_unpack_segment(struct queue *, uint32_t no, struct slice);

#endif
