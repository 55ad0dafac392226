#include "client/parleyctl/rebuild_schema.h"

#include "client/parleyctl/progress.h"
#include "common/im/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Only one at a time, whatever the schema: they would take the machine from each other. */
#define LOCK       "hashtextextended('parley rebuild ' || current_database(), 0)"
#define LOCK_TRIES 25
#define LOCK_MS    200

/* ---- names ---- */

static int name(struct rebuild_schemas *s, const char *suffix, char *out, char *quoted)
{
    char whole[2 * PG_NAME];
    if (snprintf(whole, sizeof whole, "%s%s", s->live, suffix) >= PG_NAME) {
        ctl_complain("the schema's name is too long for %s%s", s->live, suffix);
        return CTL_FAILED;
    }
    char *q = PQescapeIdentifier(s->db, whole, strlen(whole));
    snprintf(out, PG_NAME, "%.63s", whole);
    int n = snprintf(quoted, 2 * PG_NAME, "%s", q ? q : "");
    PQfreemem(q);
    return n > 0 && n < 2 * PG_NAME ? CTL_OK : CTL_FAILED;
}

int rebuild_schemas_open(struct rebuild_schemas *s, struct ctl *c)
{
    *s = (struct rebuild_schemas){0};
    const char *place = c->settings.deploy.postgres;
    s->db = rpg_open(place);
    if (!s->db)
        return CTL_FAILED;
    /* A schema that was dropped is still the first of the path. */
    int rc = rpg_text(s->db, s->live, sizeof s->live,
                      "SELECT coalesce(current_schema(), (SELECT btrim(x, ' \"') FROM "
                      "unnest(string_to_array(current_setting('search_path'), ',')) WITH ORDINALITY p(x, n) "
                      "WHERE btrim(x, ' \"') <> '$user' ORDER BY n LIMIT 1), 'public')");
    if (rc || name(s, "", s->live, s->live_q) || name(s, "_rebuild", s->shadow, s->shadow_q) ||
        name(s, "_old", s->old, s->old_q))
        return CTL_FAILED;
    s->live_info = rpg_conninfo(place, s->live);
    s->shadow_info = rpg_conninfo(place, s->shadow);
    s->old_info = rpg_conninfo(place, s->old);
    if (!s->live_info || !s->shadow_info || !s->old_info)
        return CTL_FAILED;
    /* One that was killed is let go of by the server in a moment. */
    for (int tries = 0; rpg_number(s->db, 0, "SELECT pg_try_advisory_lock(" LOCK ")::int") != 1; tries++) {
        if (tries == LOCK_TRIES) {
            ctl_complain("another rebuild of this database is under way");
            return CTL_FAILED;
        }
        poll(NULL, 0, LOCK_MS);
    }
    return CTL_OK;
}

void rebuild_schemas_release(struct rebuild_schemas *s)
{
    PQfinish(s->db);
    free(s->live_info);
    free(s->shadow_info);
    free(s->old_info);
    *s = (struct rebuild_schemas){0};
}

bool rebuild_schema_there(const struct rebuild_schemas *s, const char *schema)
{
    char *q = PQescapeLiteral(s->db, schema, strlen(schema));
    int64_t n = rpg_number(s->db, 0,
                           "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                           "WHERE n.nspname = %s AND c.relname IN ('schema_version', 'messages')",
                           q ? q : "''");
    PQfreemem(q);
    return n == 2;
}

/* ---- the shadow ---- */

/* Of the tables that get a row a message; an index costs less when it is made from all rows at once. */
static const char put_aside[] =
    "CREATE TABLE rebuild_state (key text PRIMARY KEY, value text NOT NULL);"
    "CREATE TABLE rebuild_indexes AS SELECT c.relname::text AS name, pg_get_indexdef(i.indexrelid) AS def, "
    "i.indisprimary AS key FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = "
    "c.relam "
    "WHERE i.indrelid = 'messages'::regclass OR (i.indrelid = 'search_blocks'::regclass AND a.amname = "
    "'gin');"
    "DO $$ DECLARE x record; BEGIN FOR x IN SELECT * FROM rebuild_indexes LOOP "
    "IF x.key THEN EXECUTE format('ALTER TABLE messages DROP CONSTRAINT %I', x.name); "
    "ELSE EXECUTE format('DROP INDEX %I', x.name); END IF; END LOOP; END $$;"
    "ALTER TABLE search_blocks SET (autovacuum_enabled = false);"
    "ALTER TABLE messages SET (autovacuum_enabled = false)";

static int make(struct rebuild_schemas *s, struct ctl *c)
{
    struct migrate_result r = {0};
    if (rpg_do(s->db, "CREATE SCHEMA %s", s->shadow_q))
        return CTL_FAILED;
    if (schema_migrate(s->shadow_info, NULL, NULL, NULL, &r)) {
        ctl_complain("%s", r.error);
        return CTL_FAILED;
    }
    PGconn *db = rpg_open(s->shadow_info);
    int rc = db && !rpg_do(db, "BEGIN") && !rpg_do(db, "%s", put_aside) && !rpg_do(db, "COMMIT") ? CTL_OK
                                                                                                 : CTL_FAILED;
    PQfinish(db);
    if (!rc)
        ctl_say(c, "the schema %s is made", s->shadow);
    return rc;
}

/* Whole, and of this release. */
static bool usable(struct rebuild_schemas *s)
{
    return rebuild_schema_there(s, s->shadow) &&
           rpg_number(s->db, 0, "SELECT (to_regclass('%s.rebuild_state') IS NOT NULL)::int", s->shadow_q) ==
               1 &&
           rpg_number(s->db, 0, "SELECT max(version) FROM %s.schema_version", s->shadow_q) == SCHEMA_NEWEST;
}

int rebuild_shadow(struct rebuild_schemas *s, struct ctl *c, bool fresh)
{
    if (!fresh && usable(s))
        return CTL_OK;
    if (rpg_do(s->db, "DROP SCHEMA IF EXISTS %s CASCADE", s->shadow_q))
        return CTL_FAILED;
    return make(s, c);
}

int rebuild_note(struct rebuild_schemas *s, const char *key, const char *value)
{
    char *v = PQescapeLiteral(s->db, value, strlen(value));
    int rc = rpg_do(s->db,
                    "INSERT INTO %s.rebuild_state VALUES ('%s', %s) ON CONFLICT (key) DO UPDATE SET value = "
                    "excluded.value",
                    s->shadow_q, key, v ? v : "''");
    PQfreemem(v);
    return rc ? CTL_FAILED : CTL_OK;
}

int rebuild_noted(struct rebuild_schemas *s, const char *key, char *value, size_t n)
{
    *value = '\0';
    int rc =
        rpg_text(s->db, value, n, "SELECT value FROM %s.rebuild_state WHERE key = '%s'", s->shadow_q, key);
    return rc == -EIO ? CTL_FAILED : CTL_OK;
}

/* ---- marks ---- */

static struct rebuild_task *task_of(struct rebuild_tasks *ts, const char *store, int32_t part)
{
    for (size_t i = 0; i < ts->n; i++)
        if (ts->v[i].part == part && !strcmp(rebuild_store(&ts->v[i]), store))
            return &ts->v[i];
    return NULL;
}

int rebuild_marks(PGconn *db, const char *schema_q, struct rebuild_tasks *ts, bool *present)
{
    PGresult *r = rpg_ask(
        db, "SELECT store, part, present, next[1], coalesce(next[2], 0) FROM %s.parley_marks", schema_q);
    bool all = true;
    if (!r)
        return CTL_FAILED;
    for (size_t i = 0; i < ts->n; i++)
        for (size_t k = 0; k < REBUILD_TOPICS; k++)
            ts->v[i].next[k] = -1;
    for (int i = 0; i < PQntuples(r); i++) {
        struct rebuild_task *t =
            task_of(ts, PQgetvalue(r, i, 0), (int32_t)strtol(PQgetvalue(r, i, 1), NULL, 10));
        bool there = PQgetvalue(r, i, 2)[0] == 't';
        for (size_t k = 0; t && there && k < REBUILD_TOPICS; k++)
            t->next[k] = strtoll(PQgetvalue(r, i, 3 + (int)k), NULL, 10);
    }
    for (size_t i = 0; i < ts->n; i++)
        for (size_t k = 0; k < REBUILD_TOPICS; k++)
            if (ts->v[i].next[k] < 0) {
                all = false;
                ts->v[i].next[k] = 0;
            }
    if (present)
        *present = all;
    PQclear(r);
    return CTL_OK;
}
