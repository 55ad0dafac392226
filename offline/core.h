/* core.h: the offline worker's core: what each device has not got yet. See common/base/core.h for who calls it.
 *
 * Group parley-offline, inputs im.offline and im.cursor (in this order, co-partitioned by user), outputs delivery
 * topics. core_open.settings is a struct offline_settings, core_open.shared a const struct lease *.
 *
 * A device's queue holds the messages above its cursor that were not served live, in the order of im.offline; a
 * position in it is the record's place in the log, so a rebuilt queue has the same. A message leaves the queue when
 * a cursor covers it, or past the cap, which leaves a mark that the rest is in history. A session is live from its
 * login until its end or a bounce that names it, in whatever order these arrive, and as long as its edge's lease.
 *
 * Events of groups are in history and not queued: the user is marked (marks.h) until the cursors of all devices
 * cover what was missed. A record of an event names everybody who was away; of those who are marked already nothing
 * is written, so that a message to thousands costs one small row. Who has a session is told at once (NEWS_PUSH), a
 * device that comes back with its pages (`news`). What an edge hands on for connections that it cannot name is looked
 * up in the presence view and written again to im.offline, by users and to their partitions.
 *
 * Rows: user, queue header, index segments of 64 entries, items, cursors in 16 buckets per device, heads of
 * conversations, marks of a user (queue.h, cursors.h, users.h, head.h, marks.h). Memory: rows and items least
 * recently used out first, each with a bound. */
#ifndef PARLEY_OFFLINE_CORE_H
#define PARLEY_OFFLINE_CORE_H

#include "common/base/core.h"

enum {
    OFFLINE_USER = 1,
    OFFLINE_QUEUE,
    OFFLINE_INDEX,
    OFFLINE_ITEM,
    OFFLINE_CURSORS,
    OFFLINE_CONV, /* up to where a conversation has events that were missed */
    OFFLINE_NEWS, /* which conversations a user missed events of */
};

struct bodykeys;
struct presence;
struct offline_settings {
    int64_t cap_items, cap_bytes;   /* of one device's queue */
    int64_t page_items, page_bytes; /* of one PULL_OFFLINE_RSP */
    int64_t cache_bytes;            /* rows in memory, per partition; a quarter more for items */
    /* Not configured: for events that come back without names. NULL: nobody is known. */
    const struct presence *presence;
    int32_t parts;           /* of im.offline */
    struct bodykeys *bodies; /* seals what is queued (parcel.h); NULL: it is kept as it came */
};

extern const struct core_ops offline_core;

#endif
