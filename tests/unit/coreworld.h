/* coreworld.h: what tests of cores share: a lease view with live slots, a core on corerun.h, records packed, and a cursor
 * over what was sent. Include it once per test; `state` of a test is a struct world *. */
#ifndef PARLEY_TESTS_COREWORLD_H
#define PARLEY_TESTS_COREWORLD_H

#include "common/base/arena_protobuf.h"
#include "common/im/codec.h"
#include "common/im/lease.h"
#include "common/im/topics.h"
#include "tests/unit/corerun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SLOTS 4 /* slot s is claimed at epoch 10 + s */

struct world {
    struct arena *arena; /* of all that the test makes */
    struct lease *lease;
    struct run run;
    int64_t offset;     /* of the next record */
    int64_t time_ms;    /* of all records from now on */
    size_t seen;        /* sends looked at */
    size_t told;        /* sends reported */
    struct record *log; /* for those who remember() */
    size_t n_log;
};

static inline struct id16 uid(const char *login)
{
    return id_user(login);
}

static inline struct slice pack(struct world *w, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = arena_alloc(w->arena, n);
    assert_non_null(p);
    protobuf_c_message_pack(m, p);
    return slice_of(p, n);
}

static inline void lease_record(struct world *w, uint32_t slot, Im__LeaseKind kind, uint64_t epoch,
                                int64_t offset)
{
    Im__LeaseRecord r = IM__LEASE_RECORD__INIT;
    uint8_t key[KEY_LEASE];
    r.version = 1;
    r.kind = kind;
    r.slot = slot;
    r.epoch = epoch;
    r.holder = r.address = "x";
    key_lease(slot, kind, key);
    assert_int_equal(lease_feed(w->lease, slice_of(key, sizeof key), pack(w, &r.base), offset), 0);
}

static inline struct world *world_new(const struct core_ops *ops, const void *settings)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->arena = arena_new(0);
    w->lease = lease_new(SLOTS);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        lease_record(w, slot, IM__LEASE_KIND__LEASE_CLAIM, 0, 10 + slot);
    run_open(&w->run, ops, settings, w->lease, 0, 0);
    return w;
}

static inline void world_free(struct world *w)
{
    run_release(&w->run);
    lease_free(w->lease);
    arena_free(w->arena);
    free(w->log);
    free(w);
}

static inline void remember(struct world *w, const struct record *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        w->log = grown(w->log, w->n_log, sizeof *w->log);
        w->log[w->n_log++] = r[i];
    }
}

/* Acks everything that waits for it. */
static inline void ack(struct world *w)
{
    for (; w->told < w->run.fx.n_sends; w->told++)
        if (w->run.fx.sends[w->told].tag)
            w->run.ops->sent(w->run.core, w->run.fx.sends[w->told].tag, SENT_OK, &w->run.fx);
}

static inline const struct sent_record *next(struct world *w, uint16_t topic)
{
    assert_true(w->seen < w->run.fx.n_sends);
    const struct sent_record *s = &w->run.fx.sends[w->seen++];
    assert_int_equal(s->topic, topic);
    return s;
}

static inline void no_more(struct world *w)
{
    assert_int_equal(w->seen, w->run.fx.n_sends);
}

static inline void pass(struct world *w)
{
    w->seen = w->run.fx.n_sends;
}

#define DECODE(w, what, slice_, out)                                                                         \
    do {                                                                                                     \
        struct arena_protobuf pb_;                                                                           \
        assert_int_equal(codec_##what(arena_protobuf_allocator(&pb_, (w)->arena, 1 << 20), slice_, out), 0); \
    } while (0)

#endif
