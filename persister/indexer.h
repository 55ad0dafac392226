/* indexer.h: gives blocks of 64 messages their words for search, behind the messages and never in their way.
 *
 * Taking a text apart costs several times what its row does, so it is not done with the row: parley_index_blocks()
 * (schema/sql) does it on a connection of its own, in small pieces with pauses in between, so that it takes no more
 * than a share of one processor. Search is complete without it, only slower. Loop thread. */
#ifndef PARLEY_PERSISTER_INDEXER_H
#define PARLEY_PERSISTER_INDEXER_H

#include "common/base/loop.h"

struct indexer;
/* `share`: percent of a processor, 1 to 100. NULL: conninfo cannot be used, or no memory. Idle until started. */
struct indexer *indexer_new(struct loop *, const char *conninfo, int64_t share);
void indexer_start(struct indexer *); /* the schema is there; NULL is fine */
void indexer_free(struct indexer *);

#endif
