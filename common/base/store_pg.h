/* store_pg.h: how the rows of a core become SQL.
 *
 * A row may stand for several columns: `split` cuts key and row into values, one array parameter per column,
 * and the statement unnests them. One put is one transaction: parley_fence(…), then the statements of the
 * tables it touches, in order of table number, appends last. Parameters of every statement: $1 = store name
 * (text), $2 = partition (int4), $3… = one array per column (upsert, append) or per key column (remove,
 * load).
 *
 *     .upsert = "INSERT INTO cells (part, key, row) SELECT $2, * FROM unnest($3::bytea[], $4::bytea[])"
 *               " ON CONFLICT (part, key) DO UPDATE SET row = excluded.row"
 *     .remove = "DELETE FROM cells WHERE part = $2 AND key = ANY($3::bytea[])"
 *     .load   = "SELECT key, row FROM cells WHERE part = $2 AND key = ANY($3::bytea[])"
 *     .clear  = "DELETE FROM cells WHERE part = $2 AND $1 <> ''"
 *
 * The fence and the marks table are in store_pg_schema (also in schema/sql); SQLSTATE PY001: fenced, PY002:
 * this put was already done, PY003: no mark.
 */
#ifndef PARLEY_BASE_STORE_PG_H
#define PARLEY_BASE_STORE_PG_H

#include "common/base/db.h"
#include "common/base/store.h"

#define STORE_PG_COLUMNS 24

struct store_pg_table {
    uint8_t table;                              /* the number used in fx_put / fx_append */
    const char *name;                           /* for prepared statements' names */
    const char *upsert, *remove, *load, *clear; /* keyed tables; NULL what is never used */
    const char *append;                         /* append tables */
    size_t n_columns;                           /* of upsert or append: 2 (key, row) when split is NULL */
    const Oid *types;                           /* of the columns; NULL: all bytea */
    /* Adds one value to each of the n_columns arrays; -EBADMSG halts the partition. NULL: key and row as they
     * are. */
    int (*split)(struct slice key, struct slice row, struct db_array *columns);
};
/* load's result must be (key bytea, row bytea) in any order; keys not returned are proven absent. With
 * n_columns other than 2 the key passed to remove and load is still the one byte string. */

extern const char store_pg_schema[]; /* idempotent SQL: parley_marks, parley_open, parley_fence */

#endif
