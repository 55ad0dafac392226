/* schema.h: the SQL schema this release was built for, and the one call that brings a database to it. */
#ifndef PARLEY_IM_SCHEMA_H
#define PARLEY_IM_SCHEMA_H

#include "common/base/migrate.h"

#define SCHEMA_NEWEST 7 /* the highest number in schema/sql */

/* The persister's two stores, as the marks name them. */
#define SCHEMA_STORE_CONV  "conversation"
#define SCHEMA_STORE_USERS "users"

/* What an operator does about a schema that is missing or older. */
#define SCHEMA_HELP "run: parleyctl migrate"

/* Applies schema/sql to the database. `dir` NULL or "": looked for, see migrate_find(). `note` (may be NULL) gets one
 * line per migration applied. Blocking. 0, or negative errno as migrate_apply() with result->error for people;
 * -ENOENT: the migrations were not found. */
int schema_migrate(const char *conninfo, const char *dir, void (*note)(void *ctx, const char *line),
                   void *ctx, struct migrate_result *result);

/* "" when a database with this version can be used; else what is wrong and what helps. Static text. */
const char *schema_complaint(int version);

#endif
