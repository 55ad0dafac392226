/* Rules 2 over seeded logs of every kind: never saved, in batches with saves and reloads, and by a plain model. */
#include "common/base/hex.h"
#include "common/im/conv.h"
#include "proto/client.pb-c.h"
#include "tests/support/conv2log.h"
#include "tests/support/convstore.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/conv-rules2.log"
#define LOGS   120
#define EVENTS 1200

struct run {
    struct conv *whole, *batched;
    struct convstore store;
    struct conv2model *model;
    uint64_t seed, accepted;
    size_t at;
};

static bool outcome_eq(const struct conv_outcome *a, const struct conv_outcome *b)
{
    return a->verdict == b->verdict && a->reason == b->reason && a->seq == b->seq &&
           a->time_ms == b->time_ms && a->changed[0] == b->changed[0] && a->changed[1] == b->changed[1] &&
           a->read == b->read && a->delivered == b->delivered && a->until_ms == b->until_ms;
}

static void same(const struct run *r, const struct conv_event *e, struct conv_outcome a,
                 struct conv_outcome b)
{
    if (!outcome_eq(&a, &b))
        fail_msg("seed %" PRIu64 " event %zu kind %u: %d %u %" PRIu64 " and %d %u %" PRIu64, r->seed, r->at,
                 e->kind, (int)a.verdict, a.reason, a.seq, (int)b.verdict, b.reason, b.seq);
}

static void check(struct run *r, struct rng *rng)
{
    uint8_t whole[32], stored[32], loaded[32];
    conv_digest(r->whole, whole);
    convstore_digest(&r->store, stored);
    struct conv *all = convstore_load(&r->store, conv_id(r->whole), rng);
    if (r->store.n == 0)
        conv_load(all, &(struct conv_cell){.key_n = 1});
    conv_digest(all, loaded);
    assert_memory_equal(whole, stored, 32);
    assert_memory_equal(whole, loaded, 32);
    const char *a = conv2model_differs(r->model, r->whole), *b = conv2model_differs(r->model, all);
    if (a || b)
        fail_msg("seed %" PRIu64 " event %zu: %s", r->seed, r->at, a ? a : b);
    conv_free(all);
}

static void batch(struct run *r, const struct conv_event *events, size_t n, struct rng *rng)
{
    /* All is planned before anything is applied, as the shell does. */
    for (size_t i = 0; i < n; i++)
        assert_true(convstore_plan(&r->store, r->batched, &events[i]));
    for (size_t i = 0; i < n; i++, r->at++) {
        struct conv_cell need[CONV_NEEDS_MAX];
        assert_int_equal(conv_needs(r->batched, &events[i], need), 0);
        struct conv_outcome o = conv_apply(r->batched, &events[i]), again;
        same(r, &events[i], o, conv_apply(r->whole, &events[i]));
        same(r, &events[i], o, conv2model_apply(r->model, &events[i]));
        if (o.verdict == CONV_ACCEPTED)
            assert_int_equal(o.seq, ++r->accepted);
        else
            assert_true(o.verdict == CONV_DUPLICATE || o.seq == 0);
        if (conv_recall(r->batched, &events[i], &again) && o.verdict != CONV_REFUSED) {
            assert_int_equal(again.seq, o.seq);
            assert_int_equal(again.reason, o.reason);
        }
    }
    convstore_save(&r->store, r->batched);
    if (rng_below(rng, 3) == 0) {
        struct id16 id = conv_id(r->batched);
        conv_free(r->batched);
        r->batched = rng_below(rng, 4) || !r->store.n ? conv_new(id) : convstore_load(&r->store, id, rng);
        if (rng_below(rng, 4) == 0)
            check(r, rng);
    }
}

static void one_log(uint64_t seed, enum conv_type type, size_t n_events)
{
    static struct conv_event events[4 * EVENTS];
    static struct id16 named[4 * EVENTS][C2_USERS];
    struct rng rng = {seed ^ 0x5eed};
    struct conv2log log;
    conv2log_init(&log, seed, type);
    struct run r = {.whole = conv_new(log.conv),
                    .batched = conv_new(log.conv),
                    .model = conv2model_new(&log),
                    .seed = seed};
    assert_int_equal(conv_load(r.whole, &(struct conv_cell){.key_n = 1}), 0);
    for (size_t i = 0; i < n_events; i++)
        events[i] = conv2log_next(&log, named[i]);
    for (size_t at = 0, n; at < n_events; at += n) {
        n = 1 + rng_below(&rng, rng_below(&rng, 2) ? 4 : 80);
        n = n < n_events - at ? n : n_events - at;
        batch(&r, events + at, n, &rng);
    }
    check(&r, &rng);
    assert_true(conv_bytes(r.whole) < 400000);
    conv_free(r.whole);
    conv_free(r.batched);
    conv2model_free(r.model);
    convstore_release(&r.store);
}

static void groups_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LOGS; seed++)
        one_log(seed, CONV_GROUP, seed % 10 ? EVENTS : 3 * EVENTS);
}

static void two_people_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LOGS; seed++)
        one_log(seed, CONV_DIRECT, seed % 10 ? EVENTS : 3 * EVENTS);
}

static void the_system_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        one_log(seed, CONV_SYSTEM, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_agree_with_the_model),
        cmocka_unit_test(two_people_agree_with_the_model),
        cmocka_unit_test(the_system_agrees_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
