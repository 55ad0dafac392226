/* tables.h: how the persister's rows become SQL; for store_pg_new(). The tables are in schema/sql. */
#ifndef PARLEY_PERSISTER_TABLES_H
#define PARLEY_PERSISTER_TABLES_H

#include "common/base/store_pg.h"

#define PERSISTER_TABLES 12
extern const struct store_pg_table persister_tables[PERSISTER_TABLES];

#endif
