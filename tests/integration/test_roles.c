/* schema/roles.sql on a real PostgreSQL: every process may do what it does, and no more. Roles are the whole server's:
 * they are made in a transaction that is undone. */
#include "common/base/rand.h"
#include "common/im/schema.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static PGconn *server, *pg;
static char database[40];

static void sql(PGconn *c, const char *text)
{
    PGresult *r = PQexec(c, text);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(c));
    PQclear(r);
}

/* Anything but a right that is missing is the test's own mistake. */
static bool may(const char *role, const char *text)
{
    char set[80];
    sql(pg, "SAVEPOINT before");
    (void)snprintf(set, sizeof set, "SET LOCAL ROLE %s", role);
    sql(pg, set);
    PGresult *r = PQexec(pg, text);
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    bool denied = state && strcmp(state, "42501") == 0;
    if (state && !denied)
        fail_msg("%s: %s", text, PQresultErrorMessage(r));
    PQclear(r);
    sql(pg, "ROLLBACK TO before");
    return !denied;
}

static char *file(const char *path)
{
    char *text = calloc(1, 65536);
    FILE *f = fopen(path, "r");
    if (!f || !text || fread(text, 1, 65535, f) == 0)
        fail_msg("cannot read %s", path);
    (void)fclose(f);
    return text;
}

static int setup(void **state)
{
    struct migrate_result r;
    const char *conninfo = getenv("PARLEY_POSTGRES");
    char text[600];
    uint64_t name;
    (void)state;
    rand_bytes(&name, sizeof name);
    server = PQconnectdb(conninfo ? conninfo : "");
    (void)snprintf(database, sizeof database, "parley_roles_%" PRIx64, name);
    (void)snprintf(text, sizeof text, "CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'", database);
    sql(server, text);
    (void)snprintf(text, sizeof text, "%s dbname=%s", conninfo ? conninfo : "", database);
    if (schema_migrate(text, "", NULL, NULL, &r))
        fail_msg("migrate: %s", r.error);
    pg = PQconnectdb(text);
    char *roles = file("schema/roles.sql");
    sql(pg, "BEGIN");
    sql(pg, roles);
    free(roles);
    return 0;
}

static int teardown(void **state)
{
    char text[80];
    (void)state;
    PQfinish(pg);
    (void)snprintf(text, sizeof text, "DROP DATABASE %s", database);
    sql(server, text);
    PQfinish(server);
    return 0;
}

static void fanout_restores_and_sees_no_bodies(void **state)
{
    (void)state;
    assert_true(may("parley_fanout", "SELECT next[1] FROM parley_marks"));
    assert_true(may("parley_fanout", "SELECT key, row FROM cells"));
    assert_true(may("parley_fanout", "SELECT conv_offset, seq, time_ms, until_ms, users FROM messages WHERE "
                                     "conv_part = 0 AND conv_offset >= 0"));
    assert_false(may("parley_fanout", "SELECT text FROM messages"));
    assert_false(may("parley_fanout", "SELECT login FROM accounts"));
    assert_false(may("parley_fanout", "DELETE FROM cells"));
    assert_true(may("parley_webhooks", "SELECT m.next[1], c.key, c.row FROM parley_marks m, cells c"));
    assert_false(may("parley_webhooks", "SELECT text FROM messages"));
}

static void query_reads(void **state)
{
    static const char *const tables[] = {"schema_version", "parley_marks", "messages",
                                         "conversations",  "memberships",  "asks",
                                         "prefs",          "devices",      "search_blocks"};
    char text[80];
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        (void)snprintf(text, sizeof text, "SELECT 1 FROM %s", tables[i]);
        assert_true(may("parley_query", text));
        (void)snprintf(text, sizeof text, "DELETE FROM %s", tables[i]);
        assert_false(may("parley_query", text));
    }
    assert_true(
        may("parley_query", "SELECT part, user_id, login, display_name, presence, seen_ms FROM accounts"));
    assert_true(may("parley_query", "SELECT parley_seq_at('', 1)"));
    assert_true(may("parley_query", "SELECT * FROM parley_candidates('', parley_words('word'))"));
    assert_false(may("parley_query", "SELECT verifier FROM verifiers"));
    assert_false(may("parley_query", "SELECT row FROM cells"));
}

static void the_persister_writes(void **state)
{
    static const char *const tables[] = {"parley_marks", "cells",     "messages",     "conversations",
                                         "memberships",  "asks",      "prefs",        "accounts",
                                         "devices",      "verifiers", "search_blocks"};
    char text[80];
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        (void)snprintf(text, sizeof text, "DELETE FROM %s", tables[i]);
        assert_true(may("parley_persister", text));
    }
    assert_true(may("parley_persister", "SELECT parley_index_blocks(1)"));
}

static void the_auditor_compares(void **state)
{
    (void)state;
    assert_true(may("parley_auditor", "SELECT next[1] FROM parley_marks"));
    assert_true(may("parley_auditor", "SELECT key, row FROM cells"));
    assert_true(may("parley_auditor",
                    "SELECT conv_offset, conv, seq, sender, device, client_seq, msg_id, kind, time_ms, "
                    "text, content_type, data FROM messages WHERE conv_part = 0"));
    assert_true(may("parley_auditor",
                    "SELECT 1 FROM memberships WHERE user_id = '' AND conv = '' AND visible @> 1::int8"));
    assert_false(may("parley_auditor", "SELECT login FROM memberships"));
    assert_false(may("parley_auditor", "SELECT login FROM accounts"));
    assert_false(may("parley_auditor", "SELECT verifier FROM verifiers"));
    assert_false(may("parley_auditor", "DELETE FROM messages"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fanout_restores_and_sees_no_bodies),
        cmocka_unit_test(the_auditor_compares),
        cmocka_unit_test(query_reads),
        cmocka_unit_test(the_persister_writes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
