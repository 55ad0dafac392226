#include "common/base/rowcache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct thing {
    struct row row;
    int value;
};
static int freed;

static void free_thing(struct row *r)
{
    freed++;
    free(r);
}

static struct slice key(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static struct thing *add(struct rowcache *c, uint8_t table, const char *k, int value, size_t bytes)
{
    struct thing *t = calloc(1, sizeof *t);
    t->value = value;
    rowcache_add(c, table, key(k), &t->row, bytes);
    return t;
}

static int value(struct rowcache *c, uint8_t table, const char *k)
{
    struct thing *t = (struct thing *)rowcache_get(c, table, key(k));
    return t ? t->value : -1;
}

static void rows_are_found_by_table_and_key(void **state)
{
    struct rowcache c;
    (void)state;
    rowcache_init(&c, 1000, free_thing);
    add(&c, 1, "a", 1, 10);
    add(&c, 2, "a", 2, 10);
    add(&c, 1, "", 3, 10);
    assert_int_equal(value(&c, 1, "a"), 1);
    assert_int_equal(value(&c, 2, "a"), 2);
    assert_int_equal(value(&c, 1, ""), 3);
    assert_int_equal(value(&c, 3, "a"), -1);
    struct row *r = rowcache_get(&c, 2, key("a"));
    assert_int_equal(row_table(r), 2);
    assert_int_equal(row_key(r).n, 1);
    rowcache_drop(&c, r);
    assert_int_equal(value(&c, 2, "a"), -1);
    freed = 0;
    rowcache_release(&c);
    assert_int_equal(freed, 2);
}

static void the_least_recently_used_leave_and_never_those_of_this_batch(void **state)
{
    struct rowcache c;
    (void)state;
    rowcache_init(&c, 25, free_thing);
    add(&c, 1, "a", 1, 10);
    add(&c, 1, "b", 2, 10);
    add(&c, 1, "c", 3, 10);
    rowcache_turn(&c);
    assert_int_equal(c.bytes, 30); /* all of them were just used */
    rowcache_turn(&c);
    assert_int_equal(c.bytes, 30); /* the next batch may have been planned on them */
    assert_int_equal(value(&c, 1, "a"), 1);
    rowcache_turn(&c);
    assert_int_equal(c.bytes, 20);
    assert_int_equal(value(&c, 1, "b"), -1);
    assert_int_equal(value(&c, 1, "a"), 1);
    rowcache_resize(&c, rowcache_get(&c, 1, key("a")), 100);
    assert_int_equal(c.bytes, 110);
    for (int i = 0; i < 3; i++)
        rowcache_turn(&c);
    assert_int_equal(c.bytes, 0);
    rowcache_release(&c);
}

static void many(void **state)
{
    struct rowcache c;
    char k[16];
    (void)state;
    rowcache_init(&c, 100 * 50, free_thing);
    for (int i = 0; i < 10000; i++) {
        snprintf(k, sizeof k, "%d", i);
        add(&c, 1, k, i, 50);
        if (i % 7 == 0)
            rowcache_turn(&c);
        assert_true(c.bytes <= (100 + 3 * 7) * 50);
    }
    assert_int_equal(value(&c, 1, "9999"), 9999);
    assert_int_equal(value(&c, 1, "9000"), -1);
    rowcache_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_table_and_key),
        cmocka_unit_test(the_least_recently_used_leave_and_never_those_of_this_batch),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
