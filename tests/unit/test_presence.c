#include "common/im/presence.h"

#include "common/base/rand.h"
#include "common/im/codec.h"
#include "common/im/topics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct session sess(const char *login, uint32_t device, uint32_t slot, uint64_t epoch, uint32_t handle,
                           uint64_t at)
{
    return (struct session){id_user(login), device, slot, epoch, handle, at};
}

static int put(struct presence *p, const struct session *s, const uint32_t *devices, size_t n,
               uint64_t devices_at)
{
    Im__PresenceRecord r = IM__PRESENCE_RECORD__INIT;
    Im__Session pb;
    uint8_t key[KEY_PRESENCE], value[1024];
    session_to_pb(s, &pb);
    r.version = 1;
    r.session = &pb;
    r.n_devices = n;
    r.devices = (uint32_t *)(uintptr_t)devices;
    r.devices_at = devices_at;
    r.login = "anna";
    key_presence(s, key);
    int size = codec_pack_into(&r.base, value, sizeof value);
    assert_true(size > 0);
    return presence_feed(p, (struct slice){key, sizeof key}, (struct slice){value, (size_t)size});
}

static void end(struct presence *p, const struct session *s)
{
    uint8_t key[KEY_PRESENCE];
    key_presence(s, key);
    assert_int_equal(presence_feed(p, (struct slice){key, sizeof key}, (struct slice){NULL, 0}), 0);
}

static void claim(struct lease *l, uint32_t slot, int64_t offset)
{
    Im__LeaseRecord r = IM__LEASE_RECORD__INIT;
    uint8_t key[KEY_LEASE], value[64];
    r.version = 1;
    r.kind = IM__LEASE_KIND__LEASE_CLAIM;
    r.slot = slot;
    key_lease(slot, r.kind, key);
    int n = codec_pack_into(&r.base, value, sizeof value);
    assert_int_equal(lease_feed(l, (struct slice){key, sizeof key}, (struct slice){value, (size_t)n}, offset),
                     0);
}

static void the_latest_login_of_a_device_is_live(void **state)
{
    (void)state;
    struct presence *p = presence_new(NULL);
    struct session old = sess("anna", 1, 0, 5, 10, 100), new = sess("anna", 1, 1, 6, 10, 200),
                   other = sess("anna", 2, 0, 5, 11, 50);
    const struct session *live[PRESENCE_LIVE_MAX];
    const uint32_t *devices;
    uint32_t one[] = {1}, two[] = {1, 2};
    assert_int_equal(presence_sessions(p, old.user, live), 0);
    assert_int_equal(put(p, &new, two, 2, 200), 0);
    assert_int_equal(put(p, &old, one, 1, 100), 0); /* arrives late */
    assert_int_equal(put(p, &other, two, 2, 150), 0);
    assert_int_equal(presence_sessions(p, old.user, live), 2);
    assert_true(session_eq(live[0], &new) && session_eq(live[1], &other));
    assert_true(presence_is_live(p, &new));
    assert_false(presence_is_live(p, &old));
    assert_int_equal(presence_devices(p, old.user, &devices), 2);
    assert_string_equal(presence_login(p, old.user), "anna");
    assert_int_equal(put(p, &other, (uint32_t[]){1, 2, 3}, 3, 300), 0); /* a later list, on another session */
    assert_int_equal(presence_devices(p, old.user, &devices), 3);
    assert_int_equal(put(p, &other, two, 2, 150), 0);
    assert_int_equal(presence_devices(p, old.user, &devices), 2);
    assert_true(session_eq(presence_find(p, 0, 5, 10), &old));
    assert_null(presence_find(p, 0, 5, 12));
    end(p, &new);
    assert_true(
        session_eq(presence_device(p, old.user, 1), &old)); /* as a reader that never saw `new` would say */
    end(p, &old);
    end(p, &old);
    assert_null(presence_device(p, old.user, 1));
    end(p, &other);
    assert_int_equal(presence_count(p), 0);
    assert_int_equal(presence_users(p), 0);
    assert_int_equal(presence_devices(p, old.user, &devices), 0);
    assert_null(presence_login(p, old.user));
    presence_free(p);
    presence_free(NULL);
}

static void a_dead_epoch_ends_its_sessions(void **state)
{
    (void)state;
    struct lease *l = lease_new(4);
    struct presence *p = presence_new(l);
    struct session s = sess("anna", 1, 2, 7, 1, 100);
    const struct session *live[PRESENCE_LIVE_MAX];
    put(p, &s, NULL, 0, 0);
    assert_int_equal(presence_sessions(p, s.user, live), 0);
    claim(l, 2, 7);
    assert_int_equal(presence_sessions(p, s.user, live), 1);
    claim(l, 2, 9);
    assert_int_equal(presence_sessions(p, s.user, live), 0);
    assert_non_null(presence_find(p, 2, 7, 1)); /* still there, for its tombstone */
    presence_free(p);
    lease_free(l);
}

static void collect(void *ctx, const struct session *s)
{
    uint64_t *sum = ctx;
    *sum += s->handle;
}

static void sessions_of_a_slot(void **state)
{
    (void)state;
    struct presence *p = presence_new(NULL);
    struct session a[4] = {sess("anna", 1, 3, 7, 1, 1), sess("bert", 1, 3, 7, 2, 2),
                           sess("carl", 1, 3, 8, 4, 3), sess("anna", 2, 4, 9, 8, 4)};
    uint64_t sum = 0;
    for (int i = 0; i < 4; i++)
        put(p, &a[i], NULL, 0, 0);
    presence_each(p, 3, collect, &sum);
    assert_int_equal(sum, 7);
    end(p, &a[1]);
    sum = 0;
    presence_each(p, 3, collect, &sum);
    assert_int_equal(sum, 5);
    presence_each(p, 9999, collect, &sum);
    presence_free(p);
}

static void refuses(void **state)
{
    (void)state;
    struct presence *p = presence_new(NULL);
    struct session s = sess("anna", 1, TOPICS_SLOTS_MAX, 7, 1, 1);
    assert_int_equal(put(p, &s, NULL, 0, 0), -EBADMSG);
    s = sess("anna", 1, 1, 7, 1, 1);
    uint8_t key[KEY_PRESENCE];
    key_presence(&s, key);
    struct slice k = {key, sizeof key};
    assert_int_equal(presence_feed(p, (struct slice){key, 15}, (struct slice){"\x08\x01", 2}), -EBADMSG);
    assert_int_equal(presence_feed(p, k, (struct slice){"\x08\x02", 2}), -ENOTSUP);
    assert_int_equal(presence_feed(p, k, (struct slice){"\x08\x01", 2}), -EBADMSG);
    uint32_t many[65] = {0};
    assert_int_equal(put(p, &s, many, 65, 0), -EBADMSG);
    assert_int_equal(presence_count(p), 0);
    presence_free(p);
}

/* ---- any arrival order ---- */

#define KEYS  24
#define STEPS 6

struct change {
    int key;
    bool over;
    uint32_t devices[4];
    size_t n;
    uint64_t at;
};

static void check_same(struct presence *a, struct presence *b)
{
    uint8_t da[32], db[32];
    char login[16];
    presence_digest(a, da);
    presence_digest(b, db);
    assert_memory_equal(da, db, 32);
    assert_int_equal(presence_users(a), presence_users(b));
    for (int u = 0; u < 4; u++) {
        snprintf(login, sizeof login, "user%d", u);
        const struct session *la[PRESENCE_LIVE_MAX], *lb[PRESENCE_LIVE_MAX];
        const uint32_t *va, *vb;
        size_t n = presence_sessions(a, id_user(login), la);
        assert_int_equal(n, presence_sessions(b, id_user(login), lb));
        for (size_t i = 0; i < n; i++)
            assert_true(session_eq(la[i], lb[i]));
        n = presence_devices(a, id_user(login), &va);
        assert_int_equal(n, presence_devices(b, id_user(login), &vb));
        if (n)
            assert_memory_equal(va, vb, n * sizeof *va);
    }
}

static void feed_one(struct presence *p, const struct session *sessions, const struct change *c)
{
    if (c->over)
        end(p, &sessions[c->key]);
    else
        assert_int_equal(put(p, &sessions[c->key], c->devices, c->n, c->at), 0);
}

static void any_arrival_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct rng rng = {seed};
        struct session sessions[KEYS];
        struct change log[KEYS][STEPS];
        struct lease *l = lease_new(4);
        struct presence *a = presence_new(l), *b = presence_new(l);
        for (int k = 0; k < KEYS; k++) {
            char login[16];
            snprintf(login, sizeof login, "user%d", (int)rng_below(&rng, 4));
            sessions[k] = sess(login, 1 + (uint32_t)rng_below(&rng, 3), (uint32_t)rng_below(&rng, 4),
                               1 + rng_below(&rng, 2), (uint32_t)k, rng_below(&rng, 10));
            for (int i = 0; i < STEPS; i++) {
                log[k][i] =
                    (struct change){.key = k, .over = rng_below(&rng, 4) == 0, .at = rng_below(&rng, 8)};
                log[k][i].n = rng_below(&rng, 4);
                for (size_t d = 0; d < log[k][i].n; d++)
                    log[k][i].devices[d] = (uint32_t)rng_below(&rng, 9);
            }
        }
        for (uint32_t s = 0; s < 4; s++)
            claim(l, s, 1 + (int64_t)rng_below(&rng, 2));
        for (int k = 0; k < KEYS; k++)
            for (int i = 0; i < STEPS; i++)
                feed_one(a, sessions, &log[k][i]);
        int next[KEYS] = {0};
        for (int left = KEYS * STEPS; left;) {
            size_t k = rng_below(&rng, KEYS);
            if (next[k] == STEPS)
                continue;
            feed_one(b, sessions, &log[k][next[k]++]);
            left--;
        }
        check_same(a, b);
        for (int k = 0; k < KEYS; k++) /* a reader that began again somewhere before */
            for (int i = 3; i < STEPS; i++)
                feed_one(b, sessions, &log[k][i]);
        check_same(a, b);
        struct presence *compacted = presence_new(l);
        for (int k = KEYS; k-- > 0;)
            feed_one(compacted, sessions, &log[k][STEPS - 1]);
        check_same(a, compacted);
        presence_free(a);
        presence_free(b);
        presence_free(compacted);
        lease_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_login_of_a_device_is_live),
        cmocka_unit_test(a_dead_epoch_ends_its_sessions),
        cmocka_unit_test(sessions_of_a_slot),
        cmocka_unit_test(refuses),
        cmocka_unit_test(any_arrival_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
