/* keysort: order, repeats, and what does not fit into memory. */
#include "client/parleyctl/keysort.c" /* part of a program, so in no library */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N 5000

static void sorted(size_t held)
{
    struct keysort *s = keysort_new(held);
    struct keysort_entry e, before = {.key_n = 0};
    int err = 0;
    size_t n = 0;
    assert_non_null(s);
    for (unsigned i = 0; i < N; i++) {
        char key[16];
        int len = snprintf(key, sizeof key, "%05u", i * 7919 % N);
        struct slice k = {key, (size_t)len};
        assert_int_equal(keysort_add(s, k, (uint8_t)(i % 3), k), 0);
        if (i % 10 == 0) /* the same again */
            assert_int_equal(keysort_add(s, k, (uint8_t)(i % 3), k), 0);
    }
    while (keysort_next(s, &e, &err)) {
        char key[16];
        snprintf(key, sizeof key, "%05zu", n);
        assert_int_equal(e.key_n, 5);
        assert_memory_equal(e.key, key, 5);
        assert_true(n == 0 || keysort_cmp(&before, &e) < 0);
        before = e;
        n++;
    }
    assert_int_equal(err, 0);
    assert_int_equal(n, N);
    keysort_free(s);
}

static void all_in_memory(void **state)
{
    (void)state;
    sorted(0);
}

static void in_many_runs(void **state)
{
    (void)state;
    sorted(100);
}

static void rows_that_differ_both_come(void **state)
{
    struct keysort *s = keysort_new(0);
    struct keysort_entry a, b;
    int err = 0;
    (void)state;
    assert_int_equal(keysort_add(s, (struct slice){"k", 1}, 0, (struct slice){"one", 3}), 0);
    assert_int_equal(keysort_add(s, (struct slice){"k", 1}, 0, (struct slice){"two", 3}), 0);
    assert_true(keysort_next(s, &a, &err));
    assert_true(keysort_next(s, &b, &err));
    assert_memory_not_equal(a.digest, b.digest, 16);
    assert_false(keysort_next(s, &a, &err));
    keysort_free(s);
}

static void a_key_that_is_too_long(void **state)
{
    struct keysort *s = keysort_new(0);
    char key[KEYSORT_KEY + 1] = "";
    (void)state;
    assert_int_equal(keysort_add(s, (struct slice){key, sizeof key}, 0, (struct slice){0}), -E2BIG);
    keysort_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_in_memory),
        cmocka_unit_test(in_many_runs),
        cmocka_unit_test(rows_that_differ_both_come),
        cmocka_unit_test(a_key_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
