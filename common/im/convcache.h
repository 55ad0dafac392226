/* convcache.h: the conversations of one partition that are in memory, for every core that runs the reducer.
 *
 * Bounded in bytes, least recently used out first, only in convcache_end(), that is between batches, and never
 * what this batch or the one before touched: the next one may be planned already. Rows are the cells of
 * conv.h under the key conv:16 ‖ cell key, in one table of the core's store. What fanout and persister write
 * for the same records is the same, byte for byte, however the records fall into batches. One thread. */
#ifndef PARLEY_IM_CONVCACHE_H
#define PARLEY_IM_CONVCACHE_H

#include "common/base/core.h"
#include "common/im/conv.h"

#define CONVCACHE_KEY (ID_SIZE + CONV_CELL_KEY)

struct convcache;

/* max_bytes: kept, beside what two batches touch. NULL: no memory. */
struct convcache *convcache_new(uint8_t table, size_t max_bytes);
void convcache_free(struct convcache *);

/* From plan(): wants the cells the event needs. CORE_OK: they are here; CORE_MORE: ask again once they are
 * loaded; CORE_STOP: unknown rules, or no memory. */
enum core_rc convcache_plan(struct convcache *, const struct conv_event *, struct want *);

/* From plan(), for what is to be looked at beyond that after the event was applied, together with convcache_plan():
 * everybody's seat, owner and admins, one member. CORE_MORE: ask again, likewise. */
enum core_rc convcache_plan_roster(struct convcache *, struct id16 conv, struct want *);
enum core_rc convcache_plan_admins(struct convcache *, struct id16 conv, struct want *);
enum core_rc convcache_plan_member(struct convcache *, struct id16 conv, struct id16 user, struct want *);

/* From load(): one row. After a row that cannot be read (convcache_error() says why) all applying stops. */
void convcache_load(struct convcache *, struct slice key, struct slice row);

/* From step(). CORE_STOP: a bad row was loaded, unknown rules, or cells are missing (plan was not asked). */
enum core_rc convcache_apply(struct convcache *, const struct conv_event *, struct conv_outcome *);

/* What is in memory of a conversation, NULL: nothing; valid until convcache_end(). */
const struct conv *convcache_find(const struct convcache *, struct id16);
/* The conversation last applied to; likewise. */
const struct conv *convcache_last(const struct convcache *);

/* From end(): puts the cells that changed since the last end, in the order in which the conversations were
 * first touched, then forgets what is over the bound. */
void convcache_end(struct convcache *, struct fx *);

size_t convcache_bytes(const struct convcache *);
size_t convcache_count(const struct convcache *);
const char *convcache_error(const struct convcache *); /* NULL: none */

#endif
