/* kstats.h: what librdkafka counts about its brokers, queues and groups, as metrics (parley_kafka_…).
 *
 * A client is followed from kstats_follow() until kstats_forget(), under a name of few values: "producer", a group's
 * name, "view". Further ones of a name get "-2", "-3" …; a name is free again once its client is forgotten, its gauges are
 * 0 then. At most KSTATS_CLIENTS are followed, the rest goes on uncounted.
 *
 * librdkafka hands a JSON text of some 10 to 100 kB to whoever polls the client every kconf.stats_ms; it is read in one
 * pass, without allocation (about 1 ms per MB). Loop thread only. A client that nobody polls must not be asked for
 * statistics: they would pile up.
 */
#ifndef PARLEY_BASE_KSTATS_H
#define PARLEY_BASE_KSTATS_H

#include "common/base/kconf.h"

#include <stdbool.h>
#include <stddef.h>

#define KSTATS_CLIENTS 32

void kstats_ask(rd_kafka_conf_t *,
                const struct kconf *); /* before rd_kafka_new(); nothing when stats_ms is 0 */
void kstats_follow(const rd_kafka_t *, const char *name); /* `name` is copied, cut at 40 bytes */
void kstats_forget(const rd_kafka_t *);                   /* before its end; NULL and unknown ones are fine */

/* One text of the client of that name; for the test as well. False: not such a text. */
bool kstats_read(const char *client, const char *json, size_t n);

#endif
