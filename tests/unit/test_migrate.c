/* The files' side of migrations; tests/integration/test_schema.c has the database's. */
#include "common/base/migrate.h"
#include "common/base/store_pg.h"
#include "common/im/schema.h"

#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOWHERE "host=127.0.0.1 port=1 connect_timeout=1"

struct dir {
    char path[64];
};

static int setup(void **state)
{
    struct dir *d = calloc(1, sizeof *d);
    snprintf(d->path, sizeof d->path, "/tmp/test_migrate.XXXXXX");
    *state = d;
    return mkdtemp(d->path) ? 0 : -1;
}

static int teardown(void **state)
{
    struct dir *d = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", d->path);
    int rc = system(command);
    free(d);
    return rc;
}

static void file(const struct dir *d, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", d->path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int apply(const struct dir *d, int newest, struct migrate_result *r)
{
    const struct migrate m = {.conninfo = NOWHERE, .dir = d->path, .newest = newest};
    return migrate_apply(&m, r);
}

static void judges_versions(void **state)
{
    (void)state;
    assert_int_equal(migrate_judge(0, 3), MIGRATE_MISSING);
    assert_int_equal(migrate_judge(2, 3), MIGRATE_OLDER);
    assert_int_equal(migrate_judge(3, 3), MIGRATE_CURRENT);
    assert_int_equal(migrate_judge(4, 3), MIGRATE_NEWER);
    assert_string_equal(schema_complaint(SCHEMA_NEWEST), "");
    assert_non_null(strstr(schema_complaint(0), "parleyctl migrate"));
    assert_non_null(strstr(schema_complaint(SCHEMA_NEWEST + 1), "newer"));
}

static void a_gap_in_the_numbers_is_refused(void **state)
{
    struct migrate_result r;
    file(*state, "001_a.sql", "SELECT 1;");
    file(*state, "003_c.sql", "SELECT 1;");
    assert_int_equal(apply(*state, 3, &r), -EBADMSG);
    assert_non_null(strstr(r.error, "002"));
}

static void a_number_given_twice_is_refused(void **state)
{
    struct migrate_result r;
    file(*state, "001_a.sql", "SELECT 1;");
    file(*state, "001_b.sql", "SELECT 1;");
    assert_int_equal(apply(*state, 1, &r), -EBADMSG);
    assert_non_null(strstr(r.error, "two"));
}

static void files_beyond_the_newest_and_others_are_ignored(void **state)
{
    struct migrate_result r;
    file(*state, "001_a.sql", "SELECT 1;");
    file(*state, "002_later.sql", "SELECT 1;");
    file(*state, "roles.sql", "SELECT 1;");
    file(*state, "01_short.sql", "SELECT 1;");
    assert_int_equal(apply(*state, 1, &r), -EIO); /* got as far as the server, which is not there */
    assert_non_null(strstr(r.error, "PostgreSQL"));
}

static void the_directory_is_found(void **state)
{
    struct dir *d = *state;
    char out[256];
    assert_int_equal(migrate_find(d->path, out, sizeof out), -ENOENT); /* empty */
    file(d, "001_a.sql", "SELECT 1;");
    assert_int_equal(migrate_find(d->path, out, sizeof out), 0);
    assert_string_equal(out, d->path);
    assert_int_equal(migrate_find(d->path, out, 4), -ENAMETOOLONG);
}

static bool exists(const char *dir, int number)
{
    char name[300];
    glob_t g;
    snprintf(name, sizeof name, "%s/%03d_*.sql", dir, number);
    int rc = glob(name, 0, NULL, &g);
    if (rc == 0)
        globfree(&g);
    return rc == 0;
}

static void the_shipped_files_are_what_the_program_knows(void **state)
{
    char dir[256], path[300], text[8192];
    (void)state;
    if (migrate_find("", dir, sizeof dir))
        skip();
    for (int number = 1; number <= SCHEMA_NEWEST; number++)
        assert_true(exists(dir, number));
    assert_false(exists(dir, SCHEMA_NEWEST + 1));
    snprintf(path, sizeof path, "%s/001_store.sql", dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *sql = strstr(text, "\n\n"); /* after the comment */
    assert_non_null(sql);
    assert_string_equal(sql + 2, store_pg_schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_versions),
        cmocka_unit_test_setup_teardown(a_gap_in_the_numbers_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_given_twice_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(files_beyond_the_newest_and_others_are_ignored, setup, teardown),
        cmocka_unit_test_setup_teardown(the_directory_is_found, setup, teardown),
        cmocka_unit_test(the_shipped_files_are_what_the_program_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
