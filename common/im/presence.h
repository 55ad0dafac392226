/* presence.h: who is connected where: a view of im.presence.
 *
 * The view is a function of the last record of each key and of nothing else: keys may arrive in any order and
 * again. (One key's records are in one partition, so they do come in order.) A session that login of the same
 * device with a higher offset outdid is not shown, nor one whose epoch is not the slot's claimed one. Memory:
 * one entry per key that has no tombstone, about 150 bytes + 4 per device. One thread. Lookups do not
 * allocate. */
#ifndef PARLEY_IM_PRESENCE_H
#define PARLEY_IM_PRESENCE_H

#include "common/im/lease.h"
#include "common/im/session.h"

#define PRESENCE_LIVE_MAX 64 /* sessions of one user, devices in a list */

struct presence;
/* `lease` is borrowed and asked at each lookup; NULL: every epoch counts as live. */
struct presence *presence_new(const struct lease *lease);
void presence_free(struct presence *);

/* From now on the last `max` sessions whose tombstone comes are remembered. 0 or -ENOMEM. */
int presence_remember(struct presence *, uint32_t max);

/* An empty value is the tombstone. 0; -EBADMSG, -ENOTSUP as codec.h (nothing changed). */
int presence_feed(struct presence *, struct slice key, struct slice value);

/* Live sessions of a user, at most one per device, ascending by device. `out` is valid until the next feed.
 */
size_t presence_sessions(const struct presence *, struct id16 user,
                         const struct session *out[PRESENCE_LIVE_MAX]);
/* The live session of one device; NULL: none. */
const struct session *presence_device(const struct presence *, struct id16 user, uint32_t device);
/* All devices of a user, as the record with the highest devices_at among those present says; 0 when nobody of
 * the user is present in the view (alive or not). */
size_t presence_devices(const struct presence *, struct id16 user, const uint32_t **out);
/* Both at once. */
size_t presence_reach(const struct presence *, struct id16 user, const struct session *out[PRESENCE_LIVE_MAX],
                      const uint32_t **devices, size_t *n_devices);
const char *presence_login(const struct presence *, struct id16 user); /* NULL: not known */

/* By connection, whether alive or outdone or not. */
const struct session *presence_find(const struct presence *, uint32_t slot, uint64_t epoch, uint32_t handle);
/* The same among those remembered; NULL: not one of them. */
const struct session *presence_ended(const struct presence *, uint32_t slot, uint64_t epoch, uint32_t handle);
bool presence_is_live(const struct presence *, const struct session *);

/* Every session of a slot, of any epoch, alive or not; for tombstones. The callback must not feed. */
typedef void presence_fn(void *ctx, const struct session *);
void presence_each(const struct presence *, uint32_t slot, presence_fn *, void *ctx);

uint64_t presence_version(const struct presence *); /* changes whenever the view does, the leases aside */
size_t presence_count(const struct presence *);     /* keys */
size_t presence_users(const struct presence *);
/* Over all keys in a fixed order: two views of the same records agree. */
void presence_digest(const struct presence *, uint8_t out[32]);

#endif
