#include "bench/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 20 /* messages of a run; even ones by side 0, odd ones by side 1; seq = 101 + i */

struct plan { /* what goes wrong with message `at` */
    enum {
        ALL_WELL,
        NO_PUSH,
        NO_ACK,
        NO_OUTCOME,
        NO_ROW,
        PUSH_TWICE,
        ACK_TWICE,
        OUTCOME_TWICE,
        ROW_TWICE,
        SWAPPED_PUSH,
        WRONG_ROW,
        WRONG_OUTCOME,
        FOREIGN_PUSH,
        FOREIGN_ROW,
        SKIPPED_NUMBER,
        SAME_NUMBER
    } what;
    int at;
};

static uint64_t number(const struct plan *p, int i)
{
    if (p->what == SKIPPED_NUMBER && i >= p->at)
        return 102 + (uint64_t)i;
    if (p->what == SAME_NUMBER && i == p->at)
        return 101 + (uint64_t)i - 1;
    return 101 + (uint64_t)i;
}

static void push(struct check *c, const struct plan *p, int i)
{
    check_pushed(c, 0, i & 1, (uint32_t)i / 2, number(p, i));
}

static void pushes(struct check *c, const struct plan *p)
{
    for (int i = 0; i < N; i++) {
        if (p->what == SWAPPED_PUSH && i == p->at) {
            push(c, p, i + 2); /* of the same sender */
            continue;
        }
        if (p->what == SWAPPED_PUSH && i == p->at + 2) {
            push(c, p, p->at);
            continue;
        }
        if (p->what != NO_PUSH || i != p->at)
            push(c, p, i);
        if (p->what == PUSH_TWICE && i == p->at)
            push(c, p, i);
    }
    if (p->what == FOREIGN_PUSH)
        check_pushed(c, 0, 0, 1000, 500);
}

static void answers(struct check *c, const struct plan *p)
{
    for (int i = 0; i < N; i++) {
        bool here = i == p->at;
        for (int k = p->what == NO_ACK && here; k < 1 + (p->what == ACK_TWICE && here); k++)
            check_acked(c, 0, i & 1, (uint32_t)i / 2);
        for (int k = p->what == NO_OUTCOME && here; k < 1 + (p->what == OUTCOME_TWICE && here); k++)
            check_sequenced(c, 0, i & 1, (uint32_t)i / 2, number(p, i) + (p->what == WRONG_OUTCOME && here));
    }
}

static void rows(struct check *c, const struct plan *p)
{
    for (int i = 0; i < N; i++) {
        bool here = i == p->at;
        for (int k = p->what == NO_ROW && here; k < 1 + (p->what == ROW_TWICE && here); k++)
            check_row(c, 0, i & 1, (uint32_t)i / 2, number(p, i) + (p->what == WRONG_ROW && here));
    }
    if (p->what == FOREIGN_ROW)
        check_row(c, 0, 1, UINT32_MAX, 101 + N);
}

static struct check *run(struct plan p)
{
    struct check *c = check_new(1);
    for (int i = 0; i < N; i++)
        assert_int_equal(check_sent(c, 0, i & 1, i), i / 2);
    pushes(c, &p);
    answers(c, &p);
    rows(c, &p);
    check_end(c, true);
    return c;
}

static void a_whole_run_is_good(void **state)
{
    (void)state;
    struct check *c = run((struct plan){ALL_WELL, -1});
    assert_true(check_good(c));
    assert_true(check_done(c, 0, 1, 3) && !check_done(c, 0, 1, N));
    assert_int_equal(check_time(c, 0, 1, 3), 7);
    assert_int_equal(check_low(c, 0), 101);
    check_free(c);
}

static void every_planted_fault_is_reported(void **state)
{
    (void)state;
    static const struct {
        struct plan plan;
        enum check_fault fault;
    } v[] = {
        {{NO_PUSH, 6}, CHECK_LOST},
        {{NO_PUSH, N - 1}, CHECK_LOST},
        {{NO_ACK, 0}, CHECK_NOT_ACKED},
        {{NO_OUTCOME, 5}, CHECK_NO_OUTCOME},
        {{NO_ROW, 0}, CHECK_ROW_MISSING},
        {{NO_ROW, N - 1}, CHECK_ROW_MISSING},
        {{PUSH_TWICE, 3}, CHECK_DUPLICATE},
        {{ACK_TWICE, 3}, CHECK_DUPLICATE},
        {{OUTCOME_TWICE, 3}, CHECK_DUPLICATE},
        {{ROW_TWICE, 3}, CHECK_ROW_STRANGE},
        {{SWAPPED_PUSH, 4}, CHECK_REORDERED},
        {{WRONG_ROW, 4}, CHECK_ROW_STRANGE},
        {{WRONG_OUTCOME, 4}, CHECK_MISMATCH},
        {{FOREIGN_PUSH, 0}, CHECK_UNKNOWN},
        {{FOREIGN_ROW, 0}, CHECK_ROW_STRANGE},
        {{SKIPPED_NUMBER, 7}, CHECK_HOLE},
        {{SAME_NUMBER, 7}, CHECK_DUPLICATE},
    };
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        struct check *c = run(v[i].plan);
        assert_false(check_good(c));
        if (!check_count(c, v[i].fault))
            fail_msg("plan %zu: %s was not reported", i, check_name(v[i].fault));
        check_free(c);
    }
}

static void numbers_must_follow_the_order_of_sending(void **state)
{
    (void)state;
    struct check *c = check_new(1);
    check_sent(c, 0, 0, 0);
    check_sent(c, 0, 0, 0);
    check_pushed(c, 0, 0, 1, 1); /* the second one sent came first */
    check_pushed(c, 0, 0, 0, 2);
    for (uint32_t n = 0; n < 2; n++) {
        check_acked(c, 0, 0, n);
        check_sequenced(c, 0, 0, n, 2 - n);
    }
    check_end(c, false);
    assert_true(check_count(c, CHECK_REORDERED) > 0);
    assert_int_equal(check_count(c, CHECK_ROW_MISSING), 0);
    check_free(c);
}

static void far_from_dense_is_a_hole(void **state)
{
    (void)state;
    struct check *c = check_new(1);
    check_sent(c, 0, 0, 0);
    check_sent(c, 0, 0, 0);
    check_pushed(c, 0, 0, 0, 1);
    check_pushed(c, 0, 0, 1, UINT64_MAX);
    check_end(c, false);
    assert_int_equal(check_count(c, CHECK_HOLE), 1);
    check_print(c, stderr);
    check_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_run_is_good),
        cmocka_unit_test(every_planted_fault_is_reported),
        cmocka_unit_test(numbers_must_follow_the_order_of_sending),
        cmocka_unit_test(far_from_dense_is_a_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
