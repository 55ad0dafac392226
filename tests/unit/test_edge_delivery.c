/* The delivery tracker against a plain model: many connections, random pushes, confirmations and cuts. */
#include "common/base/rand.h"
#include "edge/delivery.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CONNS   12
#define RECORDS 4000
#define MAX     50

struct held { /* one push in the model */
    int record;
    uint64_t seq;
};

struct model {
    struct held v[MAX];
    uint32_t n, sent, confirmed;
};

struct world {
    struct rng rng;
    struct offsets *offsets;
    struct delivery *d;
    struct dconn conns[CONNS];
    struct model model[CONNS];
    int owed[RECORDS + 1]; /* per record: pushes not confirmed */
    int64_t offset[RECORDS + 1];
    int next;
    struct model *cut;
};

static void expect_cut(void *ctx, ticket t, const struct ditem *it)
{
    struct world *w = ctx;
    (void)t;
    assert_true(w->cut->n > 0);
    assert_int_equal(it->seq, w->cut->v[0].seq);
    w->owed[w->cut->v[0].record]--;
    memmove(w->cut->v, w->cut->v + 1, --w->cut->n * sizeof w->cut->v[0]);
}

static void push_record(struct world *w)
{
    int r = w->next++;
    struct id16 conv = {{1}};
    w->offset[r] = (r ? w->offset[r - 1] : 99) + 1 + (int64_t)rng_below(&w->rng, 3);
    ticket t = offsets_open(w->offsets, w->offset[r]);
    assert_true(t != 0);
    struct buf *b = ditem_new(1, conv, (uint64_t)r, (struct slice){"text", 4});
    for (int i = 0; i < CONNS; i++) {
        if (rng_below(&w->rng, 3))
            continue;
        struct model *m = &w->model[i];
        uint32_t n = delivery_push(w->d, &w->conns[i], t, b, 1000LL * r);
        if (m->n == MAX) {
            assert_int_equal(n, 0);
            continue;
        }
        m->v[m->n++] = (struct held){r, (uint64_t)r};
        w->owed[r]++;
        assert_int_equal(n, ++m->sent);
    }
    buf_unref(b);
    offsets_drop(w->offsets, t);
}

static void confirm(struct world *w)
{
    unsigned i = (unsigned)rng_below(&w->rng, CONNS);
    struct model *m = &w->model[i];
    uint32_t upto = m->confirmed + (uint32_t)rng_below(&w->rng, m->n + 2);
    int rc = delivery_confirm(w->d, &w->conns[i], upto, 0);
    if (upto > m->sent) {
        assert_int_equal(rc, -ERANGE);
        return;
    }
    assert_int_equal(rc, 0);
    while (m->confirmed < upto) {
        w->owed[m->v[0].record]--;
        memmove(m->v, m->v + 1, --m->n * sizeof m->v[0]);
        m->confirmed++;
    }
    assert_int_equal(delivery_confirm(w->d, &w->conns[i], upto / 2, 0), 0); /* an older one changes nothing */
}

static void check(struct world *w)
{
    uint32_t total = 0;
    for (int i = 0; i < CONNS; i++) {
        assert_int_equal(delivery_count(&w->conns[i]), w->model[i].n);
        assert_int_equal(w->conns[i].bytes, 4 * w->model[i].n);
        int64_t oldest = w->model[i].n ? w->model[i].v[0].record : INT64_MAX;
        assert_int_equal(delivery_oldest_ms(w->d, &w->conns[i]), oldest);
        total += w->model[i].n;
    }
    assert_int_equal(delivery_total(w->d), total);
    int low = 0;
    while (low < w->next && !w->owed[low])
        low++;
    int64_t mark = low < w->next ? w->offset[low] : w->next ? w->offset[w->next - 1] + 1 : 100;
    /* Offsets that hold no record are passed together with the record before them. */
    int64_t at_least = low ? w->offset[low - 1] + 1 : 100;
    assert_in_range(offsets_mark(w->offsets), at_least, mark);
}

static void run(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    w->rng.state = seed;
    w->offsets = offsets_new(100, 8192);
    w->d = delivery_new(MAX);
    delivery_reset(w->d, w->offsets);
    while (w->next < RECORDS / 10) {
        uint64_t what = rng_below(&w->rng, 20);
        if (what < 10) {
            push_record(w);
        } else if (what < 19) {
            confirm(w);
        } else {
            unsigned i = (unsigned)rng_below(&w->rng, CONNS);
            w->cut = &w->model[i];
            delivery_cut(w->d, &w->conns[i], expect_cut, w);
            assert_int_equal(w->cut->n, 0);
            w->cut->confirmed = w->cut->sent;
        }
        check(w);
    }
    for (int i = 0; i < CONNS; i++) {
        w->cut = &w->model[i];
        delivery_cut(w->d, &w->conns[i], expect_cut, w);
    }
    assert_int_equal(offsets_mark(w->offsets), w->offset[w->next - 1] + 1);
    delivery_free(w->d);
    offsets_free(w->offsets);
    free(w);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        run(seed);
}

static void test_bytes_are_bounded(void **state)
{
    (void)state;
    struct offsets *o = offsets_new(0, 64);
    struct delivery *d = delivery_new(1000);
    struct dconn c = {0};
    struct id16 conv = {{0}};
    size_t n = 1 << 20;
    char *big = calloc(1, n);
    delivery_reset(d, o);
    ticket t = offsets_open(o, 0);
    struct buf *b = ditem_new(1, conv, 1, (struct slice){big, n});
    for (uint32_t i = 1; i <= DELIVERY_BYTES / n; i++)
        assert_int_equal(delivery_push(d, &c, t, b, 0), i);
    assert_int_equal(delivery_push(d, &c, t, b, 0), 0);
    assert_int_equal(delivery_confirm(d, &c, 1, 0), 0);
    assert_true(delivery_push(d, &c, t, b, 0) != 0);
    delivery_cut(d, &c, NULL, NULL);
    assert_int_equal(b->refs, 1);
    buf_unref(b);
    free(big);
    delivery_free(d);
    offsets_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model),
                                       cmocka_unit_test(test_bytes_are_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
