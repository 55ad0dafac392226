#include "common/im/conv.h"

#include "common/base/rand.h"
#include "proto/client.pb-c.h"
#include "tests/support/convstore.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct id16 anna, bert;

static int setup(void **state)
{
    (void)state;
    anna = id_user("anna");
    bert = id_user("bert");
    return 0;
}

static struct conv_event say(uint32_t device, uint64_t client_seq, int64_t time_ms)
{
    return (struct conv_event){.rules = 1,
                               .kind = 1,
                               .conv = id_direct(anna, bert),
                               .user = anna,
                               .peer = bert,
                               .device = device,
                               .client_seq = client_seq,
                               .time_ms = time_ms};
}

static struct conv *fresh(void)
{
    struct conv *c = conv_new(id_direct(anna, bert));
    struct conv_cell header = {.key = {0}, .key_n = 1};
    assert_int_equal(conv_load(c, &header), 0);
    return c;
}

static struct conv_outcome apply(struct conv *c, struct conv_event e)
{
    struct conv_cell need[CONV_NEEDS_MAX];
    assert_int_equal(conv_needs(c, &e, need), 0);
    return conv_apply(c, &e);
}

static void numbers_are_dense_and_time_is_monotone(void **state)
{
    (void)state;
    struct conv *c = fresh();
    struct conv_outcome o = apply(c, say(1, 1, 1000));
    assert_int_equal(o.verdict, CONV_ACCEPTED);
    assert_int_equal(o.seq, 1);
    assert_int_equal(o.time_ms, 1000);
    o = apply(c, say(1, 2, 900)); /* a clock went back */
    assert_int_equal(o.seq, 2);
    assert_int_equal(o.time_ms, 1000);
    o = apply(c, say(1, 1, 2000));
    assert_int_equal(o.verdict, CONV_DUPLICATE);
    assert_int_equal(o.seq, 1);
    assert_int_equal(o.time_ms, 1000);
    assert_int_equal(o.reason, 0);
    assert_int_equal(conv_head(c), 2);
    conv_free(c);
}

static void unnumbered_is_never_a_duplicate(void **state)
{
    (void)state;
    struct conv *c = fresh();
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(apply(c, say(1, 0, 5)).seq, i);
    conv_free(c);
}

static void strangers_leave_no_trace(void **state)
{
    (void)state;
    struct conv *c = fresh();
    struct conv_cell cell;
    struct id16 m[2];
    struct conv_event e = say(1, 1, 1000);
    e.peer = id_user("carl"); /* anna and carl are another conversation */
    struct conv_outcome o = apply(c, e);
    assert_int_equal(o.verdict, CONV_REFUSED);
    assert_int_equal(o.reason, IM__CODE__NOT_A_MEMBER);
    assert_int_equal(conv_dirty(c, &cell, 1), 0);
    assert_int_equal(conv_pair(c, m), 0);
    apply(c, say(1, 1, 1000));
    while (conv_dirty(c, &cell, 1))
        ;
    e = say(1, 2, 1000);
    e.user = id_user("carl");
    assert_int_equal(apply(c, e).reason, IM__CODE__NOT_A_MEMBER);
    e = say(1, 2, 1000);
    e.conv.b[0] ^= 1;
    assert_int_equal(apply(c, e).reason, IM__CODE__NOT_A_MEMBER);
    assert_int_equal(conv_dirty(c, &cell, 1), 0);
    assert_int_equal(conv_head(c), 1);
    conv_free(c);
}

static void a_refusal_is_remembered_and_takes_no_number(void **state)
{
    (void)state;
    struct conv *c = fresh();
    struct conv_event e = say(1, 7, 1000);
    e.kind = 99;
    assert_int_equal(apply(c, e).reason, IM__CODE__REFUSED);
    e.kind = 1; /* the same number again, now allowed: still refused */
    struct conv_outcome o = apply(c, e);
    assert_int_equal(o.verdict, CONV_DUPLICATE);
    assert_int_equal(o.reason, IM__CODE__REFUSED);
    assert_int_equal(o.seq, 0);
    assert_int_equal(apply(c, say(1, 8, 1000)).seq, 1);
    conv_free(c);
}

static void older_than_the_ring_is_stale(void **state)
{
    (void)state;
    struct conv *c = fresh();
    for (uint64_t i = 1; i <= CONV_RING + 2; i++)
        assert_int_equal(apply(c, say(1, i, 1)).seq, i);
    struct conv_outcome o = apply(c, say(1, 2, 1));
    assert_int_equal(o.verdict, CONV_REFUSED);
    assert_int_equal(o.reason, IM__CODE__STALE);
    o = apply(c, say(1, 3, 1));
    assert_int_equal(o.verdict, CONV_DUPLICATE);
    assert_int_equal(o.seq, 3);
    /* A number that was skipped and is still above what fell out is new. */
    apply(c, say(2, 10, 1));
    assert_int_equal(apply(c, say(2, 5, 1)).verdict, CONV_ACCEPTED);
    conv_free(c);
}

static void the_ninth_device_takes_the_idlest_ring(void **state)
{
    (void)state;
    struct conv *c = fresh();
    for (uint32_t d = 1; d <= CONV_RINGS; d++)
        apply(c, say(d, 5, 1));
    apply(c, say(1, 6, 1)); /* now device 2 is the idlest */
    assert_int_equal(apply(c, say(9, 5, 1)).verdict, CONV_ACCEPTED);
    assert_int_equal(apply(c, say(1, 5, 1)).verdict, CONV_DUPLICATE);
    struct conv_outcome o = apply(c, say(2, 5, 1)); /* its ring is gone, how far it got is not */
    assert_int_equal(o.reason, IM__CODE__STALE);
    assert_int_equal(apply(c, say(2, 6, 1)).verdict, CONV_ACCEPTED);
    assert_int_equal(apply(c, say(2, 6, 1)).verdict, CONV_DUPLICATE);
    conv_free(c);
}

static void members_and_who_may_read(void **state)
{
    (void)state;
    struct conv *c = fresh();
    struct id16 m[2];
    assert_false(conv_may_read(c, anna, 1));
    apply(c, say(1, 1, 1));
    assert_int_equal(conv_pair(c, m), 2);
    assert_true(id_cmp(m[0], m[1]) < 0);
    assert_true(conv_may_read(c, anna, 1) && conv_may_read(c, bert, 1));
    assert_false(conv_may_read(c, id_user("carl"), 1));
    assert_false(conv_may_read(c, anna, 0));
    conv_free(c);

    struct id16 self = id_direct(anna, anna);
    c = conv_new(self);
    assert_int_equal(conv_load(c, &(struct conv_cell){.key_n = 1}), 0);
    struct conv_event e = say(1, 1, 1);
    e.conv = self;
    e.peer = anna;
    assert_int_equal(conv_apply(c, &e).seq, 1);
    assert_int_equal(conv_pair(c, m), 1);
    conv_free(c);
}

static void needs_one_round_for_the_usual(void **state)
{
    (void)state;
    struct convstore store = {0};
    struct conv *c = fresh();
    struct conv_event e = say(1, 1, 1);
    apply(c, e);
    convstore_save(&store, c);
    conv_free(c);
    c = conv_new(id_direct(anna, bert));
    struct conv_cell need[CONV_NEEDS_MAX];
    e = say(1, 2, 1);
    size_t n = conv_needs(c, &e, need);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < store.n; k++)
            if (store.rows[k].cell.key_n == need[i].key_n &&
                memcmp(store.rows[k].cell.key, need[i].key, need[i].key_n) == 0)
                assert_int_equal(conv_load(c, &store.rows[k].cell), 0);
    assert_int_equal(conv_needs(c, &e, need), 0);
    assert_int_equal(conv_apply(c, &e).seq, 2);
    conv_free(c);
    convstore_release(&store);
}

static void bad_cells_change_nothing(void **state)
{
    (void)state;
    struct convstore store = {0};
    struct conv *c = fresh();
    for (uint64_t i = 1; i < 30; i++)
        apply(c, say(1 + i % 10, i, (int64_t)i));
    convstore_save(&store, c);
    uint8_t before[32], after[32];
    struct rng rng = {7};
    for (int round = 0; round < 3000; round++) {
        struct conv *d = conv_new(id_direct(anna, bert));
        size_t hit = rng_below(&rng, store.n);
        for (size_t i = 0; i < store.n; i++) {
            struct conv_cell cell = store.rows[i].cell;
            uint8_t bytes[4096];
            memcpy(bytes, cell.bytes.p, cell.bytes.n);
            if (i == hit) {
                bytes[rng_below(&rng, cell.bytes.n)] ^= (uint8_t)(1u << rng_below(&rng, 8));
                if (rng_below(&rng, 3) == 0)
                    cell.bytes.n = rng_below(&rng, cell.bytes.n);
            }
            cell.bytes.p = bytes;
            conv_digest(d, before);
            int rc = conv_load(d, &cell);
            assert_true(rc == 0 || rc == -EBADMSG || rc == -ENOTSUP);
            conv_digest(d, after);
            if (rc)
                assert_memory_equal(before, after, 32);
        }
        conv_free(d);
    }
    /* Written by a later version: said so, not guessed at. */
    struct conv *d = conv_new(id_direct(anna, bert));
    struct conv_cell cell = store.rows[0].cell;
    uint8_t newer[128];
    memcpy(newer, cell.bytes.p, cell.bytes.n);
    newer[0] = 3;
    cell.bytes.p = newer;
    assert_int_equal(conv_load(d, &cell), -ENOTSUP);
    conv_free(d);
    conv_free(c);
    convstore_release(&store);
}

static void rules_versions(void **state)
{
    (void)state;
    assert_false(conv_rules_known(0));
    assert_true(conv_rules_known(CONV_RULES));
    assert_false(conv_rules_known(CONV_RULES + 1));
    assert_false(conv_rules_known(UINT32_MAX));
    conv_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_dense_and_time_is_monotone),
        cmocka_unit_test(unnumbered_is_never_a_duplicate),
        cmocka_unit_test(strangers_leave_no_trace),
        cmocka_unit_test(a_refusal_is_remembered_and_takes_no_number),
        cmocka_unit_test(older_than_the_ring_is_stale),
        cmocka_unit_test(the_ninth_device_takes_the_idlest_ring),
        cmocka_unit_test(members_and_who_may_read),
        cmocka_unit_test(needs_one_round_for_the_usual),
        cmocka_unit_test(bad_cells_change_nothing),
        cmocka_unit_test(rules_versions),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
