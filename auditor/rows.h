/* rows.h: asks PostgreSQL for the books: the rows of the last records, and whether old messages are there and may be
 * seen. Read-only, one connection, at most one question per partition in flight. PostgreSQL away: the questions wait;
 * nothing is concluded from that. Loop thread. */
#ifndef PARLEY_AUDITOR_ROWS_H
#define PARLEY_AUDITOR_ROWS_H

#include "auditor/books.h"
#include "common/base/daemon.h"

struct rows;
/* `conninfo`, `books` borrowed. NULL: logged. */
struct rows *rows_new(struct daemon_run *, const char *conninfo, struct books *, int32_t parts);
void rows_free(struct rows *);
void rows_turn(struct rows *); /* now and then: asks what there is to ask */
/* The persister's mark as last seen; -1: not known. */
int64_t rows_mark(const struct rows *, int32_t part);

#endif
