#include "query/subs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define USERS    8
#define PER_USER 12

struct world {
    struct subs *subs;
    bool online[USERS], dead[4];
    unsigned told[4][USERS]; /* by handle: how often, and what last */
    bool last[4][USERS];
    unsigned pushes;
};

static struct id16 user(unsigned n)
{
    return (struct id16){{(uint8_t)(n + 1)}};
}
static struct session connection(unsigned handle)
{
    return (struct session){.user = user(handle), .device = 1, .epoch = 9, .handle = handle};
}
static bool online(void *ctx, struct id16 id)
{
    return ((struct world *)ctx)->online[id.b[0] - 1];
}
static bool alive(void *ctx, const struct session *s)
{
    return !((struct world *)ctx)->dead[s->handle];
}
static void tell(void *ctx, const struct session *to, const struct id16 *users, const bool *states, size_t n)
{
    struct world *w = ctx;
    w->pushes++;
    for (size_t i = 0; i < n; i++) {
        w->told[to->handle][users[i].b[0] - 1]++;
        w->last[to->handle][users[i].b[0] - 1] = states[i];
    }
}

static struct world *world(uint32_t max)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    const struct subs_env env = {w, online, alive, tell};
    w->subs = subs_new(&env, max, PER_USER);
    assert_non_null(w->subs);
    return w;
}
static void over(struct world *w)
{
    subs_free(w->subs);
    free(w);
}
static int want(struct world *w, unsigned handle, unsigned n, int64_t now)
{
    struct id16 users[USERS];
    struct session s = connection(handle);
    for (unsigned i = 0; i < n; i++)
        users[i] = user(i);
    return subs_set(w->subs, &s, users, w->online, n, now);
}
static void turn(struct world *w, unsigned n, bool on)
{
    w->online[n] = on;
    subs_touch(w->subs, user(n));
}

static void a_change_is_told_to_who_asked(void **state)
{
    (void)state;
    struct world *w = world(100);
    assert_int_equal(want(w, 0, 2, 0), 0);
    assert_int_equal(want(w, 1, 1, 0), 0);
    turn(w, 1, true);
    turn(w, 5, true); /* nobody asked */
    subs_tick(w->subs, 5000);
    assert_int_equal(w->told[0][1], 1);
    assert_true(w->last[0][1]);
    assert_int_equal(w->pushes, 1);
    subs_tick(w->subs, 9000);
    assert_int_equal(w->pushes, 1);
    over(w);
}

static void one_who_comes_and_goes_is_told_once_a_second(void **state)
{
    (void)state;
    struct world *w = world(100);
    want(w, 0, 1, 0);
    for (int64_t now = 10; now <= 10000; now += 10) {
        turn(w, 0, !w->online[0]);
        if (now % SUBS_TICK_MS == 0)
            subs_tick(w->subs, now);
    }
    assert_true(w->told[0][0] <= 10);
    turn(w, 0, true);
    subs_tick(w->subs, 11000);
    subs_tick(w->subs, 12000);
    assert_true(w->last[0][0] || w->told[0][0] == 0); /* and the last word is true */
    over(w);
}

static void who_asks_in_between_hears_what_changed_since(void **state)
{
    (void)state;
    struct world *w = world(100);
    w->online[0] = true;
    want(w, 0, 1, 0);
    turn(w, 0, false);
    want(w, 1, 1, 10); /* was told: offline */
    turn(w, 0, true);
    subs_tick(w->subs, 100);
    assert_int_equal(w->told[0][0], 0); /* nothing changed for the first */
    assert_int_equal(w->told[1][0], 1);
    assert_true(w->last[1][0]);
    over(w);
}

static void many_changes_are_one_push(void **state)
{
    (void)state;
    struct world *w = world(100);
    want(w, 0, USERS, 0);
    for (unsigned i = 0; i < USERS; i++)
        w->online[i] = true;
    subs_touch_all(w->subs);
    subs_tick(w->subs, 100);
    assert_int_equal(w->pushes, 1);
    for (unsigned i = 0; i < USERS; i++)
        assert_int_equal(w->told[0][i], 1);
    over(w);
}

static void it_ends_with_time_connection_and_a_new_request(void **state)
{
    (void)state;
    struct world *w = world(100);
    struct session s = connection(2);
    want(w, 0, 2, 0);
    want(w, 1, 2, 1000);
    want(w, 2, 2, 1000);
    want(w, 3, 2, 1000);
    want(w, 3, 0, 2000);
    subs_drop(w->subs, &s);
    w->dead[1] = true;
    assert_int_equal(subs_links(w->subs), 4);
    turn(w, 0, true);
    subs_tick(w->subs, SUBS_TTL_MS);
    assert_int_equal(w->pushes, 0);
    assert_int_equal(subs_links(w->subs), 0);
    assert_false(subs_busy(w->subs));
    over(w);
}

static bool is_first(void *ctx, struct id16 id)
{
    (void)ctx;
    return id_eq(id, user(0));
}

static void whose_questions_go_elsewhere_is_forgotten(void **state)
{
    (void)state;
    struct world *w = world(100);
    want(w, 0, 2, 0);
    want(w, 1, 3, 0);
    subs_keep(w->subs, is_first, NULL);
    assert_int_equal(subs_links(w->subs), 2);
    turn(w, 1, true);
    subs_tick(w->subs, 5000);
    assert_int_equal(w->told[0][1], 1);
    assert_int_equal(w->told[1][1], 0);
    over(w);
}

static void the_number_of_pairs_is_bounded(void **state)
{
    (void)state;
    struct world *w = world(5);
    assert_int_equal(want(w, 0, 3, 0), 0);
    assert_int_equal(want(w, 1, 3, 0), -ENOSPC);
    assert_int_equal(want(w, 1, 2, 0), 0);
    assert_int_equal(want(w, 0, 4, 0), -ENOSPC);
    assert_int_equal(subs_links(w->subs), 2);
    over(w);
}

/* Many connections of one user have no more than its share; the others' places are theirs. */
static void of_one_user_too(void **state)
{
    (void)state;
    struct world *w = world(1000);
    struct id16 users[USERS];
    struct session s[4];
    for (unsigned i = 0; i < USERS; i++)
        users[i] = user(i);
    for (unsigned i = 0; i < 4; i++) {
        s[i] = connection(0);
        s[i].handle = i;
        s[i].device = i + 1;
    }
    assert_int_equal(subs_set(w->subs, &s[0], users, w->online, 6, 0), 0);
    assert_int_equal(subs_set(w->subs, &s[1], users, w->online, 6, 0), 0);
    assert_int_equal(subs_set(w->subs, &s[2], users, w->online, 1, 0), -EDQUOT);
    assert_int_equal(subs_set(w->subs, &s[1], users, w->online, 7, 0), -EDQUOT); /* nothing is left of it */
    assert_int_equal(subs_links(w->subs), 6);
    assert_int_equal(want(w, 1, USERS, 0), 0); /* somebody else */
    assert_int_equal(subs_set(w->subs, &s[2], users, w->online, 6, 1), 0);
    subs_drop(w->subs, &s[0]);
    assert_int_equal(subs_set(w->subs, &s[3], users, w->online, 6, 1), 0);
    subs_tick(w->subs, SUBS_TTL_MS); /* want's is over, and with that everything of that user */
    assert_int_equal(subs_links(w->subs), 12);
    assert_int_equal(want(w, 1, USERS, SUBS_TTL_MS), 0);
    over(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_told_to_who_asked),
        cmocka_unit_test(one_who_comes_and_goes_is_told_once_a_second),
        cmocka_unit_test(who_asks_in_between_hears_what_changed_since),
        cmocka_unit_test(many_changes_are_one_push),
        cmocka_unit_test(it_ends_with_time_connection_and_a_new_request),
        cmocka_unit_test(whose_questions_go_elsewhere_is_forgotten),
        cmocka_unit_test(the_number_of_pairs_is_bounded),
        cmocka_unit_test(of_one_user_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
