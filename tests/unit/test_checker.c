/* The judge of the fault tests: silent when all is well, and each planted breach has its name. */
#include "tests/support/checker.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define N 20

static unsigned found[BREACH_KINDS];

static void count(void *ctx, enum breach kind, const char *what)
{
    (void)ctx;
    assert_non_null(what);
    found[kind]++;
}

enum plant { NONE, LOSE, HIDE, TWICE_ROW, TWICE_SEEN, MOVE, TOLD_WRONG, BACK, HOLE, REFUSED, LEAKED, SILENT };

/* Two conversations: 0 of devices 0, 1, 2 and 1 of devices 2, 3; N messages each. */
static size_t run(enum plant plant)
{
    struct checker *c = checker_new();
    for (uint32_t d = 0; d < 4; d++) {
        if (d < 3)
            checker_member(c, 0, d);
        if (d > 1)
            checker_member(c, 1, d);
    }
    for (unsigned k = 0; k < BREACH_KINDS; k++)
        found[k] = 0;
    for (uint32_t i = 0; i < 2 * N; i++) {
        uint32_t conv = i & 1, sender = conv ? 3 : i % 4 == 0 ? 0 : 1;
        uint64_t seq = i / 2 + 1;
        checker_sent(c, i, conv, sender);
        if (!(plant == SILENT && i == 6))
            checker_acked(c, i);
        if (!(plant == SILENT && i == 6))
            checker_placed(c, i, seq + (plant == TOLD_WRONG && i == 6));
        if (plant == REFUSED && i == 6)
            checker_refused(c, i);
        uint64_t at = plant == HOLE && i >= 6 && !conv ? seq + 1 : seq;
        if (!(plant == LOSE && i == 2 * N - 2))
            checker_history(c, conv, at, i);
        if (plant == TWICE_ROW && i == 2 * N - 2)
            checker_history(c, conv, at + 1, i);
        for (uint32_t d = 0; d < 4; d++) {
            bool member = conv ? d > 1 : d < 3;
            if (d == sender || (!member && !(plant == LEAKED && i == 6 && d == 3)))
                continue;
            if (plant == HIDE && i == 6 && d == 2)
                continue;
            if (plant == BACK && d == 2 && i == 6) /* 4 after 5 */
                continue;
            checker_seen(c, d, conv, plant == MOVE && d == 2 && i == 6 ? at + 1 : at, i, false);
            if (plant == BACK && d == 2 && i == 8)
                checker_seen(c, d, conv, 4, 6, false);
            if (plant == TWICE_SEEN && d == 2 && i == 6)
                checker_seen(c, d, conv, at, i, false);
        }
    }
    assert_int_equal(checker_count(c, false), 2 * N);
    assert_int_equal(checker_seen_all(c, 2), plant != HIDE);
    size_t n = checker_judge(c, count, NULL);
    checker_free(c);
    return n;
}

static void silent_when_all_is_well(void **state)
{
    (void)state;
    assert_int_equal(run(NONE), 0);
}

static void each_breach_is_named(void **state)
{
    (void)state;
    static const struct {
        enum plant plant;
        enum breach breach;
    } cases[] = {
        {LOSE, BREACH_LOST},
        {HIDE, BREACH_UNSEEN},
        {TWICE_ROW, BREACH_DUPLICATE},
        {TWICE_SEEN, BREACH_DUPLICATE},
        {MOVE, BREACH_DIVERGENT},
        {TOLD_WRONG, BREACH_DIVERGENT},
        {BACK, BREACH_BACKWARDS},
        {HOLE, BREACH_GAP},
        {REFUSED, BREACH_REFUSED_SEEN},
        {LEAKED, BREACH_LEAK},
        {SILENT, BREACH_STUCK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(run(cases[i].plant) > 0);
        assert_true(found[cases[i].breach] > 0);
    }
}

/* One shown late, as the client library says it is, is no breach. */
static void late_on_purpose_is_fine(void **state)
{
    (void)state;
    struct checker *c = checker_new();
    checker_member(c, 0, 0);
    checker_member(c, 0, 1);
    for (uint32_t i = 0; i < 3; i++) {
        checker_sent(c, i, 0, 0);
        checker_placed(c, i, i + 1);
        checker_history(c, 0, i + 1, i);
    }
    checker_seen(c, 1, 0, 1, 0, false);
    checker_seen(c, 1, 0, 3, 2, false);
    checker_seen(c, 1, 0, 2, 1, true);
    assert_int_equal(checker_judge(c, NULL, NULL), 0);
    checker_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_when_all_is_well),
        cmocka_unit_test(each_breach_is_named),
        cmocka_unit_test(late_on_purpose_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
