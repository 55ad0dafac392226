#include "common/base/offsets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void empty_marks_start(void **state)
{
    (void)state;
    struct offsets *o = offsets_new(42, 4);
    assert_int_equal(offsets_mark(o), 42);
    assert_false(offsets_full(o));
    offsets_free(o);
    assert_null(offsets_new(0, 0));
    assert_null(offsets_new(0, 3));
    offsets_free(NULL);
}

static void later_close_waits_for_earlier(void **state)
{
    (void)state;
    struct offsets *o = offsets_new(5, 4);
    ticket a = offsets_open(o, 5), b = offsets_open(o, 9); /* 6–8 are a hole */
    offsets_drop(o, b);
    assert_int_equal(offsets_mark(o), 5);
    offsets_drop(o, a);
    assert_int_equal(offsets_mark(o), 10);
    offsets_free(o);
}

static void held_more_than_once(void **state)
{
    (void)state;
    struct offsets *o = offsets_new(0, 2);
    ticket a = offsets_open(o, 0);
    offsets_hold(o, a);
    offsets_drop(o, a);
    assert_int_equal(offsets_mark(o), 0);
    offsets_drop(o, a);
    assert_int_equal(offsets_mark(o), 1);
    offsets_free(o);
}

static void full_and_out_of_order_are_refused(void **state)
{
    (void)state;
    struct offsets *o = offsets_new(10, 2);
    assert_int_equal(offsets_open(o, 9), 0);
    ticket a = offsets_open(o, 10);
    assert_int_equal(offsets_open(o, 10), 0);
    assert_int_not_equal(offsets_open(o, 11), 0);
    assert_true(offsets_full(o));
    assert_int_equal(offsets_open(o, 12), 0);
    offsets_drop(o, a);
    assert_false(offsets_full(o));
    assert_int_equal(offsets_open_count(o), 1);
    offsets_free(o);
}

/* Against a plain model: any order of opens, holds and drops marks the lowest offset still open. */
static void any_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2000; seed++) {
        unsigned r = seed * 2654435761u;
        enum { N = 256 };
        int64_t off[N], next = seed;
        int holds[N];
        ticket t[N];
        int n = 0;
        struct offsets *o = offsets_new(next, 1u << (seed % 6));
        for (int i = 0; i < 600; i++) {
            r = r * 1664525u + 1013904223u;
            unsigned pick = (r >> 8) % 3;
            if (pick == 0 && n < N && !offsets_full(o)) {
                next += (r >> 16) % 3;
                off[n] = next++;
                holds[n] = 1;
                t[n] = offsets_open(o, off[n]);
                assert_int_not_equal(t[n], 0);
                n++;
            } else if (n) {
                int k = (int)((r >> 12) % (unsigned)n);
                if (holds[k] && pick == 1) {
                    holds[k]++;
                    offsets_hold(o, t[k]);
                } else if (holds[k]) {
                    holds[k]--;
                    offsets_drop(o, t[k]);
                }
            }
            int64_t mark = n ? off[n - 1] + 1 : (int64_t)seed;
            for (int k = n - 1; k >= 0; k--)
                if (holds[k])
                    mark = off[k];
            assert_int_equal(offsets_mark(o), mark);
        }
        offsets_free(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_marks_start),   cmocka_unit_test(later_close_waits_for_earlier),
        cmocka_unit_test(held_more_than_once), cmocka_unit_test(full_and_out_of_order_are_refused),
        cmocka_unit_test(any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
