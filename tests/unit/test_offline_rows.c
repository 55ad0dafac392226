#include "common/base/rand.h"
#include "offline/core.h"
#include "offline/cursors.h"
#include "offline/queue.h"
#include "offline/users.h"
#include "tests/unit/corerun.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct id16 conv(int n)
{
    struct id16 id = {{(uint8_t)n, 0xc0}};
    return id;
}

static bool merge(struct cursors *c, int n, uint64_t from, uint64_t upto)
{
    return cursors_merge(c, &(struct range){conv(n), from, upto});
}

static void expect(const struct cursors *c, int n, uint64_t from, uint64_t upto)
{
    const struct range *r = cursors_find(c, conv(n));
    assert_non_null(r);
    assert_int_equal(r->from, from);
    assert_int_equal(r->upto, upto);
}

static void ranges_join_or_the_higher_stays(void **state)
{
    struct cursors *c = cursors_new();
    (void)state;
    assert_true(merge(c, 1, 0, 5));
    expect(c, 1, 1, 5);
    assert_true(merge(c, 1, 6, 9)); /* touches */
    expect(c, 1, 1, 9);
    assert_false(merge(c, 1, 2, 8));
    assert_true(merge(c, 1, 20, 30)); /* a gap: began anew */
    expect(c, 1, 20, 30);
    assert_false(merge(c, 1, 1, 18));
    assert_true(merge(c, 1, 1, 19));
    expect(c, 1, 1, 30);
    assert_false(merge(c, 1, 9, 3));
    assert_false(merge(c, 2, 9, 3));
    assert_null(cursors_find(c, conv(2)));
    assert_true(cursors_cover(c, conv(1), 30));
    assert_false(cursors_cover(c, conv(1), 31));
    assert_true(merge(c, 1, 5, UINT64_MAX));
    expect(c, 1, 1, UINT64_MAX);
    cursors_free(c);
}

static void a_full_row_forgets_what_changed_longest_ago(void **state)
{
    struct cursors *c = cursors_new();
    struct bytes b = {0};
    (void)state;
    for (int i = 0; i < CURSORS_MAX_ROW + 10; i++) {
        struct id16 id = {{(uint8_t)i, (uint8_t)(i >> 8)}};
        struct range r = {id, 1, 1};
        cursors_merge(c, &r);
        if (i == CURSORS_MAX_ROW - 1) {
            r = (struct range){{{0, 0}}, 1, 2};
            cursors_merge(c, &r);
        }
    }
    assert_int_equal(c->n, CURSORS_MAX_ROW);
    assert_non_null(cursors_find(c, (struct id16){{0, 0}}));
    assert_null(cursors_find(c, (struct id16){{1, 0}}));
    cursors_pack(c, &b);
    struct cursors *d = cursors_new();
    assert_int_equal(cursors_unpack(d, bytes_slice(&b)), 0);
    assert_int_equal(d->n, CURSORS_MAX_ROW);
    assert_memory_equal(d->ranges, c->ranges, c->n * sizeof *c->ranges);
    cursors_free(d);
    d = cursors_new();
    assert_int_equal(cursors_unpack(d, slice_of(b.p, b.n - 1)), -EBADMSG);
    b.p[0] = 9;
    assert_int_equal(cursors_unpack(d, bytes_slice(&b)), -ENOTSUP);
    cursors_free(d);
    cursors_free(c);
    bytes_release(&b);
}

static bool by_seq(void *ctx, const struct entry *e)
{
    return e->seq == *(const uint64_t *)ctx;
}

/* Against a plain array; rows are read back after every step. */
static void a_queue_is_a_list_whatever_is_removed(void **state)
{
    struct run run = {.fx = {.arena = arena_new(0)}};
    struct rng rng = {7};
    struct bytes scratch = {0};
    static uint64_t model[4000];
    size_t n = 0;
    uint64_t seq = 0;
    struct queue *q = queue_new(conv(1), 9);
    (void)state;
    for (int round = 0; round < 3000; round++) {
        if (rng_below(&rng, 100) < (round < 1500 ? 70 : 30) || n == 0) {
            struct entry e = {conv(2), ++seq, seq * 65536, 10};
            queue_append(q, &e, &run.fx);
            model[n++] = seq;
        } else {
            size_t at = rng_below(&rng, n);
            assert_int_equal(queue_remove(q, by_seq, NULL, &model[at], &run.fx), 1);
            memmove(&model[at], &model[at + 1], (--n - at) * sizeof *model);
        }
        queue_flush(q, &scratch, &run.fx);
        for (size_t i = 0; i < run.fx.n_puts; i++)
            run_put(&run, run.fx.puts[i].table, run.fx.puts[i].key, run.fx.puts[i].row);
        run.fx.n_puts = 0;
        if (round % 50)
            continue;
        uint8_t key[QUEUE_INDEX_KEY];
        queue_key(q->user, q->device, key);
        const struct stored *s = run_find(&run, OFFLINE_QUEUE, slice_of(key, QUEUE_KEY));
        queue_free(q);
        q = queue_new(conv(1), 9);
        assert_int_equal(queue_unpack(q, slice_of(s->row, s->row_n)), 0);
        for (size_t i = q->n_segments; i-- > 0;) {
            queue_index_key(q, q->segments[i]->no, key);
            s = run_find(&run, OFFLINE_INDEX, slice_of(key, sizeof key));
            assert_non_null(s);
            assert_int_equal(queue_unpack_segment(q, q->segments[i]->no, slice_of(s->row, s->row_n)), 0);
        }
        assert_int_equal(q->n_missing, 0);
        assert_int_equal(q->n, n);
        assert_int_equal(q->bytes, 10 * n);
        size_t at = 0;
        for (size_t i = 0; i < q->n_segments; i++)
            for (size_t k = 0; k < q->segments[i]->n; k++)
                assert_int_equal(q->segments[i]->e[k].seq, model[at++]);
        size_t index_rows = 0;
        struct stored *r, *next;
        HASH_ITER (hh, run.store, r, next)
            index_rows += r->key[0] == OFFLINE_INDEX;
        assert_int_equal(index_rows, q->n_segments); /* no row is left behind */
    }
    queue_free(q);
    bytes_release(&scratch);
    run_release(&run);
}

static bool but_the_first_of_each(void *ctx, const struct entry *e)
{
    (void)ctx;
    return e->seq % QUEUE_SEGMENT != 1;
}

static void an_index_full_of_holes_is_written_anew(void **state)
{
    struct run run = {.fx = {.arena = arena_new(0)}};
    struct queue *q = queue_new(conv(1), 9);
    (void)state;
    for (uint64_t seq = 1; seq <= 40 * QUEUE_SEGMENT; seq++)
        queue_append(q, &(struct entry){conv(2), seq, seq, 10}, &run.fx);
    assert_int_equal(q->n_segments, 40);
    queue_remove(q, but_the_first_of_each, NULL, NULL, &run.fx);
    assert_int_equal(q->n, 40);
    queue_append(q, &(struct entry){conv(2), 9999, 9999, 10}, &run.fx);
    assert_int_equal(q->n_segments, 1);
    assert_int_equal(q->segments[0]->e[39].seq, 39 * QUEUE_SEGMENT + 1);
    assert_int_equal(queue_last(q), 9999);
    queue_free(q);
    run_release(&run);
}

static void a_user_row_knows_who_may_be_new(void **state)
{
    struct user *u = user_new(conv(1)), *v = user_new(conv(1));
    struct bytes b = {0};
    static const uint32_t devices[] = {2, 5};
    (void)state;
    assert_true(user_may_have(u, 1));
    user_set_devices(u, devices, 2, 44);
    assert_true(user_has(u, 5));
    assert_true(user_may_have(u, 6));
    assert_false(user_may_have(u, 3));
    user_pack(u, &b);
    assert_int_equal(user_unpack(v, bytes_slice(&b)), 0);
    assert_int_equal(v->devices_at, 44);
    assert_int_equal(v->newest, 5);
    assert_int_equal(v->n_devices, 2);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(user_unpack(v, slice_of(b.p, n)), -EBADMSG);
    b.p[0] = 9;
    assert_int_equal(user_unpack(v, bytes_slice(&b)), -ENOTSUP);
    user_free(u);
    user_free(v);
    bytes_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_join_or_the_higher_stays),
        cmocka_unit_test(a_full_row_forgets_what_changed_longest_ago),
        cmocka_unit_test(a_queue_is_a_list_whatever_is_removed),
        cmocka_unit_test(an_index_full_of_holes_is_written_anew),
        cmocka_unit_test(a_user_row_knows_who_may_be_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
