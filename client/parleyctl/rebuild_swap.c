/* rebuild_swap.c: one schema takes the place of another, while everything runs.
 *
 * The persister's marks are locked, the schema that comes in is brought to exactly where they are, and names are
 * exchanged in the same transaction. Generations go up on both sides, so the persister's next put is refused, whichever
 * schema it meets: it opens its partitions anew and finds the mark of the new one. */
#include "client/parleyctl/rebuild_history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 5

/* Whoever may do something in schema a may do it in b; b belongs to whom a belongs. */
static const char rights[] =
    "DO $do$ DECLARE a text := %s; b text := %s; r record; BEGIN\n"
    "FOR r IN SELECT pg_get_userbyid(x.nspowner) o FROM pg_namespace x, pg_namespace y WHERE x.nspname = a "
    "AND y.nspname = b "
    "AND x.nspowner <> y.nspowner LOOP\n"
    "  EXECUTE format('ALTER SCHEMA %%I OWNER TO %%I', b, r.o);\n"
    "END LOOP;\n"
    "FOR r IN SELECT y.relname n, pg_get_userbyid(x.relowner) o FROM pg_class x JOIN pg_class y USING "
    "(relname, relkind) "
    "WHERE x.relnamespace = to_regnamespace(quote_ident(a)) AND y.relnamespace = "
    "to_regnamespace(quote_ident(b)) AND x.relkind = 'r' "
    "AND x.relowner <> y.relowner LOOP\n"
    "  EXECUTE format('ALTER TABLE %%I.%%I OWNER TO %%I', b, r.n, r.o);\n"
    "END LOOP;\n"
    "FOR r IN SELECT format('SCHEMA %%I', b) w, x.privilege_type p, x.grantee g, '' c FROM pg_namespace n, "
    "aclexplode(n.nspacl) x WHERE n.nspname = a\n"
    " UNION ALL SELECT format('TABLE %%I.%%I', b, c.relname), x.privilege_type, x.grantee, '' FROM pg_class "
    "c, "
    "aclexplode(c.relacl) x WHERE c.relnamespace = to_regnamespace(quote_ident(a)) AND c.relkind = 'r' AND "
    "EXISTS (SELECT FROM pg_class y "
    "WHERE y.relnamespace = to_regnamespace(quote_ident(b)) AND y.relname = c.relname)\n"
    " UNION ALL SELECT format('TABLE %%I.%%I', b, c.relname), x.privilege_type, x.grantee, format(' (%%I)', "
    "t.attname) FROM "
    "pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) x WHERE c.relnamespace = "
    "to_regnamespace(quote_ident(a)) AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_class y WHERE "
    "y.relnamespace = "
    "to_regnamespace(quote_ident(b)) AND y.relname = c.relname)\n"
    " UNION ALL SELECT format('FUNCTION %%I.%%I(%%s)', b, p.proname, "
    "pg_get_function_identity_arguments(p.oid)), "
    "x.privilege_type, x.grantee, '' FROM pg_proc p, aclexplode(p.proacl) x WHERE p.pronamespace = "
    "to_regnamespace(quote_ident(a)) AND "
    "EXISTS (SELECT FROM pg_proc y WHERE y.pronamespace = to_regnamespace(quote_ident(b)) AND y.proname = "
    "p.proname) LOOP\n"
    "  EXECUTE format('GRANT %%s%%s ON %%s TO %%s', r.p, r.c, r.w, CASE r.g WHEN 0 THEN 'PUBLIC' ELSE "
    "quote_ident(pg_get_userbyid(r.g)) END);\n"
    "END LOOP;\n"
    /* What PUBLIC was refused. */
    "FOR r IN SELECT p.proname n, pg_get_function_identity_arguments(p.oid) i FROM pg_proc p WHERE "
    "p.pronamespace = "
    "to_regnamespace(quote_ident(a)) AND p.proacl IS NOT NULL AND NOT EXISTS (SELECT FROM "
    "aclexplode(p.proacl) x WHERE x.grantee = 0) AND "
    "EXISTS (SELECT FROM pg_proc y WHERE y.pronamespace = to_regnamespace(quote_ident(b)) AND y.proname = "
    "p.proname) LOOP\n"
    "  EXECUTE format('REVOKE ALL ON FUNCTION %%I.%%I(%%s) FROM PUBLIC', b, r.n, r.i);\n"
    "END LOOP;\n"
    "END $do$";

/* a steps aside as `away`, b becomes a. What others keep in a stays in a, and their views look at the new tables. */
static const char exchange[] =
    "DO $do$ DECLARE a text := %s; b text := %s; away text := %s; r record; views text[] := '{}'; v text; "
    "BEGIN\n"
    "FOR r IN SELECT DISTINCT w.oid, n.nspname, w.relname, w.relkind FROM pg_class t JOIN pg_depend d ON "
    "d.refobjid = t.oid AND d.refclassid = "
    "'pg_class'::regclass JOIN pg_rewrite e ON e.oid = d.objid AND d.classid = 'pg_rewrite'::regclass JOIN "
    "pg_class w ON w.oid = "
    "e.ev_class JOIN pg_namespace n ON n.oid = w.relnamespace WHERE t.relnamespace = "
    "to_regnamespace(quote_ident(a)) AND t.oid <> w.oid AND "
    "EXISTS (SELECT FROM pg_class y WHERE y.relnamespace = to_regnamespace(quote_ident(b)) AND y.relname = "
    "t.relname) AND NOT EXISTS "
    "(SELECT FROM pg_class y WHERE y.relnamespace = to_regnamespace(quote_ident(b)) AND y.relname = "
    "w.relname AND n.nspname = a) "
    "ORDER BY w.oid LOOP\n"
    "  IF r.relkind <> 'v' THEN RAISE EXCEPTION '%% would keep looking at the old tables: drop it first', "
    "format('%%I.%%I', r.nspname, r.relname); END IF;\n"
    "  views := views || format('CREATE OR REPLACE VIEW %%I.%%I AS %%s', r.nspname, r.relname, "
    "pg_get_viewdef(r.oid));\n"
    "END LOOP;\n"
    "EXECUTE format('ALTER SCHEMA %%I RENAME TO %%I', a, away);\n"
    "EXECUTE format('ALTER SCHEMA %%I RENAME TO %%I', b, a);\n"
    "FOR r IN SELECT extname FROM pg_extension WHERE extnamespace = to_regnamespace(quote_ident(away)) LOOP\n"
    "  EXECUTE format('ALTER EXTENSION %%I SET SCHEMA %%I', r.extname, a);\n"
    "END LOOP;\n"
    "FOR r IN SELECT c.relname, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN "
    "'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END k FROM pg_class c WHERE "
    "c.relnamespace = to_regnamespace(quote_ident(away)) "
    "AND c.relkind IN ('r', 'p', 'f', 'S', 'v', 'm') AND NOT c.relispartition AND c.relname NOT IN "
    "('rebuild_state', "
    "'rebuild_indexes') AND NOT EXISTS (SELECT FROM pg_class y WHERE y.relnamespace = "
    "to_regnamespace(quote_ident(a)) AND y.relname = "
    "c.relname) AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i', "
    "'e') AND "
    "d.classid = 'pg_class'::regclass AND c.relkind = 'S') LOOP\n"
    "  EXECUTE format('ALTER %%s %%I.%%I SET SCHEMA %%I', r.k, away, r.relname, a);\n"
    "END LOOP;\n"
    "FOR r IN SELECT p.oid::regprocedure::text f FROM pg_proc p WHERE p.pronamespace = "
    "to_regnamespace(quote_ident(away)) AND NOT EXISTS (SELECT "
    "FROM pg_proc y WHERE y.pronamespace = to_regnamespace(quote_ident(a)) AND y.proname = p.proname) AND "
    "NOT EXISTS (SELECT FROM pg_depend d "
    "WHERE d.objid = p.oid AND d.deptype = 'e') LOOP\n"
    "  EXECUTE format('ALTER ROUTINE %%s SET SCHEMA %%I', r.f, a);\n"
    "END LOOP;\n"
    "FOREACH v IN ARRAY views LOOP EXECUTE v; END LOOP;\n"
    "END $do$";

/* Both sides: nobody's generation is good any more. */
static const char fence_off[] =
    "UPDATE %s.parley_marks n SET generation = greatest(n.generation, o.generation) + 1 FROM %s.parley_marks "
    "o WHERE "
    "o.store = n.store AND o.part = n.part; UPDATE %s.parley_marks SET generation = generation + 1";

struct place { /* a schema */
    const char *name, *quoted, *info;
};

static int format_and_do(PGconn *db, const char *sql, const char *a, const char *b, const char *c)
{
    char *x = PQescapeLiteral(db, a, strlen(a)), *y = PQescapeLiteral(db, b, strlen(b)),
         *z = PQescapeLiteral(db, c, strlen(c)), *text = NULL;
    int rc = -1;
    PGresult *r = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (x && y && z && asprintf(&text, sql, x, y, z) > 0)
        r = PQexec(db, text);
#pragma GCC diagnostic pop
    if (r && PQresultStatus(r) == PGRES_COMMAND_OK)
        rc = 0;
    else
        rpg_complain(db, "the exchange was refused, nothing has changed");
    PQclear(r);
    free(text);
    PQfreemem(x);
    PQfreemem(y);
    PQfreemem(z);
    return rc;
}

/* ---- bringing it to where the live one is ---- */

/* The incoming schema up to the live marks as they are now. */
static int follow(struct rebuild *b, const struct place *in)
{
    struct rebuild_tasks live = {0};
    if (rebuild_tasks_init(&live, b->c))
        return CTL_FAILED;
    int rc = rebuild_marks(b->s.db, b->s.live_q, &live, NULL);
    if (!rc)
        rc = rebuild_marks(b->s.db, in->quoted, &b->tasks, NULL);
    for (size_t i = 0; !rc && i < live.n; i++)
        for (size_t k = 0; k < REBUILD_TOPICS; k++)
            b->tasks.v[i].to[k] = live.v[i].next[k];
    rebuild_tasks_release(&live);
    return rc ? rc : rebuild_advance(b, in->info, in->quoted, true);
}

/* Leaves the live marks locked in an open transaction, and the incoming schema at least as far. The last stretch is
 * read under the lock, so it is kept short. */
static int meet(struct rebuild *b, const struct place *in)
{
    for (int i = 0; i < ROUNDS; i++) {
        int rc = follow(b, in);
        if (rc)
            return rc;
    }
    if (rpg_do(b->s.db, "BEGIN; SET LOCAL lock_timeout = '10s'; LOCK TABLE %s.parley_marks IN EXCLUSIVE MODE",
               b->s.live_q))
        return CTL_FAILED;
    return follow(b, in);
}

/* ---- exchanging ---- */

static int swap_under_lock(struct rebuild *b, const struct place *in, const char *away, bool live)
{
    PGconn *db = b->s.db;
    if (rpg_do(db, "DROP TABLE IF EXISTS %s.rebuild_state, %s.rebuild_indexes", in->quoted, in->quoted))
        return CTL_FAILED;
    if (live && (rpg_do(db, fence_off, in->quoted, b->s.live_q, b->s.live_q) ||
                 format_and_do(db, rights, b->s.live, in->name, "") ||
                 format_and_do(db, exchange, b->s.live, in->name, away)))
        return CTL_FAILED;
    if (!live && (rpg_do(db, "DROP SCHEMA IF EXISTS %s", b->s.live_q) ||
                  rpg_do(db, "ALTER SCHEMA %s RENAME TO %s", in->quoted, b->s.live_q)))
        return CTL_FAILED;
    return rpg_do(db, "COMMIT") ? CTL_FAILED : CTL_OK;
}

static int exchange_with(struct rebuild *b, const struct place *in, const char *away)
{
    bool live = rebuild_schema_there(&b->s, b->s.live);
    int rc = live ? meet(b, in) : rpg_do(b->s.db, "BEGIN") ? CTL_FAILED : CTL_OK;
    if (!rc)
        rc = swap_under_lock(b, in, away, live);
    if (rc)
        (void)rpg_do(b->s.db, "ROLLBACK");
    return rc;
}

static void told(const struct rebuild *b, const char *what)
{
    if (b->c->json)
        ctl_put(json_pack("{ss ss ss}", "rebuild", "history", "done", what, "schema", b->s.live));
}

int rebuild_swap(struct rebuild *b)
{
    struct rebuild_schemas *s = &b->s;
    char verified[64], question[400];
    if (rebuild_schema_there(s, s->old)) {
        ctl_complain("%s is there from an earlier swap: --drop-old, or --undo-swap, first", s->old);
        return CTL_FAILED;
    }
    if (rebuild_noted(s, "verified", verified, sizeof verified))
        return CTL_FAILED;
    if (!*verified && !b->c->yes) {
        ctl_complain("%s was not compared with %s, or differs: --verify first, or --yes", s->shadow, s->live);
        return CTL_FAILED;
    }
    bool live = rebuild_schema_there(s, s->live);
    snprintf(question, sizeof question, "Put %s in the place of %s%s%s?", s->shadow, s->live,
             live ? ", which becomes " : "", live ? s->old : "");
    if (!ctl_sure(b->c, question))
        return CTL_FAILED;
    const struct place in = {s->shadow, s->shadow_q, s->shadow_info};
    int rc = exchange_with(b, &in, s->old);
    if (rc)
        return rc;
    if (live)
        ctl_say(b->c, "swapped: %s is what was made from the log, %s is what was there", s->live, s->old);
    else
        ctl_say(b->c,
                "%s is what was made from the log; rights of roles have to be given again (schema/roles.sql)",
                s->live);
    told(b, "swap");
    return CTL_OK;
}

int rebuild_undo_swap(struct rebuild *b)
{
    struct rebuild_schemas *s = &b->s;
    char question[400];
    bool shadow = rebuild_schema_there(s, s->shadow);
    if (!rebuild_schema_there(s, s->old)) {
        ctl_complain("there is no %s to go back to", s->old);
        return CTL_FAILED;
    }
    snprintf(question, sizeof question,
             "Bring %s up to now and put it in the place of %s, which becomes %s%s?", s->old, s->live,
             s->shadow, shadow ? " (the present one of that name is dropped)" : "");
    if (!ctl_sure(b->c, question) || rpg_do(s->db, "DROP SCHEMA IF EXISTS %s CASCADE", s->shadow_q))
        return CTL_FAILED;
    kadmin_free(b->c->admin);
    b->c->admin = NULL;
    const struct place in = {s->old, s->old_q, s->old_info};
    int rc = exchange_with(b, &in, s->shadow);
    if (rc)
        return rc;
    ctl_say(b->c, "undone: %s is what was there before, %s is what was made from the log", s->live,
            s->shadow);
    told(b, "undo-swap");
    return CTL_OK;
}

int rebuild_drop_old(struct rebuild *b)
{
    struct rebuild_schemas *s = &b->s;
    char question[200];
    if (!rebuild_schema_there(s, s->old)) {
        ctl_say(b->c, "there is no %s", s->old);
        return CTL_OK;
    }
    snprintf(question, sizeof question, "Drop %s, what was there before the swap?", s->old);
    if (!ctl_sure(b->c, question) || rpg_do(s->db, "DROP SCHEMA %s CASCADE", s->old_q))
        return CTL_FAILED;
    ctl_say(b->c, "%s is gone", s->old);
    told(b, "drop-old");
    return CTL_OK;
}
