/* rebuild_copy.h: COPY … FROM STDIN (FORMAT binary) of the persister's rows. Blocking. */
#ifndef PARLEY_CTL_REBUILD_COPY_H
#define PARLEY_CTL_REBUILD_COPY_H

#include "common/base/core.h"

#include <libpq-fe.h>

struct copy;

struct copy *copy_begin(PGconn *, const char *sql); /* NULL: refused; the connection says why */
/* Frees it. failed: 0, or why it is to be given up. 0 or -EIO; with `failed` always that. */
int copy_end(struct copy *, int failed);
void copy_free(struct copy *); /* the connection is of no use afterwards */

/* Rows as persister/rows.h packs them. 0, -EIO, -EBADMSG: not such a row. */
int copy_message(struct copy *, int32_t part, bool wide, struct slice row);
int copy_cell(struct copy *, int32_t part, struct slice key, struct slice row);
int copy_block(struct copy *, int32_t part, struct slice key, struct slice row);

#endif
