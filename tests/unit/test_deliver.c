/* What goes to the edges when it is for many: whole slots, thousands of handles, everybody. */
#include "common/im/deliver.h"

#include "common/im/topics.h"
#include "tests/unit/imfx.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CROWD 20000

static struct fx fx;
static struct session people[CROWD];
static const struct session *who[CROWD];
static uint32_t handles[CROWD];

static int setup(void **state)
{
    *state = deliver_new(8);
    for (uint32_t i = 0; i < CROWD; i++) {
        people[i] = (struct session){{{(uint8_t)i, (uint8_t)(i >> 8)}}, i % 3, 5, 40, 100 + i, 7 + i};
        who[i] = &people[i];
        handles[i] = people[i].handle;
    }
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    deliver_free(*state);
    fx_reset(&fx);
    return 0;
}

static const struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_POINTED,
                                         .frame_type = IM__FRAME_TYPE__CHAT_PUSH,
                                         .payload = {"a push", 6},
                                         .conv = {{1, 2, 3}},
                                         .seq = 9};

static Im__DeliverRecord *decoded(size_t i)
{
    Im__DeliverRecord *r = NULL;
    assert_true(i < fx.n);
    assert_int_equal(codec_deliver(NULL, fx.sent[i].value, &r), 0);
    return r;
}

static void freed(Im__DeliverRecord *r)
{
    im__deliver_record__free_unpacked(r, NULL);
}

static struct deliver_slot first(size_t n)
{
    return (struct deliver_slot){.slot = 5, .epoch = 40, .n = n, .handles = handles, .who = who};
}

static void few_are_named_and_many_are_not(void **state)
{
    struct deliver *d = *state;
    static const size_t sizes[] = {1, CODEC_DETAILED_MAX, CODEC_DETAILED_MAX + 1, 1000};
    for (size_t i = 0; i < 4; i++) {
        struct deliver_slot to = first(sizes[i]);
        if (to.n > CODEC_DETAILED_MAX)
            to.who = NULL;
        deliver_many(d, &fx, &item, &to);
    }
    deliver_many(d, &fx, &item, &(struct deliver_slot){.slot = 5, .epoch = 40});
    deliver_many(d, &fx, &item, &(struct deliver_slot){.slot = 99, .epoch = 40, .n = 1});
    deliver_flush(d, &fx);
    assert_int_equal(fx.n, 1);
    Im__DeliverRecord *r = decoded(0);
    assert_int_equal(r->n_items, 4);
    for (size_t i = 0; i < 4; i++) {
        const Im__DeliverItem *m = r->items[i];
        size_t named = sizes[i] <= CODEC_DETAILED_MAX ? sizes[i] : 0;
        assert_int_equal(m->kind, IM__ITEM_KIND__ITEM_POINTED);
        assert_int_equal(m->n_handles, sizes[i]);
        assert_memory_equal(m->handles, handles, sizes[i] * sizeof *handles);
        assert_int_equal(m->users.len, named * ID_SIZE);
        assert_int_equal(m->n_devices, named);
        if (named) {
            assert_memory_equal(m->users.data + (named - 1) * ID_SIZE, people[named - 1].user.b, ID_SIZE);
            assert_int_equal(m->logins[named - 1], people[named - 1].login_offset);
        }
        assert_int_equal(m->payload.len, 6);
        assert_int_equal(m->seq, 9);
    }
    freed(r);
}

static void many_are_split_into_parts_that_need_no_names(void **state)
{
    struct deliver *d = *state;
    static const size_t sizes[] = {CODEC_HANDLES_MAX, CODEC_HANDLES_MAX + 1, CROWD};
    for (size_t i = 0; i < 3; i++) {
        struct deliver_slot to = first(sizes[i]);
        to.who = NULL;
        size_t before = fx.n, seen = 0;
        deliver_many(d, &fx, &item, &to);
        deliver_flush(d, &fx);
        assert_int_equal(fx.n - before, (sizes[i] + CODEC_HANDLES_MAX - 1) / CODEC_HANDLES_MAX);
        for (size_t k = before; k < fx.n; k++) {
            Im__DeliverRecord *r = decoded(k);
            assert_int_equal(r->n_items, 1);
            assert_true(r->items[0]->n_handles <= CODEC_HANDLES_MAX && r->items[0]->users.len == 0);
            assert_memory_equal(r->items[0]->handles, handles + seen, r->items[0]->n_handles * 4);
            seen += r->items[0]->n_handles;
            freed(r);
        }
        assert_int_equal(seen, sizes[i]);
    }
}

static void everybody_is_one_item_without_handles(void **state)
{
    struct deliver *d = *state;
    struct deliver_slot to = first(1);
    struct deliver_item event = item;
    event.kind = IM__ITEM_KIND__ITEM_EVENT; /* nobody is named: it could not be bounced */
    deliver_many(d, &fx, &item, &to);
    deliver_all(d, &fx, &event, 5, 40);
    deliver_all(d, &fx, &event, 6, 0);
    deliver_all(d, &fx, &event, 5, 41); /* a later holder: a record of its own */
    deliver_all(d, &fx, &event, 77, 1); /* no such slot */
    deliver_flush(d, &fx);
    assert_int_equal(fx.n, 3);
    Im__DeliverRecord *r = decoded(0);
    assert_int_equal(r->epoch, 40);
    assert_int_equal(r->n_items, 2);
    assert_false(r->items[0]->all);
    assert_true(r->items[1]->all);
    assert_int_equal(r->items[1]->n_handles, 0);
    freed(r);
    for (size_t i = 1; i < 3; i++) {
        r = decoded(i);
        assert_int_equal(r->epoch, fx.sent[i].topic == topic_of_slot(5) ? 41 : 0);
        assert_true(r->items[0]->all);
        freed(r);
    }
}

static void by_pointers_as_by_values(void **state)
{
    struct deliver *d = *state;
    const struct session *mixed[4] = {&people[0], &people[1], &people[2], &people[3]};
    people[1].slot = 2;
    people[3].slot = 99;
    deliver_each(d, &fx, &item, mixed, 4);
    deliver_add(d, &fx, &item, people, 4);
    deliver_each(d, &fx, &item, NULL, 0);
    deliver_flush(d, &fx);
    assert_int_equal(fx.n, 2);
    for (size_t i = 0; i < 2; i++) {
        Im__DeliverRecord *r = decoded(i);
        bool two = fx.sent[i].topic == topic_of_slot(2);
        assert_int_equal(r->n_items, 2);
        assert_int_equal(r->items[0]->n_handles, two ? 1 : 2);
        assert_int_equal(r->items[0]->handles[0], two ? 101 : 100);
        assert_memory_equal(r->items[0]->handles, r->items[1]->handles, 4 * r->items[0]->n_handles);
        assert_memory_equal(r->items[0]->users.data, r->items[1]->users.data, r->items[0]->users.len);
        freed(r);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(few_are_named_and_many_are_not),
        T(many_are_split_into_parts_that_need_no_names),
        T(everybody_is_one_item_without_handles),
        T(by_pointers_as_by_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
