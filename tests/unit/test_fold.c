/* A core that adds numbers up: record "k12" adds 12 to row k, "!" is poison, "?" stops it. */
#include "common/base/fold.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct adder {
    long sum[256];
    bool known[256];
};
struct world {
    struct fold *fold;
    long stored[256];
    size_t loads, rows;
    char log[256]; /* rows as they came: "k=12 " */
    int fail;
};

static void *adder_open(const struct core_open *o)
{
    assert_int_equal(o->part, 3);
    return calloc(1, sizeof(struct adder));
}

static uint8_t key_of(const struct record *r)
{
    return *(const uint8_t *)r->value.p;
}

static enum core_rc adder_plan(void *core, const struct record *r, struct want *want)
{
    struct adder *a = core;
    uint8_t k = key_of(r);
    if (k == '!')
        return CORE_POISON;
    if (a->known[k] || k == '?')
        return CORE_OK;
    if (k != '~')
        want_add(want, 1, (struct slice){&k, 1});
    return CORE_MORE;
}

static void adder_load(void *core, uint8_t table, struct slice key, struct slice row)
{
    struct adder *a = core;
    uint8_t k = *(const uint8_t *)key.p;
    assert_int_equal(table, 1);
    a->known[k] = true;
    a->sum[k] = row.n ? strtol(row.p, NULL, 10) : 0;
}

static enum core_rc adder_step(void *core, const struct record *r, int64_t now_ms, struct fx *fx)
{
    struct adder *a = core;
    uint8_t k = key_of(r);
    char text[32];
    assert_int_equal(now_ms, r->time_ms);
    snprintf(text, sizeof text, "%ld", a->sum[k] += strtol((const char *)r->value.p + 1, NULL, 10));
    fx_put(fx, 1, (struct slice){&k, 1}, (struct slice){text, strlen(text) + 1});
    fx_send(fx, 7, (struct slice){&k, 1}, (struct slice){text, 1}, 0);
    return k == '?' ? CORE_STOP : r->value.n > 4 ? CORE_POISON : CORE_OK;
}

static void adder_end(void *core, int64_t now_ms, struct fx *fx)
{
    (void)core;
    (void)now_ms;
    fx_append(fx, 2, (struct slice){"end", 4});
}

static const struct core_ops ops = {.open = adder_open,
                                    .plan = adder_plan,
                                    .load = adder_load,
                                    .step = adder_step,
                                    .end = adder_end,
                                    .close = free};

static int load(void *ctx, struct fold *f, const struct store_key *keys, size_t n)
{
    struct world *w = ctx;
    w->loads++;
    for (size_t i = 0; i < n && !w->fail; i++) {
        char text[32] = "";
        uint8_t k = *(const uint8_t *)keys[i].key.p;
        if (w->stored[k])
            snprintf(text, sizeof text, "%ld", w->stored[k]);
        fold_loaded(f, keys[i].table, keys[i].key, (struct slice){text, *text ? strlen(text) + 1 : 0});
    }
    return w->fail;
}

static int row(void *ctx, const struct store_row *r)
{
    struct world *w = ctx;
    size_t at = strlen(w->log);
    w->rows++;
    if (r->append)
        snprintf(w->log + at, sizeof w->log - at, "%s ", (const char *)r->row.p);
    else
        snprintf(w->log + at, sizeof w->log - at, "%c=%s ", *(const char *)r->key.p, (const char *)r->row.p);
    return 0;
}

static void begin(struct world *w)
{
    static const int64_t next[] = {0};
    *w = (struct world){.stored = {['b'] = 40}};
    w->fold = fold_new(&ops, &(struct core_open){.part = 3, .next = next, .quiet = next},
                       &(struct fold_owner){w, load, row});
    assert_non_null(w->fold);
}

static int64_t feed(struct world *w, const char *const *texts)
{
    struct record r[8] = {0};
    size_t n = 0;
    for (; texts[n]; n++)
        r[n] = (struct record){.part = 3,
                               .offset = (int64_t)n,
                               .time_ms = 100 + (int64_t)n,
                               .value = {texts[n], strlen(texts[n]) + 1}};
    w->log[0] = '\0';
    return fold_batch(w->fold, r, n);
}
#define FEED(w, ...) feed(w, (const char *const[]){__VA_ARGS__, NULL})

static void rows_come_in_order_and_are_loaded_once(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    assert_int_equal(FEED(&w, "a1", "b2", "a3"), 3);
    assert_string_equal(w.log, "a=1 b=42 a=4 end ");
    assert_int_equal(w.loads, 1);
    assert_int_equal(FEED(&w, "a5"), 1);
    assert_string_equal(w.log, "a=9 end ");
    assert_int_equal(w.loads, 1);
    fold_free(w.fold);
}

static void poison_leaves_nothing(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    assert_int_equal(FEED(&w, "!", "a1", "a1000", "c2"), 4);
    assert_string_equal(w.log, "a=1 c=2 end ");
    assert_int_equal(fold_poison(w.fold), 2);
    fold_free(w.fold);
}

static void a_stop_keeps_what_came_before(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    assert_int_equal(FEED(&w, "a1", "?", "a2"), 1);
    assert_string_equal(w.log, "a=1 end ");
    fold_free(w.fold);
}

static void errors_come_back(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    w.fail = -EIO;
    assert_int_equal(FEED(&w, "a1"), -EIO);
    fold_free(w.fold);
    begin(&w);
    assert_int_equal(FEED(&w, "~1"), -ELOOP); /* asks for ever */
    fold_free(w.fold);
    fold_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_in_order_and_are_loaded_once),
        cmocka_unit_test(poison_leaves_nothing),
        cmocka_unit_test(a_stop_keeps_what_came_before),
        cmocka_unit_test(errors_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
