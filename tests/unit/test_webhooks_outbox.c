#include "webhooks/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct outbox_conf usual = {.parallel = 4,
                                         .retry_ms = 1000,
                                         .retry_max_ms = 60000,
                                         .refusals = 3,
                                         .failures = 5,
                                         .open_ms = 5000,
                                         .open_max_ms = 40000,
                                         .wait_max_ms = 3600000,
                                         .seed = 7};

static struct id16 lane(unsigned n)
{
    return (struct id16){.b = {(uint8_t)n}};
}

static struct outbox *with(const struct outbox_conf *conf, struct delivery *d, size_t n, unsigned lanes)
{
    struct outbox *o = outbox_new(conf);
    assert_non_null(o);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(outbox_add(o, &d[i], lane((unsigned)i % lanes)), 0);
    assert_int_equal(outbox_count(o), n);
    return o;
}

static void clear(struct outbox *o, struct delivery *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (d[i].lane)
            outbox_remove(o, &d[i]);
    assert_int_equal(outbox_count(o), 0);
    assert_int_equal(outbox_underway(o), 0);
    outbox_free(o);
}

static void one_at_a_time_in_a_lane_others_beside_it(void **state)
{
    (void)state;
    struct delivery d[6];
    struct outbox *o = with(&usual, d, 6, 2); /* 0 2 4 and 1 3 5 */
    assert_ptr_equal(outbox_take(o, 0), &d[0]);
    assert_ptr_equal(outbox_take(o, 0), &d[1]);
    assert_null(outbox_take(o, 0));
    assert_true(outbox_due(o) == INT64_MAX);
    assert_int_equal(outbox_done(o, &d[1], ATTEMPT_OK, 0, 1), OUTBOX_ENDED);
    assert_true(outbox_due(o) <= 1);
    assert_ptr_equal(outbox_take(o, 1), &d[3]);
    assert_null(outbox_take(o, 1));
    assert_int_equal(outbox_done(o, &d[0], ATTEMPT_OK, 0, 1), OUTBOX_ENDED);
    assert_ptr_equal(outbox_take(o, 1), &d[2]);
    clear(o, d, 6);
}

static void no_more_side_by_side_than_allowed(void **state)
{
    (void)state;
    struct delivery d[9];
    struct outbox *o = with(&usual, d, 9, 9);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(outbox_take(o, 0), &d[i]);
    assert_null(outbox_take(o, 0));
    assert_int_equal(outbox_underway(o), 4);
    (void)outbox_done(o, &d[2], ATTEMPT_OK, 0, 0);
    assert_ptr_equal(outbox_take(o, 0), &d[4]);
    clear(o, d, 9);
}

static void a_failure_is_tried_again_later_and_nothing_overtakes_it(void **state)
{
    (void)state;
    struct delivery d[2];
    struct outbox *o = with(&usual, d, 2, 1);
    int64_t now = 0, before = 0;
    for (unsigned i = 1; i <= 4; i++) {
        assert_ptr_equal(outbox_take(o, now), &d[0]);
        assert_int_equal(d[0].tries, i);
        assert_int_equal(outbox_done(o, &d[0], ATTEMPT_FAILED, 0, now), OUTBOX_AGAIN);
        int64_t wait = outbox_due(o) - now, step = 1000 << (i - 1);
        assert_true(wait >= step / 2 && wait <= step);
        assert_null(outbox_take(o, now + wait - 1));
        before = now;
        now += wait;
    }
    assert_true(now > before);
    assert_ptr_equal(outbox_take(o, now), &d[0]);
    assert_int_equal(outbox_done(o, &d[0], ATTEMPT_OK, 0, now), OUTBOX_ENDED);
    assert_ptr_equal(outbox_take(o, now), &d[1]);
    clear(o, d, 2);
}

static void backoff_has_a_limit(void **state)
{
    (void)state;
    struct outbox_conf conf = usual;
    struct delivery d[1];
    conf.failures = 1000;
    struct outbox *o = with(&conf, d, 1, 1);
    int64_t now = 0;
    for (int i = 0; i < 100; i++) {
        assert_non_null(outbox_take(o, now));
        (void)outbox_done(o, &d[0], ATTEMPT_FAILED, 0, now);
        assert_true(outbox_due(o) - now <= 60000);
        now = outbox_due(o);
    }
    clear(o, d, 1);
}

static void a_pause_that_is_asked_for_holds_for_all(void **state)
{
    (void)state;
    struct delivery d[2];
    struct outbox *o = with(&usual, d, 2, 2);
    assert_ptr_equal(outbox_take(o, 0), &d[0]);
    assert_int_equal(outbox_done(o, &d[0], ATTEMPT_BUSY, 30000, 100), OUTBOX_AGAIN);
    assert_null(outbox_take(o, 30099));
    assert_int_equal(outbox_due(o), 30100);
    assert_non_null(outbox_take(o, 30100));
    assert_non_null(outbox_take(o, 30100));
    assert_int_equal(outbox_circuit(o), CIRCUIT_CLOSED);
    (void)outbox_done(o, &d[0], ATTEMPT_BUSY, INT64_MAX / 2, 30100); /* nobody waits for ever */
    (void)outbox_done(o, &d[1], ATTEMPT_OK, 0, 30100);
    assert_int_equal(outbox_due(o), 30100 + 3600000);
    clear(o, d, 2);
}

static void a_refusal_is_given_up_after_so_many(void **state)
{
    (void)state;
    struct delivery d[3];
    struct outbox *o = with(&usual, d, 2, 1);
    int64_t now = 0;
    assert_int_equal(outbox_add(o, &d[2], lane(9)), 0);
    for (int i = 1; i <= 3; i++) {
        struct delivery *got = outbox_take(o, now);
        if (got == &d[2]) { /* the other lane is not concerned */
            assert_int_equal(outbox_done(o, got, ATTEMPT_OK, 0, now), OUTBOX_ENDED);
            got = outbox_take(o, now);
        }
        assert_ptr_equal(got, &d[0]);
        assert_int_equal(outbox_done(o, got, ATTEMPT_REFUSED, 0, now), i < 3 ? OUTBOX_AGAIN : OUTBOX_BURY);
        now += 100000;
    }
    assert_null(outbox_take(o, now)); /* the next one waits until it is buried */
    assert_null(d[2].lane);
    outbox_remove(o, &d[0]);
    assert_ptr_equal(outbox_take(o, now), &d[1]);
    clear(o, d, 3);
}

static void open_circuit(struct outbox *o, int64_t now)
{
    for (int i = 0; outbox_circuit(o) == CIRCUIT_CLOSED; i++) {
        struct delivery *d = outbox_take(o, now);
        assert_non_null(d);
        assert_true(i < 5);
        (void)outbox_done(o, d, ATTEMPT_FAILED, 0, now);
    }
}

static void the_circuit_opens_probes_and_closes(void **state)
{
    (void)state;
    struct delivery d[20];
    struct outbox *o = with(&usual, d, 20, 20);
    open_circuit(o, 0);
    assert_int_equal(outbox_circuit(o), CIRCUIT_OPEN);
    int64_t due = outbox_due(o), step = 5000;
    assert_true(due >= 2500 && due <= 5000);
    assert_null(outbox_take(o, due - 1));
    for (int i = 0; i < 6; i++) { /* probes fail: ever longer, up to the limit */
        struct delivery *probe = outbox_take(o, due);
        assert_non_null(probe);
        assert_int_equal(outbox_circuit(o), CIRCUIT_HALF_OPEN);
        assert_null(outbox_take(o, due)); /* one */
        assert_true(outbox_due(o) == INT64_MAX);
        (void)outbox_done(o, probe, i % 2 ? ATTEMPT_REFUSED : ATTEMPT_FAILED, 0, due);
        assert_int_equal(outbox_circuit(o), CIRCUIT_OPEN);
        step = step * 2 > 40000 ? 40000 : step * 2;
        int64_t wait = outbox_due(o) - due;
        assert_true(wait >= step / 2 && wait <= step);
        due += wait;
    }
    struct delivery *probe = outbox_take(o, due);
    assert_int_equal(outbox_done(o, probe, ATTEMPT_OK, 0, due), OUTBOX_ENDED);
    assert_int_equal(outbox_circuit(o), CIRCUIT_CLOSED);
    for (int i = 0; i < 4; i++) /* whatever waited is due at once */
        assert_non_null(outbox_take(o, due));
    clear(o, d, 20);
}

static void a_success_in_between_keeps_it_closed(void **state)
{
    (void)state;
    struct delivery d[40];
    struct outbox *o = with(&usual, d, 40, 40);
    for (int i = 0; i < 40; i++) {
        struct delivery *one = outbox_take(o, 0);
        (void)outbox_done(o, one, i % 5 == 4 ? ATTEMPT_OK : ATTEMPT_FAILED, 0, 0);
        assert_int_equal(outbox_circuit(o), CIRCUIT_CLOSED);
    }
    clear(o, d, 40);
}

static void what_is_taken_away_leaves_the_rest_as_it_was(void **state)
{
    (void)state;
    struct delivery d[6];
    struct outbox *o = with(&usual, d, 6, 2);
    assert_ptr_equal(outbox_take(o, 0), &d[0]);
    outbox_remove(o, &d[2]); /* waits behind it */
    outbox_remove(o, &d[0]); /* under way */
    assert_int_equal(outbox_underway(o), 0);
    assert_ptr_equal(outbox_take(o, 0), &d[1]);
    assert_ptr_equal(outbox_take(o, 0), &d[4]);
    outbox_remove(o, &d[5]);
    assert_int_equal(outbox_done(o, &d[1], ATTEMPT_OK, 0, 0), OUTBOX_ENDED);
    struct delivery late;
    assert_int_equal(outbox_add(o, &late, lane(1)), 0);
    assert_ptr_equal(outbox_take(o, 0), &d[3]);
    assert_int_equal(outbox_done(o, &d[3], ATTEMPT_OK, 0, 0), OUTBOX_ENDED);
    assert_ptr_equal(outbox_take(o, 0), &late);
    outbox_remove(o, &late);
    clear(o, d, 6);
}

static void a_probe_that_is_taken_away_makes_room_for_another(void **state)
{
    (void)state;
    struct delivery d[8];
    struct outbox *o = with(&usual, d, 8, 8);
    open_circuit(o, 0);
    struct delivery *probe = outbox_take(o, 10000);
    assert_non_null(probe);
    outbox_remove(o, probe);
    assert_non_null(outbox_take(o, 10000));
    clear(o, d, 8);
}

/* Whatever happens, a lane keeps its order, and nothing is lost. */
static void at_random(void **state)
{
    (void)state;
    enum { N = 400, LANES = 7 };
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct outbox_conf conf = usual;
        struct delivery d[N], *flying[4];
        unsigned next[LANES] = {0}, n_flying = 0, ended = 0;
        conf.seed = seed;
        conf.refusals = 1000;
        srand(seed);
        struct outbox *o = with(&conf, d, N, LANES);
        for (int64_t now = 0; ended < N;) {
            struct delivery *one = n_flying < 4 ? outbox_take(o, now) : NULL;
            if (one)
                flying[n_flying++] = one;
            if (n_flying && (!one || rand() % 2)) {
                unsigned at = (unsigned)rand() % n_flying, i = (unsigned)(flying[at] - d);
                enum attempt how = rand() % 4 ? ATTEMPT_OK : (enum attempt)(rand() % 4);
                if (outbox_done(o, flying[at], how, rand() % 3 * 500, now) == OUTBOX_ENDED) {
                    assert_int_equal(i / LANES, next[i % LANES]++);
                    ended++;
                }
                flying[at] = flying[--n_flying];
            } else if (!one) {
                assert_true(outbox_due(o) != INT64_MAX);
                now = outbox_due(o) > now ? outbox_due(o) : now;
            }
        }
        clear(o, d, N);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time_in_a_lane_others_beside_it),
        cmocka_unit_test(no_more_side_by_side_than_allowed),
        cmocka_unit_test(a_failure_is_tried_again_later_and_nothing_overtakes_it),
        cmocka_unit_test(backoff_has_a_limit),
        cmocka_unit_test(a_pause_that_is_asked_for_holds_for_all),
        cmocka_unit_test(a_refusal_is_given_up_after_so_many),
        cmocka_unit_test(the_circuit_opens_probes_and_closes),
        cmocka_unit_test(a_success_in_between_keeps_it_closed),
        cmocka_unit_test(what_is_taken_away_leaves_the_rest_as_it_was),
        cmocka_unit_test(a_probe_that_is_taken_away_makes_room_for_another),
        cmocka_unit_test(at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
