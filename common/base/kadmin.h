/* kadmin.h: topics, offsets, watermarks.
 *
 * All calls block up to their time-out: for tools and for start-up only. They return 0 or a negative errno;
 * kadmin_error() then says why in words (valid until the next call).
 */
#ifndef PARLEY_BASE_KADMIN_H
#define PARLEY_BASE_KADMIN_H

#include "common/base/kconf.h"
#include <stdbool.h>
#include <stddef.h>

struct kadmin;

struct kadmin *kadmin_new(const struct kconf *, int timeout_ms);
void kadmin_free(struct kadmin *);
const char *kadmin_error(const struct kadmin *);

struct kadmin_config { /* "retention.ms", "604800000" */
    const char *name, *value;
};

int kadmin_ping(struct kadmin *);                            /* a metadata round trip */
int kadmin_cluster_id(struct kadmin *, char *out, size_t n); /* -EAGAIN: not reachable */
int kadmin_brokers(struct kadmin *, int *count);

/* -EEXIST: already there (left as it is). replication 0: the broker's default. */
int kadmin_create_topic(struct kadmin *, const char *name, int32_t partitions, int replication,
                        const struct kadmin_config *, size_t n);
int kadmin_delete_topic(struct kadmin *, const char *name);               /* -ENOENT */
int kadmin_partitions(struct kadmin *, const char *name, int32_t *count); /* -ENOENT: no such topic */
/* The value a topic has for one setting, default or not. */
int kadmin_topic_config(struct kadmin *, const char *name, const char *key, char *out, size_t n);
int kadmin_watermarks(struct kadmin *, const char *topic, int32_t part, int64_t *low, int64_t *high);

/* ---- a group's offsets: for tools only. librdkafka aborts the process when the broker dies under one of these (its
 * issue 4605); processes that run on use kgroups.h. ---- */

/* offsets[p] for p < n; -1 where nothing is committed. */
int kadmin_group_offsets(struct kadmin *, const char *group, const char *topic, int64_t *offsets, int32_t n);
/* Only while the group has no members: -EBUSY otherwise. offsets[p] < 0: leave that one. */
int kadmin_commit_offsets(struct kadmin *, const char *group, const char *topic, const int64_t *offsets,
                          int32_t n);

#endif
