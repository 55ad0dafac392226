/* tables.h: how the persister's rows become SQL; for store_pg_new(). The tables are in schema/sql. */
#ifndef PARLEY_PERSISTER_TABLES_H
#define PARLEY_PERSISTER_TABLES_H

#include "common/base/store_pg.h"

#define PERSISTER_TABLES 13
extern const struct store_pg_table persister_tables[PERSISTER_TABLES];

/* The same tables for whoever brings many new rows at once: COPY takes the partition, then the columns of split_event()
 * (a plain message: of split_message(), the others NULL), of a cell (key, row), of split_block(). `logins` is text[] here. */
#define EVENT_LOGINS 19 /* its place among the columns of split_event() */
extern const char persister_copy_messages[], persister_copy_cells[], persister_copy_blocks[];

#endif
