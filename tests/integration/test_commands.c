/* parley and parleyctl as people and scripts use them: exit codes, what is on stdout, on a real deployment. */
#include "tests/support/pipeline.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pl *pl;
static char state_home[4200];

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {2, 1, 1, 1, 1}});
    snprintf(state_home, sizeof state_home, "XDG_STATE_HOME=%s/state", pl_folder(pl));
    setenv("PARLEY_PASSWORD", "correct horse", 1);
    unsetenv("PARLEY_USER");
    return 0;
}

/* parley as `user` (NULL: nobody) on edge i. */
static int parley(char **out, int edge, const char *user, const char *const *args)
{
    const char *argv[24] = {"parley", "--server", pl_edge(pl, edge), "--timeout", "60"};
    int n = 5;
    if (user) {
        argv[n++] = "--user";
        argv[n++] = user;
    }
    while (*args && n < 23)
        argv[n++] = *args++;
    return pl_run(pl, argv, state_home, out);
}
#define PARLEY(out, edge, user, ...) parley(out, edge, user, (const char *const[]){__VA_ARGS__, NULL})

static void names_passwords_and_exit_codes(void **state)
{
    char *out = NULL;
    (void)state;
    assert_int_equal(PARLEY(&out, 0, NULL, "register", "ann"), 0);
    free(out);
    assert_int_equal(PARLEY(&out, 1, NULL, "register", "ben", "Ben B."), 0);
    free(out);
    assert_int_equal(PARLEY(&out, 1, NULL, "register", "Ann"), 1);
    assert_non_null(strstr(out, "ACCOUNT_EXISTS"));
    free(out);
    assert_int_equal(PARLEY(&out, 1, NULL, "exists", "ann"), 0);
    assert_non_null(strstr(out, "yes"));
    free(out);
    assert_int_equal(PARLEY(&out, 0, NULL, "exists", "nobody"), 1);
    free(out);
    setenv("PARLEY_PASSWORD", "not the password", 1);
    assert_int_equal(PARLEY(&out, 0, "ann", "login"), 3);
    free(out);
    setenv("PARLEY_PASSWORD", "correct horse", 1);
    assert_int_equal(PARLEY(&out, 0, NULL, "listen"), 3); /* who? */
    free(out);
    assert_int_equal(PARLEY(&out, 0, NULL, "dance"), 2);
    free(out);
}

static void send_and_get_by_token(void **state)
{
    char *out = NULL;
    (void)state;
    assert_int_equal(PARLEY(&out, 0, "ann", "login"), 0);
    free(out);
    assert_int_equal(PARLEY(&out, 1, "ben", "login"), 0);
    free(out);
    unsetenv("PARLEY_PASSWORD"); /* from here on by token alone */
    assert_int_equal(PARLEY(&out, 0, "ann", "send", "--wait", "sequenced", "ben", "hello", "there"), 0);
    free(out);
    assert_int_equal(PARLEY(&out, 0, "ann", "send", "nobody", "hello"), 1);
    assert_non_null(strstr(out, "UNKNOWN_USER"));
    free(out);
    assert_int_equal(PARLEY(&out, 1, "ben", "send", "ann", "back"), 0);
    free(out);
    assert_int_equal(PARLEY(&out, 0, "ann", "send", "ben", "again"), 0);
    free(out);
    assert_int_equal(PARLEY(&out, 1, "ben", "listen", "--json", "--count", "2"), 0);
    char *second = strchr(out, '\n');
    assert_non_null(second);
    json_t *a = json_loads(out, JSON_DISABLE_EOF_CHECK, NULL),
           *b = json_loads(second, JSON_DISABLE_EOF_CHECK, NULL);
    assert_string_equal(json_string_value(json_object_get(a, "text")), "hello there");
    assert_string_equal(json_string_value(json_object_get(a, "from")), "ann");
    assert_string_equal(json_string_value(json_object_get(b, "text")), "again");
    assert_int_equal(json_integer_value(json_object_get(b, "seq")), 3); /* 2 was ben's own */
    json_decref(a);
    json_decref(b);
    free(out);
    assert_int_equal(PARLEY(&out, 1, "ben", "pull", "--json"), 0);
    assert_string_equal(out, ""); /* each once */
    free(out);
    setenv("PARLEY_PASSWORD", "correct horse", 1);
}

static void operators_see_it(void **state)
{
    (void)state;
    const char *out = PL_CTL(pl, "tail", "conversation", "--from", "beginning", "--until-end", "--json");
    assert_non_null(strstr(out, "\"user_login\":\"ann\""));
    assert_null(strstr(out, "hello there")); /* what is said is sealed */
    out = PL_CTL(pl, "tail", "vault", "--from", "beginning", "--until-end");
    assert_non_null(strstr(out, "(sealed, "));
    assert_null(strstr(out, "argon2"));
    out = PL_CTL(pl, "lag", "--json");
    assert_non_null(strstr(out, "parley-router"));
    PL_CTL(pl, "topics", "check");
    PL_CTL(pl, "topics", "create"); /* safe to repeat under running processes */
    PL_CTL(pl, "migrate");
    out = PL_CTL(pl, "doctor");
    assert_null(strstr(out, "FAIL"));
    PL_CTL(pl, "user", "add", "operator-made", "--server", pl_edge(pl, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_passwords_and_exit_codes),
        cmocka_unit_test(send_and_get_by_token),
        cmocka_unit_test(operators_see_it),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
