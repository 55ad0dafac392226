/* rebuild_schema.h: the three schemas of a rebuild of history: the live one, the shadow that is being made, the old one
 * that a swap puts away. All calls block, and say on stderr what fails. */
#ifndef PARLEY_CTL_REBUILD_SCHEMA_H
#define PARLEY_CTL_REBUILD_SCHEMA_H

#include "client/parleyctl/rebuild_fold.h"
#include "client/parleyctl/rebuild_pg.h"

struct rebuild_schemas {
    char live[PG_NAME], shadow[PG_NAME], old[PG_NAME];                   /* names */
    char live_q[2 * PG_NAME], shadow_q[2 * PG_NAME], old_q[2 * PG_NAME]; /* as SQL has them */
    char *live_info, *shadow_info, *old_info;
    PGconn *db; /* as configured; holds the lock that keeps a second rebuild out */
};

/* The live schema is the first of the connection's search path. An exit code. */
int rebuild_schemas_open(struct rebuild_schemas *, struct ctl *);
void rebuild_schemas_release(struct rebuild_schemas *);
bool rebuild_schema_there(const struct rebuild_schemas *, const char *name); /* with Parley's tables */

/* The shadow, new or as it was left; `fresh`: new in any case. While it is loaded it has no indexes on messages. */
int rebuild_shadow(struct rebuild_schemas *, struct ctl *, bool fresh);
/* What loading left out: indexes, words for search (with `words`), statistics, marks of partitions without records. */
int rebuild_complete(struct rebuild_schemas *, struct ctl *, const struct rebuild_tasks *, int jobs,
                     bool words);
/* Its next[] of every partition, from the marks of a schema; 0 where there is none. `present` (may be NULL): whether all
 * partitions that have records have one. */
int rebuild_marks(PGconn *, const char *schema_q, struct rebuild_tasks *, bool *present);

/* What was found out about the shadow, kept in it. value "" when there is none. */
int rebuild_note(struct rebuild_schemas *, const char *key, const char *value);
int rebuild_noted(struct rebuild_schemas *, const char *key, char *value, size_t n);

#endif
