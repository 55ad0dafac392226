/* Records that come again: after a crash at any of them, and after a recovery that began anywhere. */
#include "common/im/presence.h"
#include "router/rebuild.h"
#include "tests/unit/routerrun.h"

#define GROUP ((struct id16){{9, 9, 9}})

static void logins(struct world *w)
{
    char name[16];
    add(w, "anna");
    add(w, "bert");
    for (uint32_t i = 1; i <= 16; i++) {
        snprintf(name, sizeof name, "d%u", i);
        one(w, r_login(w, "anna", name, conn(i % SLOTS, i)));
    }
    one(w, r_login(w, "bert", "phone", conn(1, 50)));
    one(w, r_login(w, "bert", "phone", conn(2, 51)));
    one(w, r_end(w, "anna", conn(3, 3)));
    one(w, r_login(w, "anna", "d17", conn(1, 60)));
}

/* Everything an account can go through. */
static void life(struct world *w)
{
    w->time_ms = 1000000;
    add(w, "cora");
    struct session phone = enter(w, "cora", "phone", conn(1, 105), 1);
    struct session desk = enter(w, "cora", "desktop", conn(2, 106), 2);
    one(w, r_profile(w, "cora", phone, "Cora C."));
    one(w, r_admin(w, "cora", the_operator(), true));
    one(w, r_prefs(w, "cora", desk, GROUP));
    one(w, r_chat(w, "cora", desk, "anna", 1));
    one(w, r_receipt(w, "cora", phone, GROUP, 4));
    struct session watch = enter(w, "cora", "watch", conn(3, 107), 3);
    one(w, r_revoke(w, "cora", desk, 1, false));
    one(w, r_end(w, "cora", phone));
    phone = enter(w, "cora", "phone", conn(1, 108), 4);
    one(w, r_revoke(w, "cora", phone, 0, true));
    one(w, r_end(w, "cora", desk));
    one(w, r_end(w, "cora", watch));
    one(w, r_profile(w, "cora", phone, "Cora D."));
    desk = enter(w, "cora", "desktop", conn(2, 109), 2);
    one(w, r_token(w, "cora", "watch", 3, 1, conn(3, 110)));
    w->time_ms += ACCOUNT_SEEN_MS;
    one(w, r_revoke(w, "cora", the_operator(), 0, false));
    one(w, r_end(w, "cora", desk));
    one(w, r_admin(w, "cora", the_operator(), false));
    w->time_ms += ACCOUNT_SEEN_MS;
    watch = enter(w, "cora", "watch", conn(3, 111), 3);
    one(w, r_revoke(w, "cora", watch, 3, false));
    phone = enter(w, "cora", "phone", conn(0, 112), 4);
    w->time_ms += ACCOUNT_SEEN_MS;
    one(w, r_end(w, "cora", phone));
    add(w, "dora");
    phone = enter(w, "dora", "phone", conn(0, 120), 1);
    one(w, r_profile(w, "dora", phone, "Dora D."));
    one(w, r_chat(w, "dora", phone, "anna", 1));
    one(w, r_revoke(w, "dora", the_operator(), 0, false));
    phone = enter(w, "dora", "phone", conn(2, 121), 1);
    desk = enter(w, "dora", "desktop", conn(1, 122), 2);
    one(w, r_end(w, "dora", phone));
    one(w, r_erase(w, "dora", the_operator()));
    one(w, r_end(w, "dora", desk));
    one(w, r_login(w, "dora", "phone", conn(0, 123)));
    one(w, r_register(w, "dora"));
}

static struct world *fresh(void)
{
    void *w;
    setup(&w);
    return w;
}

static void reopen(struct world *w)
{
    run_crash(&w->run);
    run_open(&w->run, &router_core, &settings, w->lease, 0, 0);
    w->told = w->run.fx.n_sends;
}

static struct presence *sessions_of(const struct run *run)
{
    struct presence *p = presence_new(NULL);
    for (size_t i = 0; i < run->fx.n_sends; i++)
        if (run->fx.sends[i].topic == T_PRESENCE)
            assert_int_equal(presence_feed(p, run->fx.sends[i].key, run->fx.sends[i].value), 0);
    return p;
}

static bool same_sessions(const struct run *a, const struct run *b)
{
    struct presence *pa = sessions_of(a), *pb = sessions_of(b);
    uint8_t da[32], db[32];
    presence_digest(pa, da);
    presence_digest(pb, db);
    presence_free(pa);
    presence_free(pb);
    return memcmp(da, db, sizeof da) == 0;
}

/* Rows as a recovery makes them from all that `run` sent, when im.inbound is committed up to `committed`. */
static void rebuild_into(const struct run *run, const struct lease *lease, uint32_t slices, int64_t committed,
                         struct run *out)
{
    struct presence *p = sessions_of(run);
    for (uint32_t slice = 0; slice < slices; slice++) {
        struct rebuild *b = rebuild_new(slice, slices, committed);
        struct slice key, row;
        for (size_t i = 0; i < run->fx.n_sends; i++) {
            const struct sent_record *s = &run->fx.sends[i];
            struct record r = {.topic = s->topic, .key = s->key, .value = s->value};
            if (s->topic == T_USER || s->topic == T_VAULT)
                assert_int_equal(rebuild_feed(b, &r), 0);
        }
        rebuild_sessions(b, p, lease);
        while (rebuild_row(b, &key, &row))
            run_put(out, ROUTER_ACCOUNT, key, row);
        rebuild_free(b);
    }
    presence_free(p);
}

static void a_crash_before_the_puts_changes_no_answer(void **state)
{
    struct world *w = *state;
    logins(w);
    struct record r = r_login(w, "bert", "tablet", conn(3, 70));
    w->run.no_end_effects = true;
    step(w, &r, 1);
    w->run.no_end_effects = false;
    reopen(w);
    pass(w);
    one(w, r);
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 2);
    assert_int_equal(verdict(w, 3)->device, 2);
}

/* The same sends as the first time, in the same order, by everything that was not yet put. */
static void a_crash_at_any_record_repeats_what_was_said(void **state)
{
    struct world *w = *state;
    life(w);
    for (size_t k = 0; k < w->n_log; k++) {
        struct world *x = fresh();
        for (size_t i = 0; i < w->n_log; i++) {
            size_t before = x->run.fx.n_sends;
            x->run.no_end_effects = i == k;
            one(x, w->log[i]);
            if (i != k)
                continue;
            x->run.no_end_effects = false;
            size_t first = x->run.fx.n_sends;
            reopen(x);
            one(x, w->log[i]);
            assert_int_equal(x->run.fx.n_sends - first, first - before);
            for (size_t s = before; s < first; s++) {
                const struct sent_record *a = &x->run.fx.sends[s], *b = &x->run.fx.sends[s + first - before];
                assert_int_equal(a->topic, b->topic);
                assert_int_equal(a->value.n, b->value.n);
                assert_memory_equal(a->value.p, b->value.p, a->value.n);
            }
        }
        assert_true(run_same(&w->run, &x->run, ROUTER_ACCOUNT));
        assert_true(same_sessions(&w->run, &x->run));
        world_free(x);
    }
}

/* All was said, nothing is left of the rows, and the committed offset may be anywhere. */
static void a_recovery_from_anywhere_ends_alike(void **state)
{
    struct world *w = *state;
    logins(w);
    life(w);
    for (size_t k = 0; k < w->n_log; k++) {
        struct world *x = fresh();
        rebuild_into(&w->run, w->lease, 1, w->log[k].offset, &x->run);
        for (size_t i = 0; i < w->run.fx.n_sends; i++) { /* the log is there */
            const struct sent_record *s = &w->run.fx.sends[i];
            if (s->topic == T_PRESENCE || s->topic == T_USER || s->topic == T_VAULT)
                fx_send(&x->run.fx, s->topic, s->key, s->value, 0);
        }
        x->told = x->run.fx.n_sends;
        for (size_t i = k; i < w->n_log; i++)
            one(x, w->log[i]);
        assert_true(run_same(&w->run, &x->run, ROUTER_ACCOUNT));
        assert_true(same_sessions(&w->run, &x->run));
        struct run again = {0};
        rebuild_into(&x->run, x->lease, 1, INT64_MAX, &again);
        assert_true(run_same(&w->run, &again, ROUTER_ACCOUNT));
        run_release(&again);
        world_free(x);
    }
}

static void rows_rebuilt_from_the_log_equal_the_live_ones(void **state)
{
    struct world *w = *state;
    logins(w);
    life(w);
    for (uint32_t slices = 1; slices <= 3; slices += 2) {
        struct run other = {0};
        rebuild_into(&w->run, w->lease, slices, INT64_MAX, &other);
        assert_true(run_same(&w->run, &other, ROUTER_ACCOUNT));
        run_release(&other);
    }
}

/* A login replaced a session, and the router died between the new presence and the tombstone of the old. */
static void a_session_that_nobody_ended_is_ended_by_the_repeated_login(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t first = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    struct record r = r_login(w, "anna", "phone", conn(2, 6));
    one(w, r);
    struct presence *p = presence_new(NULL);
    struct rebuild *b = rebuild_new(0, 1, r.offset);
    for (size_t i = 0; i < w->run.fx.n_sends; i++) {
        const struct sent_record *s = &w->run.fx.sends[i];
        struct record rec = {.topic = s->topic, .key = s->key, .value = s->value};
        if (s->topic == T_PRESENCE && s->value.n)
            assert_int_equal(presence_feed(p, s->key, s->value), 0);
        else if (s->topic == T_USER || s->topic == T_VAULT)
            assert_int_equal(rebuild_feed(b, &rec), 0);
    }
    struct slice key, row;
    rebuild_sessions(b, p, w->lease);
    run_release(&w->run);
    assert_true(rebuild_row(b, &key, &row));
    run_put(&w->run, ROUTER_ACCOUNT, key, row);
    assert_false(rebuild_row(b, &key, &row));
    rebuild_free(b);
    presence_free(p);
    w->seen = w->told = 0;
    run_open(&w->run, &router_core, &settings, w->lease, 0, 0);
    one(w, r);
    verdict(w, 2);
    presence(w);
    tombstone(w, of_user("anna", conn(1, 5), 1, first));
    item(w, 1, IM__ITEM_KIND__ITEM_KICK);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    no_more(w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_crash_before_the_puts_changes_no_answer),
        T(a_crash_at_any_record_repeats_what_was_said),
        T(a_recovery_from_anywhere_ends_alike),
        T(rows_rebuilt_from_the_log_equal_the_live_ones),
        T(a_session_that_nobody_ended_is_ended_by_the_repeated_login),
    };
    return cmocka_run_group_tests(tests, with_seals, without_seals);
}
