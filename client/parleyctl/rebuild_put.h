/* rebuild_put.h: the rows of one partition on their way into a schema, many records a transaction.
 *
 * History rows stream out by COPY as they come. Rows with a key are held back until the commit, the last one of each
 * key: new ones go by COPY too, the others by the persister's own statements (persister/tables.c). The mark {generation,
 * next offsets} moves in the same transaction, behind the fence, so whoever is killed goes on at the last commit, and
 * two can never write one partition. Blocking; one process each. */
#ifndef PARLEY_CTL_REBUILD_PUT_H
#define PARLEY_CTL_REBUILD_PUT_H

#include "common/base/fold.h"

struct put;

/* Takes the partition over: who had it before is refused from now on. NULL: `why` has the reason. `look`: much will be
 * read, so it is worth finding out first which cells there are. */
struct put *put_open(const char *conninfo, const char *store, int32_t part, size_t n_topics, bool look,
                     char *why, size_t why_n);
void put_free(struct put *);                 /* what was not committed is gone */
const int64_t *put_next(const struct put *); /* per topic: the mark */
size_t put_bytes(const struct put *);        /* held in memory */
uint64_t put_rows(const struct put *);       /* rows of history so far */

/* For struct fold_owner. -EIO: put_error() says why. */
int put_load(void *put, struct fold *, const struct store_key *, size_t n);
int put_row(void *put, const struct store_row *);
/* Everything so far, and the mark. Rows that may be read again stay in memory, unless they are over `keep` bytes. */
int put_commit(struct put *, const int64_t *next, size_t keep);
const char *put_error(const struct put *);

#endif
