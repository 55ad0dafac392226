/* topics.h: every topic and group, from the one file that defines them (schema/topics.json).
 *
 * A table is read once at start and constant from then on: any thread may use it. Topics are named by a small
 * index that is the same in every deployment; slot s's delivery topic is T_DELIVER0 + s. Names carry the
 * deployment's prefix already. */
#ifndef PARLEY_IM_TOPICS_H
#define PARLEY_IM_TOPICS_H

#include "common/base/core.h"

enum topic_index {
    T_INBOUND,
    T_CONVERSATION,
    T_USER,
    T_VAULT,
    T_QUERY,
    T_SIGNAL,
    T_PRESENCE,
    T_LEASE,
    T_OFFLINE,
    T_CURSOR,
    T_DLQ,
    T_WEBHOOK,
    T_DELIVER0
};

/* Slot s's group is GROUP_SLOT0 + s. */
enum topic_group {
    GROUP_ROUTER,
    GROUP_FANOUT,
    GROUP_PERSISTER,
    GROUP_OFFLINE,
    GROUP_QUERY,
    GROUP_WEBHOOKS,
    GROUP_AUDITOR,
    GROUP_SLOT0
};

#define TOPICS_SLOTS_MAX 256

struct topic {
    char *name;           /* with prefix */
    const char *key;      /* what the key is, for people */
    const char *together; /* topics with the same word have equal partition counts; NULL: alone */
    int32_t parts;
    int64_t retention_ms; /* -1: for ever */
    bool compact;         /* cleanup.policy=compact, else delete */
    int64_t
        compact_within_ms; /* what was replaced is gone so long after; 0: when the broker thinks it is time */
    uint32_t readers;      /* bit g: group g reads it; of delivery topics only the slot's own group does */
};

struct topics;
struct ktopic; /* common/base/kconf.h */

/* `file` NULL or "": $PARLEY_TOPICS, the installed one, then schema/topics.json under the working directory.
 * `profile`: "small" or "cluster". `prefix` goes before every topic and group name; [A-Za-z0-9._-]{0,64}.
 * NULL on failure, with the reason in err. */
struct topics *topics_new(const char *file, const char *profile, const char *prefix, char *err, size_t err_n);
void topics_free(struct topics *);

uint32_t topics_slots(const struct topics *);
size_t topics_count(const struct topics *);                            /* T_DELIVER0 + slots */
const struct topic *topics_get(const struct topics *, uint16_t index); /* NULL: no such index */
const char *topics_name(const struct topics *, uint16_t index); /* with prefix; "?" for no such index */
int topics_find(const struct topics *, const char *name);       /* index, or -ENOENT */
/* The same table in the form that common/base wants: topics_count() entries, by index. */
const struct ktopic *topics_ktopics(const struct topics *);
const char *topics_profile(const struct topics *);
const char *topics_prefix(const struct topics *);
static inline uint16_t topic_of_slot(uint32_t slot)
{
    return (uint16_t)(T_DELIVER0 + slot);
}

/* As Java's default partitioner: murmur2(key) & 0x7fffffff % partitions. An unknown topic: -1. */
int32_t topics_partition(const struct topics *, uint16_t index, struct slice key);
uint32_t topics_murmur2(struct slice key);

size_t topics_groups(const struct topics *);                     /* GROUP_SLOT0 + slots */
const char *topics_group(const struct topics *, uint32_t group); /* with prefix; NULL: no such group */
bool topics_reads(const struct topics *, uint32_t group, uint16_t index);

#endif
