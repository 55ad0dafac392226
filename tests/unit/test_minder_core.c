#include "common/base/arena_protobuf.h"
#include "common/im/codec.h"
#include "common/im/topics.h"
#include "offline/minder_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SLOTS 3
#define S     1 /* the slot that most tests are about */

struct act {
    enum { JOIN, LEAVE, COMMIT, PAUSE, RESUME, SEND } what;
    uint32_t slot;
    int64_t next;
    uint16_t topic;
    int32_t part;
    struct slice key, value;
    uint64_t tag;
};

struct world {
    struct arena *arena;
    struct lease *lease;
    struct presence *presence;
    struct minder_core *m;
    struct act acts[20000];
    size_t n, seen;
    int64_t now;
};

static struct act *act(struct world *w, int what)
{
    assert_true(w->n < sizeof w->acts / sizeof *w->acts);
    w->acts[w->n].what = what;
    return &w->acts[w->n++];
}
static void do_join(void *ctx, uint32_t slot)
{
    act(ctx, JOIN)->slot = slot;
}
static void do_leave(void *ctx, uint32_t slot)
{
    act(ctx, LEAVE)->slot = slot;
}
static void do_commit(void *ctx, uint32_t slot, int64_t next)
{
    struct act *a = act(ctx, COMMIT);
    a->slot = slot;
    a->next = next;
}
static void do_pause(void *ctx, uint32_t slot, bool paused)
{
    act(ctx, paused ? PAUSE : RESUME)->slot = slot;
}
static struct slice keep(struct world *w, struct slice s)
{
    return s.n ? slice_of(arena_copy(w->arena, s.p, s.n), s.n) : (struct slice){NULL, 0};
}
static void do_send(void *ctx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                    uint64_t tag)
{
    struct act *a = act(ctx, SEND);
    a->topic = topic;
    a->part = part;
    a->key = keep(ctx, key);
    a->value = keep(ctx, value);
    a->tag = tag;
}
static const struct minder_effects effects = {do_join, do_leave, do_commit, do_pause, do_send};

static struct slice pack(struct world *w, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = arena_alloc(w->arena, n);
    assert_non_null(p);
    protobuf_c_message_pack(m, p);
    return slice_of(p, n);
}

static void lease_record(struct world *w, Im__LeaseKind kind, uint64_t epoch, int64_t offset)
{
    Im__LeaseRecord r = IM__LEASE_RECORD__INIT;
    uint8_t key[KEY_LEASE];
    r.version = 1;
    r.kind = kind;
    r.slot = S;
    r.epoch = epoch;
    r.holder = r.address = "x";
    key_lease(S, kind, key);
    assert_int_equal(lease_feed(w->lease, slice_of(key, sizeof key), pack(w, &r.base), offset), 0);
    minder_lease(w->m, w->now);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->arena = arena_new(0);
    w->lease = lease_new(SLOTS);
    w->presence = presence_new(w->lease);
    const struct minder_conf conf = {.lease = w->lease,
                                     .presence = w->presence,
                                     .offline_parts = 3,
                                     .instance = "worker-1",
                                     .max_slots = 8,
                                     .effects = &effects,
                                     .ctx = w};
    w->m = minder_core_new(&conf);
    w->now = 1000000;
    lease_record(w, IM__LEASE_KIND__LEASE_CLAIM, 0, 50);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    minder_core_free(w->m);
    presence_free(w->presence);
    lease_free(w->lease);
    arena_free(w->arena);
    free(w);
    return 0;
}

static const struct act *next(struct world *w, int what)
{
    assert_true(w->seen < w->n);
    const struct act *a = &w->acts[w->seen++];
    assert_int_equal(a->what, what);
    return a;
}
static void no_more(struct world *w)
{
    assert_int_equal(w->seen, w->n);
}
static void pass(struct world *w)
{
    w->seen = w->n;
}
static void poll(struct world *w, enum minder_group group)
{
    w->now += MINDER_POLL_MS;
    minder_tick(w->m, w->now);
    if (minder_watches(w->m, S))
        minder_described(w->m, S, group, w->now);
}

static void presence(struct world *w, uint64_t epoch, uint32_t handle)
{
    struct session s = {.user = id_user("anna"),
                        .device = 1,
                        .slot = S,
                        .epoch = epoch,
                        .handle = handle,
                        .login_offset = handle};
    Im__PresenceRecord r = IM__PRESENCE_RECORD__INIT;
    Im__Session pb;
    uint8_t key[KEY_PRESENCE];
    session_to_pb(&s, &pb);
    r.version = 1;
    r.session = &pb;
    r.login = "anna";
    key_presence(&s, key);
    assert_int_equal(presence_feed(w->presence, slice_of(key, sizeof key), pack(w, &r.base)), 0);
}

/* Joined and assigned, EXPIRE on its way. */
static uint64_t hold(struct world *w, int64_t committed)
{
    for (int i = 0; i < 6 && w->n == w->seen; i++)
        poll(w, MINDER_EMPTY);
    next(w, JOIN);
    minder_assigned(w->m, S, committed, w->now);
    assert_true(minder_holds(w->m, S));
    const struct act *a = next(w, SEND);
    assert_int_equal(a->topic, T_LEASE);
    return a->tag;
}

static void message(struct world *w, int64_t offset, Im__ItemKind kind, uint64_t seq, size_t recipients)
{
    Im__DeliverRecord r = IM__DELIVER_RECORD__INIT;
    Im__DeliverItem it = IM__DELIVER_ITEM__INIT, *items[1] = {&it};
    uint32_t handles[4] = {5, 6, 7, 8}, devices[4] = {1, 2, 3, 4};
    uint64_t logins[4] = {5, 6, 7, 8};
    struct id16 users[4], conv = id_user("some conversation");
    for (size_t i = 0; i < 4; i++)
        users[i] = id_user("anna");
    it.kind = kind;
    it.frame_type = kind == IM__ITEM_KIND__ITEM_MESSAGE ? IM__FRAME_TYPE__CHAT_PUSH : IM__FRAME_TYPE__MSG_ACK;
    it.payload = codec_bytes(slice_of("payload", 7));
    it.n_handles = it.n_devices = it.n_logins = recipients;
    it.handles = handles;
    it.devices = devices;
    it.logins = logins;
    it.users = (ProtobufCBinaryData){recipients * ID_SIZE, users[0].b};
    it.conversation = codec_bytes(slice_id(&conv));
    it.seq = seq;
    r.version = 1;
    r.epoch = 50;
    r.n_items = 1;
    r.items = items;
    struct record rec = {.topic = topic_of_slot(S), .offset = offset, .value = pack(w, &r.base)};
    minder_record(w->m, S, &rec, w->now);
}

static const Im__OfflineRecord *bounce(struct world *w, uint64_t *tag)
{
    struct arena_protobuf pb;
    Im__OfflineRecord *o;
    const struct act *a = next(w, SEND);
    assert_int_equal(a->topic, T_OFFLINE);
    assert_int_equal(codec_offline(arena_protobuf_allocator(&pb, w->arena, 1 << 20), a->value, &o), 0);
    assert_int_equal(o->body_case, IM__OFFLINE_RECORD__BODY_BOUNCE);
    if (tag)
        *tag = a->tag;
    return o;
}

static struct id16 member(uint32_t i)
{
    char login[16];
    snprintf(login, sizeof login, "m%u", i);
    return id_user(login);
}

/* Member i has two devices, at handles 100 + 2i and the next. */
static void member_presence(struct world *w, uint32_t handle, bool over)
{
    struct session s = {.user = member((handle - 100) / 2),
                        .device = 1 + handle % 2,
                        .slot = S,
                        .epoch = 50,
                        .handle = handle,
                        .login_offset = handle};
    Im__PresenceRecord r = IM__PRESENCE_RECORD__INIT;
    Im__Session pb;
    uint8_t key[KEY_PRESENCE];
    session_to_pb(&s, &pb);
    r.version = 1;
    r.session = &pb;
    r.login = "m";
    key_presence(&s, key);
    struct slice value = over ? (struct slice){NULL, 0} : pack(w, &r.base);
    assert_int_equal(presence_feed(w->presence, slice_of(key, sizeof key), value), 0);
}

/* An event that is in history, for handles from 100 on; names nobody when they are many. */
static void pointed(struct world *w, int64_t offset, uint64_t seq, uint32_t n)
{
    Im__DeliverRecord r = IM__DELIVER_RECORD__INIT;
    Im__DeliverItem it = IM__DELIVER_ITEM__INIT, *items[1] = {&it};
    uint32_t *handles = arena_alloc(w->arena, n * sizeof *handles), *devices = arena_alloc(w->arena, n * 4);
    uint64_t *logins = arena_alloc(w->arena, n * sizeof *logins);
    struct id16 *users = arena_alloc(w->arena, n * sizeof *users), conv = id_user("some group");
    for (uint32_t i = 0; i < n; i++) {
        handles[i] = 100 + i;
        devices[i] = 1 + i % 2;
        logins[i] = 100 + i;
        users[i] = member(i / 2);
    }
    it.kind = IM__ITEM_KIND__ITEM_POINTED;
    it.frame_type = IM__FRAME_TYPE__CHAT_PUSH;
    it.payload = codec_bytes(slice_of("payload", 7));
    it.n_handles = n;
    it.handles = handles;
    if (n <= CODEC_DETAILED_MAX) {
        it.n_devices = it.n_logins = n;
        it.devices = devices;
        it.logins = logins;
        it.users = (ProtobufCBinaryData){n * ID_SIZE, users[0].b};
    }
    it.conversation = codec_bytes(slice_id(&conv));
    it.seq = seq;
    r.version = 1;
    r.epoch = 50;
    r.n_items = 1;
    r.items = items;
    struct record rec = {.topic = topic_of_slot(S), .offset = offset, .value = pack(w, &r.base)};
    minder_record(w->m, S, &rec, w->now);
}

static void what_is_in_history_goes_back_without_payload(void **state)
{
    struct world *w = *state;
    hold(w, 7);
    pointed(w, 7, 4, 2);
    for (uint32_t device = 1; device <= 2; device++) {
        const Im__OfflineRecord *o = bounce(w, NULL);
        assert_int_equal(o->bounce->session->device, device);
        assert_int_equal(o->bounce->items[0]->seq, 4);
        assert_int_equal(o->bounce->items[0]->payload.len, 0);
    }
    no_more(w);
}

/* Takes the group records of one item and returns how many users they name; each in its partition, once. */
static size_t group_records(struct world *w, uint64_t seq)
{
    size_t users = 0;
    while (w->seen < w->n) {
        struct arena_protobuf pb;
        Im__OfflineRecord *o;
        const struct act *a = next(w, SEND);
        assert_int_equal(a->topic, T_OFFLINE);
        assert_int_equal(codec_offline(arena_protobuf_allocator(&pb, w->arena, 1 << 20), a->value, &o), 0);
        assert_int_equal(o->body_case, IM__OFFLINE_RECORD__BODY_GROUP);
        assert_int_equal(o->group->seq, seq);
        for (size_t i = 0; i < o->group->users.len / ID_SIZE; i++, users++) {
            const uint8_t *id = o->group->users.data + i * ID_SIZE;
            assert_int_equal((topics_murmur2(slice_of(id, ID_SIZE)) & 0x7fffffff) % 3, a->part);
            assert_true(i == 0 || memcmp(id - ID_SIZE, id, ID_SIZE) < 0);
        }
        minder_sent(w->m, a->tag, SENT_OK, w->now);
    }
    return users;
}

static void many_recipients_are_found_by_their_handles(void **state)
{
    struct world *w = *state;
    assert_int_equal(presence_remember(w->presence, 1000), 0);
    for (uint32_t i = 0; i < 100; i++)
        member_presence(w, 100 + i, false);
    for (uint32_t i = 0; i < 60; i++) /* logged in elsewhere, or ended, before the minder came */
        member_presence(w, 100 + i, true);
    hold(w, 7);
    pass(w);
    pointed(w, 7, 4, 100);
    assert_true(w->n - w->seen <= 3); /* per partition, not per user */
    assert_int_equal(group_records(w, 4), 50);
    pointed(w, 8, 5, 120); /* twenty that nobody knows: counted, the others go back */
    assert_int_equal(group_records(w, 5), 50);
    w->now += 2000;
    minder_tick(w->m, w->now);
    assert_int_equal(next(w, COMMIT)->next, 9);
}

static void a_list_that_is_not_acked_is_not_committed(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 0; i < 100; i++)
        member_presence(w, 100 + i, false);
    hold(w, 7);
    pass(w);
    pointed(w, 7, 4, 100);
    pass(w);
    w->now += 2000;
    minder_tick(w->m, w->now);
    no_more(w);
}

static void a_group_that_is_empty_twice_is_joined_after_a_delay(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 5; i++)
        poll(w, MINDER_MEMBERS);
    poll(w, MINDER_EMPTY);
    poll(w, MINDER_UNKNOWN);
    no_more(w);
    poll(w, MINDER_MEMBERS); /* it was a moment only */
    poll(w, MINDER_EMPTY);
    no_more(w);
    for (int i = 0; i < 3; i++)
        poll(w, MINDER_EMPTY);
    assert_int_equal(next(w, JOIN)->slot, S);
    no_more(w);
    assert_false(minder_watches(w->m, S));
}

static void slots_that_were_never_claimed_are_left_alone(void **state)
{
    struct world *w = *state;
    assert_true(minder_watches(w->m, S));
    assert_false(minder_watches(w->m, 0));
    minder_described(w->m, 0, MINDER_EMPTY, w->now);
    assert_false(minder_watches(w->m, 77));
    no_more(w);
}

static void the_epoch_is_expired_and_its_sessions_go(void **state)
{
    struct world *w = *state;
    struct arena_protobuf pb;
    Im__LeaseRecord *l;
    presence(w, 50, 3);
    presence(w, 60, 4); /* of a claim that the lease view has not seen */
    hold(w, 7);
    const struct act *a = &w->acts[w->seen - 1];
    assert_int_equal(codec_lease(arena_protobuf_allocator(&pb, w->arena, 65536), a->value, &l), 0);
    assert_int_equal(l->kind, IM__LEASE_KIND__LEASE_EXPIRE);
    assert_int_equal(l->epoch, 50);
    assert_int_equal(l->slot, S);
    const struct act *t = next(w, SEND);
    assert_int_equal(t->topic, T_PRESENCE);
    assert_int_equal(t->value.n, 0);
    assert_int_equal(((const uint8_t *)t->key.p)[15], 3);
    no_more(w);
}

static void a_released_slot_is_minded_without_expire(void **state)
{
    struct world *w = *state;
    lease_record(w, IM__LEASE_KIND__LEASE_RELEASE, 50, 51);
    for (int i = 0; i < 4; i++)
        poll(w, MINDER_EMPTY);
    next(w, JOIN);
    minder_assigned(w->m, S, 0, w->now);
    no_more(w);
}

static void messages_go_back_and_are_committed_when_acked(void **state)
{
    struct world *w = *state;
    uint64_t expire = hold(w, 7), t[3];
    minder_sent(w->m, expire, SENT_OK, w->now);
    message(w, 7, IM__ITEM_KIND__ITEM_MESSAGE, 1, 2);
    const Im__OfflineRecord *o = bounce(w, &t[0]);
    assert_int_equal(o->bounce->session->epoch, 50);
    assert_int_equal(o->bounce->session->slot, S);
    assert_int_equal(o->bounce->session->handle, 5);
    assert_int_equal(o->bounce->session->login_offset, 5);
    assert_int_equal(o->bounce->n_items, 1);
    assert_int_equal(o->bounce->items[0]->seq, 1);
    o = bounce(w, &t[1]);
    assert_int_equal(o->bounce->session->device, 2);
    message(w, 8, IM__ITEM_KIND__ITEM_EVENT, 1, 1); /* dropped */
    message(w, 9, IM__ITEM_KIND__ITEM_MESSAGE, 2, 1);
    bounce(w, &t[2]);
    minder_sent(w->m, t[2], SENT_OK, w->now);
    minder_sent(w->m, t[0], SENT_OK, w->now);
    w->now += 2000;
    minder_tick(w->m, w->now);
    no_more(w); /* one bounce of the first record is not acked */
    minder_sent(w->m, t[1], SENT_OK, w->now);
    w->now += 2000;
    minder_tick(w->m, w->now);
    assert_int_equal(next(w, COMMIT)->next, 10);
    w->now += 2000;
    minder_tick(w->m, w->now);
    no_more(w);
    w->now += 24 * 3600 * 1000;
    minder_tick(w->m, w->now); /* the broker must not forget it */
    assert_int_equal(next(w, COMMIT)->next, 10);
}

static void a_bounce_that_fails_is_done_by_the_next_holder(void **state)
{
    struct world *w = *state;
    uint64_t t;
    hold(w, 7);
    message(w, 7, IM__ITEM_KIND__ITEM_MESSAGE, 1, 1);
    bounce(w, &t);
    minder_sent(w->m, t, SENT_UNKNOWN, w->now);
    next(w, LEAVE);
    no_more(w); /* nothing committed */
    minder_gone(w->m, S, w->now);
    assert_true(minder_watches(w->m, S));
    poll(w, MINDER_EMPTY);
    poll(w, MINDER_EMPTY);
    no_more(w); /* not at once */
    poll(w, MINDER_EMPTY);
    poll(w, MINDER_EMPTY);
    next(w, JOIN);
}

static void want_and_claim_end_it(void **state)
{
    struct world *w = *state;
    uint64_t t;
    hold(w, 7);
    message(w, 7, IM__ITEM_KIND__ITEM_MESSAGE, 1, 1);
    bounce(w, &t);
    minder_sent(w->m, t, SENT_OK, w->now);
    lease_record(w, IM__LEASE_KIND__LEASE_EXPIRE, 50, 52); /* our own */
    no_more(w);
    lease_record(w, IM__LEASE_KIND__LEASE_WANT, 0, 60);
    assert_int_equal(next(w, COMMIT)->next, 8);
    next(w, LEAVE);
    minder_gone(w->m, S, w->now);
    for (int i = 0; i < 4; i++) /* who wants it gets some time */
        poll(w, MINDER_EMPTY);
    no_more(w);
    lease_record(w, IM__LEASE_KIND__LEASE_CLAIM, 0, 61);
    no_more(w);
    for (int i = 0; i < 6 && w->n == w->seen; i++)
        poll(w, MINDER_EMPTY);
    next(w, JOIN); /* that edge died too */
    lease_record(w, IM__LEASE_KIND__LEASE_CLAIM, 0, 70);
    next(w, LEAVE);
    minder_assigned(w->m, S, 3, w->now); /* too late */
    no_more(w);
    assert_false(minder_holds(w->m, S));
}

static void not_assigned_means_that_another_has_it(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 4; i++)
        poll(w, MINDER_EMPTY);
    next(w, JOIN);
    w->now += 10000;
    minder_tick(w->m, w->now);
    next(w, LEAVE);
    no_more(w);
}

static void losing_it_commits_nothing(void **state)
{
    struct world *w = *state;
    uint64_t t;
    hold(w, 7);
    message(w, 7, IM__ITEM_KIND__ITEM_MESSAGE, 1, 1);
    bounce(w, &t);
    minder_sent(w->m, t, SENT_OK, w->now);
    minder_released(w->m, S, false, w->now);
    next(w, LEAVE);
    no_more(w);
}

static void too_much_in_flight_pauses(void **state)
{
    struct world *w = *state;
    hold(w, 0);
    int64_t offset = 0;
    while (w->n == 0 || w->acts[w->n - 1].what != PAUSE) {
        assert_true(offset < 5000);
        message(w, offset, IM__ITEM_KIND__ITEM_MESSAGE, (uint64_t)offset + 1, 4);
        offset++;
    }
    size_t n = w->n;
    for (size_t i = 0; i < n; i++)
        if (w->acts[i].what == SEND && w->acts[i].topic == T_OFFLINE)
            minder_sent(w->m, w->acts[i].tag, SENT_OK, w->now);
    assert_int_equal(w->acts[n].what, RESUME);
    w->now += 2000;
    minder_tick(w->m, w->now);
    assert_int_equal(w->acts[n + 1].next, offset);
}

static void junk_is_passed_over(void **state)
{
    struct world *w = *state;
    hold(w, 0);
    struct record rec = {.topic = topic_of_slot(S), .offset = 0, .value = slice_of("\xff\xff\xff", 3)};
    minder_record(w->m, S, &rec, w->now);
    w->now += 2000;
    minder_tick(w->m, w->now);
    assert_int_equal(next(w, COMMIT)->next, 1);
}

static void stopping_leaves_everything(void **state)
{
    struct world *w = *state;
    hold(w, 7);
    assert_int_equal(minder_joined(w->m), 1);
    minder_stop(w->m, w->now);
    next(w, LEAVE);
    minder_gone(w->m, S, w->now);
    assert_int_equal(minder_joined(w->m), 0);
    for (int i = 0; i < 8; i++)
        poll(w, MINDER_EMPTY);
    no_more(w);
}

static void sessions_of_past_epochs_are_swept(void **state)
{
    struct world *w = *state;
    lease_record(w, IM__LEASE_KIND__LEASE_CLAIM, 0, 80);
    presence(w, 50, 3);
    presence(w, 80, 4);
    for (int i = 0; i < 7 && w->n == w->seen; i++)
        poll(w, MINDER_MEMBERS);
    const struct act *t = next(w, SEND);
    assert_int_equal(t->topic, T_PRESENCE);
    assert_int_equal(((const uint8_t *)t->key.p)[15], 3);
    no_more(w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_group_that_is_empty_twice_is_joined_after_a_delay),
        T(slots_that_were_never_claimed_are_left_alone),
        T(the_epoch_is_expired_and_its_sessions_go),
        T(a_released_slot_is_minded_without_expire),
        T(messages_go_back_and_are_committed_when_acked),
        T(what_is_in_history_goes_back_without_payload),
        T(many_recipients_are_found_by_their_handles),
        T(a_list_that_is_not_acked_is_not_committed),
        T(a_bounce_that_fails_is_done_by_the_next_holder),
        T(want_and_claim_end_it),
        T(not_assigned_means_that_another_has_it),
        T(losing_it_commits_nothing),
        T(too_much_in_flight_pauses),
        T(junk_is_passed_over),
        T(stopping_leaves_everything),
        T(sessions_of_past_epochs_are_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
