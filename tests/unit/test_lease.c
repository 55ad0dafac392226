#include "common/im/lease.h"

#include "common/base/rand.h"
#include "common/im/codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int feed(struct lease *l, Im__LeaseKind kind, uint32_t slot, uint64_t epoch, const char *holder,
                int64_t offset)
{
    Im__LeaseRecord r = IM__LEASE_RECORD__INIT;
    uint8_t key[KEY_LEASE], value[512];
    r.version = 1;
    r.kind = kind;
    r.slot = slot;
    r.epoch = epoch;
    r.holder = (char *)(uintptr_t)holder;
    r.address = "127.0.0.1:7000";
    key_lease(slot, kind, key);
    int n = codec_pack_into(&r.base, value, sizeof value);
    assert_true(n > 0);
    return lease_feed(l, (struct slice){key, sizeof key}, (struct slice){value, (size_t)n}, offset);
}

#define WANT    IM__LEASE_KIND__LEASE_WANT
#define CLAIM   IM__LEASE_KIND__LEASE_CLAIM
#define EXPIRE  IM__LEASE_KIND__LEASE_EXPIRE
#define RELEASE IM__LEASE_KIND__LEASE_RELEASE

static void a_life(void **state)
{
    (void)state;
    struct lease *l = lease_new(8);
    uint64_t epoch;
    assert_false(lease_claimed(l, 3, &epoch));
    assert_int_equal(feed(l, WANT, 3, 0, "e1", 0), 0);
    assert_false(lease_claimed(l, 3, &epoch));
    assert_int_equal(lease_get(l, 3)->want, 0);
    assert_int_equal(feed(l, CLAIM, 3, 0, "e1", 5), 0);
    assert_true(lease_claimed(l, 3, &epoch));
    assert_int_equal(epoch, 5);
    assert_true(lease_live(l, 3, 5));
    assert_false(lease_live(l, 3, 4));
    assert_false(lease_live(l, 2, 5));
    assert_string_equal(lease_get(l, 3)->holder, "e1");
    uint64_t version = lease_version(l);
    assert_int_equal(feed(l, EXPIRE, 3, 5, "w", 9), 0);
    assert_true(lease_version(l) != version);
    assert_false(lease_live(l, 3, 5));
    assert_false(lease_get(l, 3)->released);
    assert_int_equal(feed(l, CLAIM, 3, 0, "e2", 11), 0);
    assert_int_equal(feed(l, EXPIRE, 3, 5, "late", 12), 0); /* of the epoch before: changes nothing */
    assert_true(lease_live(l, 3, 11));
    assert_int_equal(feed(l, RELEASE, 3, 11, "e2", 13), 0);
    assert_false(lease_live(l, 3, 11));
    assert_true(lease_get(l, 3)->released);
    lease_free(l);
    lease_free(NULL);
}

static void refuses(void **state)
{
    (void)state;
    struct lease *l = lease_new(8);
    assert_int_equal(feed(l, CLAIM, 8, 0, "e", 1), -ERANGE);
    assert_int_equal(feed(l, EXPIRE, 1, 50, "e", 50), -EBADMSG); /* would end a claim that is yet to come */
    assert_int_equal(feed(l, (Im__LeaseKind)9, 1, 0, "e", 1), -EBADMSG);
    assert_int_equal(lease_feed(l, (struct slice){"\0\0\0\1\2", 5}, (struct slice){NULL, 0}, 1), 0);
    assert_int_equal(
        lease_feed(l, (struct slice){"\0\0\0\1", 4}, (struct slice){"\x08\x01\x10\x02\x18\x01", 6}, 1),
        -EBADMSG);
    assert_int_equal(lease_feed(l, (struct slice){"\0\0\0\1\2", 5}, (struct slice){"\x08\x02", 2}, 1),
                     -ENOTSUP);
    assert_int_equal(lease_version(l), 0);
    assert_null(lease_get(l, 8));
    lease_free(l);
}

struct rec {
    Im__LeaseKind kind;
    uint32_t slot;
    uint64_t epoch;
    int64_t offset;
};

static void same(const struct lease *a, const struct lease *b)
{
    for (uint32_t s = 0; s < 4; s++)
        assert_memory_equal(lease_get(a, s), lease_get(b, s), sizeof(struct lease_slot));
}

static void any_order_gives_the_same_view(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng rng = {seed};
        struct rec log[40];
        struct lease *in_order = lease_new(4), *shuffled = lease_new(4);
        for (int i = 0; i < 40; i++) {
            log[i] = (struct rec){(Im__LeaseKind)(1 + rng_below(&rng, 4)), (uint32_t)rng_below(&rng, 4),
                                  i ? rng_below(&rng, (uint64_t)i) : 0, i};
            if (i == 0)
                log[i].kind = CLAIM;
            feed(in_order, log[i].kind, log[i].slot, log[i].epoch, i % 2 ? "odd" : "even", i);
        }
        for (int i = 39; i > 0; i--) {
            struct rec t = log[i];
            size_t k = rng_below(&rng, (uint64_t)i + 1);
            log[i] = log[k];
            log[k] = t;
        }
        for (int i = 0; i < 50; i++) { /* some twice */
            struct rec *r = &log[i < 40 ? (size_t)i : rng_below(&rng, 40)];
            feed(shuffled, r->kind, r->slot, r->epoch, r->offset % 2 ? "odd" : "even", r->offset);
        }
        same(in_order, shuffled);
        lease_free(in_order);
        lease_free(shuffled);
    }
}

/* What compaction may leave: the last record of each key. A late WANT must not undo a claim. */
static void compaction_keeps_the_claim(void **state)
{
    (void)state;
    uint8_t want[KEY_LEASE], claim[KEY_LEASE], expire[KEY_LEASE], release[KEY_LEASE];
    key_lease(1, WANT, want);
    key_lease(1, CLAIM, claim);
    key_lease(1, EXPIRE, expire);
    key_lease(1, RELEASE, release);
    assert_memory_not_equal(want, claim, KEY_LEASE);
    assert_memory_not_equal(claim, expire, KEY_LEASE);
    assert_memory_equal(expire, release, KEY_LEASE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life),
        cmocka_unit_test(refuses),
        cmocka_unit_test(any_order_gives_the_same_view),
        cmocka_unit_test(compaction_keeps_the_claim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
