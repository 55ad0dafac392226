/* test_query_judge.c: pushes are asked about before they go; without an answer nothing goes, and nothing is lost. */
#include "query/judge.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
    struct judge *j;
    int rc; /* of run() */
    db_fn *fn;
    void *fn_ctx;
    unsigned asked, told;
    uint32_t handle;
    struct id16 last;
};

static int run(void *ctx, const struct ask *a, db_fn *fn, void *fn_ctx)
{
    struct world *w = ctx;
    assert_int_equal(a->n, 1);
    w->asked++;
    w->fn = fn;
    w->fn_ctx = fn_ctx;
    return w->rc;
}

static void tell(void *ctx, const struct session *to, const struct id16 *users, const bool *online, size_t n)
{
    struct world *w = ctx;
    w->told += (unsigned)n;
    w->handle = to->handle;
    w->last = users[n - 1];
    assert_true(online[n - 1]);
}

static void answer(struct world *w, enum db_status status, const char *shown)
{
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attr = {.name = (char *)(uintptr_t) "x"};
    const PGresult *results[] = {r};
    assert_true(PQsetResultAttrs(r, 1, &attr));
    for (int i = 0; shown[i]; i++)
        assert_true(PQsetvalue(r, i, 0, shown[i] == 'y' ? "\1" : "\0", 1));
    const struct db_result res = {.status = status, .results = results};
    w->fn(w->fn_ctx, &res);
    PQclear(r);
}

static void add(struct world *w, uint32_t handle, size_t n)
{
    struct id16 users[4] = {{{1}}, {{2}}, {{3}}, {{4}}};
    const bool online[4] = {true, true, true, true};
    const struct session s = {.handle = handle, .user = {{9}}};
    judge_add(w->j, &s, users, online, n);
}

static void who_may_not_hear_is_not_told(void **state)
{
    (void)state;
    struct world w = {0};
    const struct judge_conf conf = {&w, run, tell};
    w.j = judge_new(&conf);
    judge_run(w.j);
    assert_int_equal(w.asked, 0);
    add(&w, 1, 3);
    add(&w, 2, 1);
    assert_true(judge_busy(w.j));
    judge_run(w.j);
    judge_run(w.j);
    assert_int_equal(w.asked, 1); /* one at a time */
    answer(&w, DB_OK, "ynyn");
    assert_int_equal(w.told, 2);
    assert_int_equal(w.handle, 1);
    assert_int_equal(w.last.b[0], 3);
    assert_false(judge_busy(w.j));
    judge_free(w.j);
}

static void without_postgres_they_wait(void **state)
{
    (void)state;
    struct world w = {.rc = -EAGAIN};
    const struct judge_conf conf = {&w, run, tell};
    w.j = judge_new(&conf);
    add(&w, 1, 1);
    judge_run(w.j);
    assert_true(judge_busy(w.j));
    w.rc = 0;
    judge_run(w.j);
    answer(&w, DB_DOWN, "");
    assert_int_equal(w.told, 0);
    judge_run(w.j);
    assert_int_equal(w.asked, 3);
    answer(&w, DB_OK, "y");
    assert_int_equal(w.told, 1);
    judge_free(w.j);
}

static void many_are_several_questions(void **state)
{
    (void)state;
    struct world w = {0};
    const struct judge_conf conf = {&w, run, tell};
    w.j = judge_new(&conf);
    for (uint32_t i = 0; i < 3000; i++)
        add(&w, i, 4);
    char *yes = calloc(1, 10001);
    memset(yes, 'y', 10000);
    judge_run(w.j);
    answer(&w, DB_OK, yes);
    assert_true(judge_busy(w.j));
    yes[2000] = 0;
    judge_run(w.j);
    answer(&w, DB_OK, yes);
    assert_int_equal(w.told, 12000);
    assert_int_equal(w.handle, 2999);
    assert_false(judge_busy(w.j));
    free(yes);
    judge_free(w.j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_not_hear_is_not_told),
        cmocka_unit_test(without_postgres_they_wait),
        cmocka_unit_test(many_are_several_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
