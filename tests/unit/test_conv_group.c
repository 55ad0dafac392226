/* A group's life, told by hand; what the seeded logs of test_conv_rules2 say is compared with a model only. */
#include "common/base/rand.h"
#include "common/im/conv.h"
#include "proto/client.pb-c.h"
#include "tests/support/convstore.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct id16 u[6]; /* ascending */
static uint64_t next_number;

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, ID_SIZE);
}

static int setup(void **state)
{
    static const char *const logins[] = {"anna", "bert", "carl", "dora", "emil", "fritz"};
    (void)state;
    for (int i = 0; i < 6; i++)
        u[i] = id_user(logins[i]);
    qsort(u, 6, sizeof *u, by_id);
    next_number = 1;
    return 0;
}

static struct conv_event op(uint32_t kind, int who)
{
    return (struct conv_event){.rules = 2,
                               .kind = kind,
                               .conv = id_group(u[0], 1, 1),
                               .user = u[who],
                               .device = 1,
                               .client_seq = ++next_number,
                               .time_ms = 1000,
                               .settings = {.group_cap = 5, .recall_limit_s = 10}};
}

static struct conv_event about(uint32_t kind, int who, int whom)
{
    struct conv_event e = op(kind, who);
    e.users = (struct slice){&u[whom], ID_SIZE};
    return e;
}

static uint16_t did(struct conv *c, struct conv_event e)
{
    struct conv_outcome o = conv_apply(c, &e);
    return o.verdict == CONV_NOTED ? 1 : o.reason;
}

static struct conv *group(uint32_t flags)
{
    struct conv *c = conv_new(id_group(u[0], 1, 1));
    assert_int_equal(conv_load(c, &(struct conv_cell){.key_n = 1}), 0);
    struct conv_event e = op(IM__CONV_KIND__CONV_GROUP_CREATE, 0);
    e.client_seq = 1;
    e.users = (struct slice){&u[1], 2 * ID_SIZE};
    e.flags = flags;
    assert_int_equal(conv_apply(c, &e).seq, 1);
    return c;
}

static void old_numbers_tell_a_stranger_nothing(void **state)
{
    (void)state;
    struct conv *c = group(IM__GROUP_FLAG__GROUP_PRIVATE);
    struct conv_event first = op(IM__CONV_KIND__CONV_MESSAGE, 4);
    assert_int_equal(did(c, first), IM__CODE__NOT_A_MEMBER);
    for (int i = 0; i < 2 * CONV_RING; i++)
        assert_int_equal(did(c, op(IM__CONV_KIND__CONV_MESSAGE, 4)), IM__CODE__NOT_A_MEMBER);
    assert_int_equal(did(c, first), IM__CODE__NOT_A_MEMBER);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_INVITE, 0, 4)), 0);
    assert_int_equal(did(c, first), IM__CODE__STALE); /* it is not accepted when they are in */
    conv_free(c);
}

static void strangers_learn_nothing(void **state)
{
    (void)state;
    struct conv *c = group(IM__GROUP_FLAG__GROUP_PRIVATE), *none = conv_new(id_group(u[0], 1, 9));
    conv_load(none, &(struct conv_cell){.key_n = 1});
    struct conv_event e = op(IM__CONV_KIND__CONV_GROUP_JOIN, 4);
    assert_int_equal(did(c, e), IM__CODE__NOT_A_MEMBER);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_MESSAGE, 5)), IM__CODE__NOT_A_MEMBER);
    e.conv = conv_id(none);
    assert_int_equal(did(none, e), IM__CODE__NOT_A_MEMBER);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_GROUP_DISSOLVE, 0)), 0);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_GROUP_JOIN, 3)), IM__CODE__NOT_A_MEMBER);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_MESSAGE, 1)), IM__CODE__GONE);
    assert_false(conv_may_read(c, u[4], 1));
    conv_free(c);
    conv_free(none);
}

static void who_goes_sees_their_going_and_nothing_after(void **state)
{
    (void)state;
    struct conv *c = group(0);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_REMOVE, 0, 1)), 0); /* 2 */
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_MESSAGE, 0)), 0);            /* 3 */
    assert_true(conv_may_read(c, u[1], 2));
    assert_false(conv_may_read(c, u[1], 3));
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_MESSAGE, 1)), IM__CODE__NOT_A_MEMBER);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_GROUP_JOIN, 1)), 0); /* 4 */
    assert_true(conv_may_read(c, u[1], 4));
    assert_false(conv_may_read(c, u[1], 3));
    struct conv_event e = op(IM__CONV_KIND__CONV_REACT, 1);
    e.target = 3;
    assert_int_equal(did(c, e), IM__CODE__NO_SUCH_MESSAGE);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_GROUP_LEAVE, 0)), IM__CODE__OWNER_STAYS);
    conv_free(c);
}

static void an_ask_is_noted_and_a_repeat_of_it_too(void **state)
{
    (void)state;
    struct conv *c = group(IM__GROUP_FLAG__GROUP_APPROVAL);
    struct conv_event e = op(IM__CONV_KIND__CONV_GROUP_JOIN, 4);
    assert_int_equal(did(c, e), 1);
    struct conv_outcome o = conv_apply(c, &e);
    assert_true(o.verdict == CONV_DUPLICATE && o.seq == 0 && o.reason == 0);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_GROUP_JOIN, 4)), IM__CODE__NO_CHANGE);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_APPROVE, 1, 4)), IM__CODE__NOT_ALLOWED);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_APPROVE, 0, 5)), IM__CODE__NO_SUCH_MEMBER);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_APPROVE, 0, 4)), 0);
    assert_int_equal(conv_count(c), 4);
    struct conv_member_view v;
    assert_true(conv_member(c, u[4], &v) && v.role == IM__ROLE__MEMBER && v.from == 2);
    conv_free(c);
}

static void roles(void **state)
{
    (void)state;
    struct conv *c = group(0);
    struct conv_event e = about(IM__CONV_KIND__CONV_GROUP_ROLE, 0, 1);
    e.role = IM__ROLE__ADMIN;
    assert_int_equal(did(c, e), 0);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_REMOVE, 1, 0)), IM__CODE__NOT_ALLOWED);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_REMOVE, 1, 1)), IM__CODE__NOT_ALLOWED);
    e = about(IM__CONV_KIND__CONV_GROUP_MUTE, 1, 2);
    e.duration_s = 60;
    struct conv_outcome o = conv_apply(c, &e);
    assert_int_equal(o.until_ms, 61000);
    assert_int_equal(o.changed[0], 1);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_MESSAGE, 2)), IM__CODE__MUTED);
    e = op(IM__CONV_KIND__CONV_MESSAGE, 2);
    e.time_ms = 61000;
    assert_int_equal(did(c, e), 0);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_HAND_OVER, 0, 2)), 0);
    assert_true(id_eq(conv_owner(c), u[2]));
    struct id16 admins[CONV_ADMINS];
    assert_int_equal(conv_admins(c, admins), 3);
    conv_free(c);
}

static void receipts_only_rise(void **state)
{
    (void)state;
    struct conv *c = group(0);
    struct conv_event e = op(IM__CONV_KIND__CONV_RECEIPT, 1);
    e.client_seq = 0;
    e.read = 99;
    struct conv_outcome o = conv_apply(c, &e);
    assert_int_equal(o.verdict, CONV_NOTED);
    assert_int_equal(o.read, 1);
    assert_int_equal(o.delivered, 1);
    assert_int_equal(did(c, e), IM__CODE__NO_CHANGE);
    conv_free(c);
}

static void bad_cells_change_nothing(void **state)
{
    (void)state;
    struct convstore store = {0};
    struct conv *c = group(0);
    for (uint32_t i = 0; i < 60; i++) {
        struct conv_event e = op(i % 9 == 5 ? IM__CONV_KIND__CONV_PIN : IM__CONV_KIND__CONV_MESSAGE,
                                 i % 9 == 5 ? 0 : (int)(i % 3));
        e.target = i;
        (void)did(c, e);
    }
    convstore_save(&store, c);
    assert_true(store.n > 10);
    uint8_t before[32], after[32];
    struct rng rng = {11};
    for (int round = 0; round < 3000; round++) {
        struct conv *d = conv_new(conv_id(c));
        size_t hit = rng_below(&rng, store.n), first = rng_below(&rng, store.n);
        for (size_t i = 0; i < store.n; i++) {
            struct conv_cell cell = store.rows[(first + i) % store.n].cell;
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
    conv_free(c);
    convstore_release(&store);
}

/* A direct conversation given by its id names no peer: that must not be taken for one. */
static void nobody_is_no_peer(void **state)
{
    (void)state;
    const struct id16 nobody = {{0}};
    struct conv *c = conv_new(id_direct(u[0], nobody));
    conv_load(c, &(struct conv_cell){.key_n = 1});
    struct conv_event e = op(IM__CONV_KIND__CONV_MESSAGE, 0);
    e.conv = conv_id(c);
    assert_int_equal(did(c, e), IM__CODE__NOT_A_MEMBER);
    assert_int_equal(conv_type(c), CONV_NOTHING);
    conv_free(c);
}

static void a_mute_outlives_leaving(void **state)
{
    (void)state;
    struct conv *c = group(0);
    assert_int_equal(did(c, about(IM__CONV_KIND__CONV_GROUP_MUTE, 0, 1)), 0);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_GROUP_LEAVE, 1)), 0);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_GROUP_JOIN, 1)), 0);
    assert_int_equal(did(c, op(IM__CONV_KIND__CONV_MESSAGE, 1)), IM__CODE__MUTED);
    conv_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(strangers_learn_nothing, setup),
        cmocka_unit_test_setup(old_numbers_tell_a_stranger_nothing, setup),
        cmocka_unit_test_setup(who_goes_sees_their_going_and_nothing_after, setup),
        cmocka_unit_test_setup(an_ask_is_noted_and_a_repeat_of_it_too, setup),
        cmocka_unit_test_setup(roles, setup),
        cmocka_unit_test_setup(receipts_only_rise, setup),
        cmocka_unit_test_setup(nobody_is_no_peer, setup),
        cmocka_unit_test_setup(a_mute_outlives_leaving, setup),
        cmocka_unit_test_setup(bad_cells_change_nothing, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
