/* parleyctl fold, export, import: a conversation as it was at any time, in a file, and in another deployment. */
#include "tests/support/feature.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct pl *here, *there;
static char told[512]; /* what everything() answered */
static char names[3][80], direct[33], group[33];

static int setup(void **state)
{
    (void)state;
    here = feature_up(NULL);
    feature_run(here, "archive", "everything", NULL, told, sizeof told);
    if (sscanf(told, "%79s %79s %79s %32s %32s", names[0], names[1], names[2], direct, group) != 5)
        fail_msg("%s", told);
    return 0;
}

static int ctl(struct pl *pl, char **out, const char *const *words)
{
    const char *argv[16] = {"parleyctl", "-q"};
    for (int i = 0; words[i] && i < 12; i++)
        argv[i + 2] = words[i];
    return pl_run(pl, argv, NULL, out);
}
#define CTL(pl, out, ...) ctl(pl, out, (const char *const[]){__VA_ARGS__, NULL})

static json_t *fold(struct pl *pl, const char *what, const char *until)
{
    char *out;
    int rc = until ? CTL(pl, &out, "fold", what, "--json", "--until", until)
                   : CTL(pl, &out, "fold", what, "--json");
    json_t *j = json_loads(out, 0, NULL);
    if (rc || !j)
        fail_msg("fold %s ended with %d: %s", what, rc, out);
    free(out);
    return j;
}

static const char *text(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s ? s : "";
}

static json_int_t number(const json_t *j, const char *name)
{
    return json_integer_value(json_object_get(j, name));
}

/* A file in the test's folder. */
static const char *file(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", pl_folder(here), name);
    return path;
}

static void export(const char *what, const char *which, const char *name, const char *option)
{
    char *out;
    int rc = CTL(here, &out, "export", what, which, option ? option : "-q");
    if (rc)
        fail_msg("export %s ended with %d: %s", which, rc, out);
    FILE *f = fopen(file(name), "w");
    assert_non_null(f);
    fputs(out, f);
    fclose(f);
    free(out);
}

/* ---- tests ---- */

static void usage(void **state)
{
    static const char *const words[] = {"fold", "export", "import"};
    char *out;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_int_equal(CTL(here, &out, words[i], "--help"), 0);
        assert_memory_equal(out, "Examples\n", 9);
        free(out);
        assert_int_equal(CTL(here, &out, words[i]), 2);
        free(out);
        assert_int_equal(CTL(here, &out, words[i], "--wrong", "x"), 2);
        free(out);
    }
    assert_int_equal(CTL(here, &out, "fold", "no conversation"), 2);
    free(out);
    assert_int_equal(CTL(here, &out, "fold", "00000000000000000000000000000000"), 1);
    free(out);
    assert_int_equal(CTL(here, &out, "export", "user", "nobody-of-that-name"), 1);
    free(out);
    assert_int_equal(CTL(here, &out, "import", "/no/such/file"), 1);
    free(out);
}

static void a_conversation_as_it_is(void **state)
{
    char both[200];
    (void)state;
    snprintf(both, sizeof both, "%s,%s", names[1], names[0]);
    json_t *j = fold(here, both, NULL);
    assert_string_equal(text(j, "conversation"), direct);
    assert_string_equal(text(j, "type"), "direct");
    const json_t *first = json_array_get(json_object_get(j, "messages"), 0);
    assert_string_equal(text(first, "text"), "hello, bob");
    assert_true(json_is_true(json_object_get(first, "edited")));
    assert_int_equal(json_integer_value(json_array_get(json_object_get(j, "pins"), 0)), 1);
    assert_string_equal(text(json_array_get(json_object_get(j, "people"), 0), "friend"), "friend");
    assert_true(json_is_true(json_object_get(json_array_get(json_object_get(j, "messages"), 2), "recalled")));
    json_decref(j);
    j = fold(here, group, NULL);
    assert_string_equal(text(j, "name"), "the choir");
    assert_string_equal(text(j, "notice"), "at eight");
    assert_int_equal(number(j, "members"), 2);
    assert_int_equal(number(j, "head"),
                     pl_number(here, "SELECT max(seq) FROM messages WHERE conv = '\\x%s'", group));
    json_decref(j);
}

/* Offset by offset: numbers only rise, and the end is as without --until. */
static void as_it_was_at_each_offset(void **state)
{
    (void)state;
    json_t *now = fold(here, direct, NULL);
    json_int_t head = 0, last = number(now, "offset"), seen = 0;
    for (json_int_t at = 0; at <= last; at++) {
        char until[24], *out;
        snprintf(until, sizeof until, "%lld", (long long)at);
        int rc = CTL(here, &out, "fold", direct, "--json", "--until", until);
        json_t *j = json_loads(out, 0, NULL);
        free(out);
        if (!rc) {
            assert_true(number(j, "offset") <= at);
            assert_true(number(j, "head") >= head);
            seen += number(j, "head") > head;
            head = number(j, "head");
            if (head == 2)
                assert_string_equal(text(json_array_get(json_object_get(j, "messages"), 0), "text"),
                                    "hello bob");
        }
        json_decref(j);
    }
    assert_int_equal(seen, number(now, "head"));
    char *out;
    assert_int_equal(CTL(here, &out, "fold", direct, "--until", "2001-01-01"), 1);
    free(out);
    json_t *j = fold(here, direct, "2099-01-01");
    assert_true(json_equal(j, now));
    json_decref(j);
    json_decref(now);
}

static void a_user_is_exported_without_secrets(void **state)
{
    char *out;
    (void)state;
    assert_int_equal(CTL(here, &out, "export", "user", names[0]), 0);
    assert_non_null(strstr(out, "USER_REGISTERED"));
    assert_non_null(strstr(out, "USER_DEVICE_ADDED"));
    assert_null(strstr(out, "verifier"));
    free(out);
    assert_int_equal(CTL(here, &out, "export", "user", names[0], "--sealed"), 0);
    assert_non_null(strstr(out, "verifier"));
    free(out);
    export("user", names[0], "user.jsonl", NULL);
    assert_int_equal(CTL(here, &out, "import", file("user.jsonl")), 1);
    free(out);
}

static void import_into(struct pl *pl, const char *name, int wanted, const char *option)
{
    char *out;
    int rc = CTL(pl, &out, "import", file(name), "--json", option);
    if (rc != wanted)
        fail_msg("import %s ended with %d: %s", name, rc, out);
    free(out);
}

/* A line less in the middle, and the end cut off. */
static void what_is_not_whole_is_refused(void **state)
{
    char line[1 << 16];
    (void)state;
    export("conversation", direct, "direct.jsonl", NULL);
    for (int how = 0; how < 2; how++) {
        FILE *in = fopen(file("direct.jsonl"), "r"), *out = fopen(file("cut.jsonl"), "w");
        assert_true(in && out);
        for (int n = 0; fgets(line, sizeof line, in); n++)
            if (how ? !strstr(line, "\"end\"") : n != 2)
                fputs(line, out);
        fclose(in);
        fclose(out);
        import_into(here, "cut.jsonl", 1, "--yes");
    }
    export("conversation", direct, "sealed.jsonl", "--sealed");
    import_into(here, "sealed.jsonl", 1, "--yes");
}

static void one_that_is_there_is_refused(void **state)
{
    (void)state;
    export("conversation", direct, "direct.jsonl", NULL);
    import_into(here, "direct.jsonl", 1, "--yes"); /* it has numbers of devices: it is another */
}

static void the_same_elsewhere(void **state)
{
    char *out;
    (void)state;
    export("conversation", direct, "direct.jsonl", NULL);
    export("conversation", group, "group.jsonl", NULL);
    there = feature_up(NULL);
    import_into(there, "group.jsonl", 1, "--yes"); /* nobody has an account there */
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char env[160]; /* the password that tests/model/device.py has */
        snprintf(env, sizeof env, "pass word %.79s", names[i]);
        setenv("PARLEY_PASSWORD", env, 1);
        assert_int_equal(CTL(there, &out, "user", "add", names[i], "--server", pl_edge(there, 0)), 0);
        free(out);
    }
    import_into(there, "group.jsonl", 0, "--dry-run");
    import_into(there, "group.jsonl", 1, "-q"); /* nobody to ask */
    for (int again = 0; again < 2; again++) {   /* the second time there is nothing to do */
        import_into(there, "direct.jsonl", 0, "--yes");
        import_into(there, "group.jsonl", 0, "--yes");
    }
    static const char *const same[] = {"head", "pins", "content", "name", "notice", "flags", "members"};
    for (int k = 0; k < 2; k++) {
        json_t *a = fold(here, k ? group : direct, NULL), *b = fold(there, k ? group : direct, NULL);
        for (size_t i = 0; i < ARRAY_LEN(same); i++)
            if (json_object_get(a, same[i]) &&
                !json_equal(json_object_get(a, same[i]), json_object_get(b, same[i])))
                fail_msg("%s is not the same there", same[i]);
        json_decref(a);
        json_decref(b);
    }
    feature_run(there, "archive", "goes_on", told, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage),
        cmocka_unit_test(a_conversation_as_it_is),
        cmocka_unit_test(as_it_was_at_each_offset),
        cmocka_unit_test(a_user_is_exported_without_secrets),
        cmocka_unit_test(what_is_not_whole_is_refused),
        cmocka_unit_test(one_that_is_there_is_refused),
        cmocka_unit_test(the_same_elsewhere),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
