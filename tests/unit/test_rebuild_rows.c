/* Rows that a rebuild holds back, and the set of keys that it has written. */
#include "client/parleyctl/rebuild_rows.c" /* part of a program, so in no library */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MANY 200000u

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static void expect(const struct held *h, uint8_t table, const char *key, const char *row)
{
    const struct held_row *r = held_find(h, table, text(key));
    assert_non_null(r);
    assert_int_equal(r->n, strlen(row));
    assert_memory_equal(r->row, row, strlen(row));
}

static void the_last_row_of_a_key_stays(void **state)
{
    struct held *h = held_new();
    (void)state;
    held_put(h, 1, text("a"), text("one"));
    held_put(h, 1, text("b"), text("two"));
    held_put(h, 2, text("a"), text("another table"));
    held_put(h, 1, text("a"), text("longer than it was before"));
    expect(h, 1, "a", "longer than it was before");
    held_put(h, 1, text("a"), text("short"));
    expect(h, 1, "a", "short");
    expect(h, 1, "b", "two");
    expect(h, 2, "a", "another table");
    assert_null(held_find(h, 2, text("b")));
    held_put(h, 1, text("b"), (struct slice){0}); /* a row that is to go */
    assert_int_equal(held_find(h, 1, text("b"))->n, 0);
    const struct held_row *r = held_first(h, 1); /* in the order of the first rows */
    assert_memory_equal(r->key, "a", 1);
    assert_memory_equal(r->next->key, "b", 1);
    assert_null(r->next->next);
    assert_int_equal(held_count(h), 3);
    held_clear(h);
    assert_null(held_first(h, 1));
    assert_null(held_find(h, 1, text("a")));
    held_free(h);
    held_free(NULL);
}

static void what_is_settled_is_found_and_not_due(void **state)
{
    struct held *h = held_new();
    (void)state;
    held_put(h, 1, text("a"), text("one"));
    held_put(h, 1, text("b"), text("two"));
    held_settle(h);
    assert_null(held_first(h, 1));
    expect(h, 1, "a", "one");
    held_put(h, 1, text("b"), text("due again"));
    held_put(h, 1, text("b"), text("once"));
    held_put(h, 1, text("c"), text("new"));
    const struct held_row *r = held_first(h, 1);
    assert_memory_equal(r->key, "b", 1);
    assert_memory_equal(r->next->key, "c", 1);
    assert_null(r->next->next);
    assert_int_equal(held_count(h), 3);
    held_free(h);
}

static void many_rows_are_found_again(void **state)
{
    struct held *h = held_new();
    (void)state;
    for (uint32_t i = 0; i < MANY; i++)
        held_put(h, i % 3, (struct slice){&i, sizeof i}, (struct slice){&i, sizeof i});
    for (uint32_t i = 0; i < MANY; i++) {
        const struct held_row *r = held_find(h, i % 3, (struct slice){&i, sizeof i});
        assert_non_null(r);
        assert_memory_equal(r->row, &i, sizeof i);
    }
    assert_int_equal(held_count(h), MANY);
    assert_true(held_bytes(h) > MANY * 8);
    held_free(h);
}

static void what_was_written_is_never_denied(void **state)
{
    struct seen *s = seen_new();
    uint32_t wrong = 0;
    (void)state;
    for (uint32_t i = 0; i < MANY; i++)
        seen_add(s, 1, (struct slice){&i, sizeof i});
    for (uint32_t i = 0; i < MANY; i++)
        assert_true(seen_maybe(s, 1, (struct slice){&i, sizeof i}));
    for (uint32_t i = MANY; i < 2 * MANY; i++)
        wrong += seen_maybe(s, 1, (struct slice){&i, sizeof i});
    assert_true(wrong < MANY / 100);
    assert_true(seen_maybe(NULL, 1, text("anything"))); /* nothing is known */
    seen_add(NULL, 1, text("anything"));
    seen_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_row_of_a_key_stays),
        cmocka_unit_test(many_rows_are_found_again),
        cmocka_unit_test(what_is_settled_is_found_and_not_due),
        cmocka_unit_test(what_was_written_is_never_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
