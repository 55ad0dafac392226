/* rebuild_put_int.h: the parts of rebuild_put, for each other. */
#ifndef PARLEY_CTL_REBUILD_PUT_INT_H
#define PARLEY_CTL_REBUILD_PUT_INT_H

#include "client/parleyctl/rebuild_copy.h"
#include "client/parleyctl/rebuild_put.h"
#include "client/parleyctl/rebuild_rows.h"
#include "common/base/store_pg.h"

struct put {
    PGconn *write, *read;
    const char *store;
    int32_t part, part_be;
    size_t n_topics;
    int64_t generation, serial, next[STORE_TOPICS];
    struct held *held;             /* what may be read again; kept behind a commit while there is room */
    struct held *once;             /* what is never read */
    struct held *of[STORE_TABLES]; /* which of the two a table's rows are in */
    struct held *answer;
    struct seen *seen; /* NULL: any key may be there */
    struct copy *messages;
    struct db_array columns[STORE_PG_COLUMNS], keys;
    bool began;
    uint64_t rows;
    char error[256];
};

int put_failed(struct put *, PGconn *, const char *what); /* -EIO; the first reason stays */
int put_do(struct put *, const char *sql);

#endif
