/* cursors.h: up to where a device has everything: one range per conversation, in 16 rows per device.
 *
 * Two ranges that overlap or touch become one; of two that do not, the higher stays (a device that began anew does
 * not come back to the old part). A row holds at most CURSORS_MAX_ROW ranges; past that the one that changed longest
 * ago is forgotten, which costs a repeated delivery at worst. */
#ifndef PARLEY_OFFLINE_CURSORS_H
#define PARLEY_OFFLINE_CURSORS_H

#include "common/base/bytes.h"
#include "common/base/rowcache.h"
#include "common/im/ids.h"

#define CURSORS_BUCKETS 16
#define CURSORS_MAX_ROW 512
#define CURSORS_KEY     (ID_SIZE + 5) /* user:16 device:4 bucket:1 */

struct range { /* all of from … upto */
    struct id16 conv;
    uint64_t from, upto;
};

struct cursors {
    struct row row; /* of the core's cache; must be first */
    bool dirty;
    size_t n, cap;
    struct range *ranges; /* the one changed last comes first */
};

static inline uint8_t cursors_bucket(struct id16 conv)
{
    return conv.b[0] % CURSORS_BUCKETS; /* ids are hashes */
}
void cursors_key(struct id16 user, uint32_t device, uint8_t bucket, uint8_t out[CURSORS_KEY]);

struct cursors *cursors_new(void);
void cursors_free(struct cursors *);
size_t cursors_bytes(const struct cursors *);

const struct range *cursors_find(const struct cursors *, struct id16 conv); /* NULL: none */
bool cursors_cover(const struct cursors *, struct id16 conv, uint64_t seq);
/* Takes in a range; true when the row changed. from 0 counts as 1; an empty range is ignored. */
bool cursors_merge(struct cursors *, const struct range *);

void cursors_pack(const struct cursors *, struct bytes *out);
int cursors_unpack(struct cursors *, struct slice); /* -EBADMSG, -ENOTSUP */

#endif
