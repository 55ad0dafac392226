#include "common/base/arena_protobuf.h"
#include "common/im/session.h"
#include "fanout/core.h"
#include "tests/unit/convlog.h"
#include "tests/unit/corerun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SLOTS 8

struct world {
    struct arena *arena;
    struct lease *lease;
    struct presence *presence;
    struct fanout_views views;
    struct run run;
    int64_t offset;
    size_t seen; /* sends looked at */
};
static const struct fanout_settings settings = {.cache_bytes = 1 << 20};

static struct slice pack(struct world *w, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = arena_alloc(w->arena, n);
    assert_non_null(p);
    protobuf_c_message_pack(m, p);
    return (struct slice){p, n};
}

static void lease_record(struct world *w, uint32_t slot, Im__LeaseKind kind, uint64_t epoch, int64_t offset)
{
    Im__LeaseRecord r = IM__LEASE_RECORD__INIT;
    uint8_t key[KEY_LEASE];
    r.version = 1;
    r.kind = kind;
    r.slot = slot;
    r.epoch = epoch;
    r.holder = "e";
    r.address = "a";
    key_lease(slot, kind, key);
    assert_int_equal(lease_feed(w->lease, slice_of(key, sizeof key), pack(w, &r.base), offset), 0);
}

/* The user's device is live at (slot, epoch, handle); devices 1 … n exist. */
static struct session live(struct world *w, const char *login, uint32_t device, uint32_t slot,
                           uint32_t handle, uint32_t n_devices)
{
    struct session s = {.user = uid(login),
                        .device = device,
                        .slot = slot,
                        .epoch = 10 + slot,
                        .handle = handle,
                        .login_offset = 100 + handle};
    Im__PresenceRecord r = IM__PRESENCE_RECORD__INIT;
    Im__Session pb;
    uint32_t devices[16];
    uint8_t key[KEY_PRESENCE];
    session_to_pb(&s, &pb);
    for (uint32_t i = 0; i < n_devices; i++)
        devices[i] = i + 1;
    r.version = 1;
    r.session = &pb;
    r.devices = devices;
    r.n_devices = n_devices;
    r.devices_at = s.login_offset;
    r.login = (char *)(uintptr_t)login;
    key_presence(&s, key);
    assert_int_equal(presence_feed(w->presence, slice_of(key, sizeof key), pack(w, &r.base)), 0);
    return s;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->arena = arena_new(0);
    w->lease = lease_new(SLOTS);
    w->presence = presence_new(w->lease);
    w->views = (struct fanout_views){w->presence, w->lease, 2, NULL};
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        lease_record(w, slot, IM__LEASE_KIND__LEASE_CLAIM, 0, 10 + slot);
    run_open(&w->run, &fanout_core, &settings, &w->views, 0, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    run_release(&w->run);
    presence_free(w->presence);
    lease_free(w->lease);
    arena_free(w->arena);
    free(w);
    return 0;
}

static struct record chat(struct world *w, struct chat c)
{
    return chat_record(w->arena, w->offset++, &c);
}

static void one(struct world *w, struct chat c)
{
    struct record r = chat(w, c);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
}

static const struct sent_record *next_send(struct world *w, uint16_t topic)
{
    assert_true(w->seen < w->run.fx.n_sends);
    const struct sent_record *s = &w->run.fx.sends[w->seen++];
    assert_int_equal(s->topic, topic);
    return s;
}

static void no_more(struct world *w)
{
    assert_int_equal(w->run.fx.n_sends, w->seen);
}

/* Between slots there is no order. */
static void bring_forward(struct world *w, uint16_t topic)
{
    struct sent_record *s = w->run.fx.sends;
    size_t i = w->seen;
    while (i < w->run.fx.n_sends && s[i].topic != topic)
        i++;
    if (i < w->run.fx.n_sends) {
        struct sent_record found = s[i];
        memmove(s + w->seen + 1, s + w->seen, (i - w->seen) * sizeof *s);
        s[w->seen] = found;
    }
}

static Im__DeliverRecord *deliver(struct world *w, uint32_t slot)
{
    bring_forward(w, topic_of_slot(slot));
    const struct sent_record *s = next_send(w, topic_of_slot(slot));
    struct arena_protobuf pb;
    Im__DeliverRecord *r;
    assert_int_equal(codec_deliver(arena_protobuf_allocator(&pb, w->arena, 1 << 20), s->value, &r), 0);
    assert_int_equal(r->epoch, 10 + slot);
    return r;
}

static Im__MsgAck *ack(struct world *w, const Im__DeliverItem *item, uint32_t handle)
{
    struct arena_protobuf pb;
    assert_int_equal(item->kind, IM__ITEM_KIND__ITEM_EVENT);
    assert_int_equal(item->frame_type, IM__FRAME_TYPE__MSG_ACK);
    assert_int_equal(item->n_handles, 1);
    assert_int_equal(item->handles[0], handle);
    Im__MsgAck *a = im__msg_ack__unpack(arena_protobuf_allocator(&pb, w->arena, 65536), item->payload.len,
                                        item->payload.data);
    assert_non_null(a);
    return a;
}

static Im__ChatPush *push(struct world *w, ProtobufCBinaryData payload)
{
    struct arena_protobuf pb;
    Im__ChatPush *p =
        im__chat_push__unpack(arena_protobuf_allocator(&pb, w->arena, 65536), payload.len, payload.data);
    assert_non_null(p);
    return p;
}

static Im__OfflineRecord *offline(struct world *w, const char *login)
{
    const struct sent_record *s = next_send(w, T_OFFLINE);
    struct arena_protobuf pb;
    Im__OfflineRecord *r;
    struct id16 user = uid(login);
    assert_int_equal(codec_offline(arena_protobuf_allocator(&pb, w->arena, 1 << 20), s->value, &r), 0);
    assert_int_equal(s->key.n, ID_SIZE);
    assert_memory_equal(s->key.p, user.b, ID_SIZE);
    assert_int_equal(r->body_case, IM__OFFLINE_RECORD__BODY_ITEM);
    return r;
}

/* ---- outcomes ---- */

static void an_accepted_message_is_numbered_acked_and_pushed(void **state)
{
    struct world *w = *state;
    live(w, "anna", 1, 0, 7, 1);
    live(w, "bert", 1, 1, 9, 1);
    one(w, (struct chat){.from = "anna",
                         .to = "bert",
                         .device = 1,
                         .client_seq = 5,
                         .slot = 0,
                         .epoch = 10,
                         .handle = 7,
                         .text = "hi"});
    assert_int_equal(w->run.fx.sends[0].topic, topic_of_slot(1)); /* the message before the outcome */
    Im__DeliverRecord *to_sender = deliver(w, 0);
    assert_int_equal(to_sender->n_items, 1);
    Im__MsgAck *a = ack(w, to_sender->items[0], 7);
    assert_int_equal(a->stage, IM__STAGE__SEQUENCED);
    assert_int_equal(a->seq, 1);
    assert_int_equal(a->client_seq, 5);
    assert_int_equal(a->time_ms, 1000);

    Im__DeliverRecord *to_peer = deliver(w, 1);
    assert_int_equal(to_peer->n_items, 1);
    const Im__DeliverItem *item = to_peer->items[0];
    assert_int_equal(item->kind, IM__ITEM_KIND__ITEM_MESSAGE);
    assert_int_equal(item->seq, 1);
    assert_int_equal(item->n_handles, 1);
    assert_int_equal(item->handles[0], 9);
    assert_int_equal(item->n_devices, 1);
    assert_int_equal(item->devices[0], 1);
    Im__ChatPush *p = push(w, item->payload);
    assert_string_equal(p->text, "hi");
    assert_string_equal(p->sender_login, "anna");
    assert_int_equal(p->seq, 1);
    assert_int_equal(p->client_seq, 5);
    no_more(w);
}

static void a_repeat_gets_the_same_number_and_is_not_pushed_again(void **state)
{
    struct world *w = *state;
    live(w, "anna", 1, 0, 7, 1);
    live(w, "bert", 1, 1, 9, 1);
    const struct chat c = {
        .from = "anna", .to = "bert", .device = 1, .client_seq = 5, .epoch = 10, .handle = 7};
    one(w, c);
    deliver(w, 0);
    deliver(w, 1);
    one(w, c);
    Im__DeliverRecord *r = deliver(w, 0);
    Im__MsgAck *a = ack(w, r->items[0], 7);
    assert_int_equal(a->stage, IM__STAGE__SEQUENCED);
    assert_int_equal(a->seq, 1);
    assert_int_equal(a->time_ms, 1000);
    no_more(w);
}

static void a_stranger_is_refused(void **state)
{
    struct world *w = *state;
    live(w, "anna", 1, 0, 7, 1);
    one(w, (struct chat){.from = "anna",
                         .to = "bert",
                         .device = 1,
                         .client_seq = 5,
                         .epoch = 10,
                         .handle = 7,
                         .stranger = true});
    Im__MsgAck *a = ack(w, deliver(w, 0)->items[0], 7);
    assert_int_equal(a->stage, IM__STAGE__STAGE_REFUSED);
    assert_int_equal(a->code, IM__CODE__NOT_A_MEMBER);
    assert_int_equal(a->seq, 0);
    no_more(w);
}

static void a_number_older_than_the_ring_is_stale(void **state)
{
    struct world *w = *state;
    live(w, "anna", 1, 0, 7, 1);
    live(w, "bert", 1, 1, 9, 1);
    for (uint64_t seq = 1; seq <= CONV_RING + 1; seq++) {
        one(w, (struct chat){
                   .from = "anna", .to = "bert", .device = 1, .client_seq = seq, .epoch = 10, .handle = 7});
        deliver(w, 0);
        deliver(w, 1);
    }
    one(w,
        (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .epoch = 10, .handle = 7});
    Im__MsgAck *a = ack(w, deliver(w, 0)->items[0], 7);
    assert_int_equal(a->stage, IM__STAGE__STAGE_REFUSED);
    assert_int_equal(a->code, IM__CODE__STALE);
    no_more(w);
}

/* ---- who gets it ---- */

static void all_live_devices_but_the_sending_one_get_it(void **state)
{
    struct world *w = *state;
    live(w, "anna", 1, 0, 7, 2);
    live(w, "anna", 2, 2, 8, 2);
    live(w, "bert", 1, 1, 9, 2);
    live(w, "bert", 2, 2, 10, 2);
    one(w,
        (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .epoch = 10, .handle = 7});
    ack(w, deliver(w, 0)->items[0], 7);
    bool slot1 = false, slot2 = false;
    while (w->seen < w->run.fx.n_sends) {
        uint32_t slot = w->run.fx.sends[w->seen].topic - T_DELIVER0;
        Im__DeliverRecord *r = deliver(w, slot);
        size_t handles = 0;
        for (size_t i = 0; i < r->n_items; i++)
            handles += r->items[i]->n_handles;
        assert_int_equal(handles, slot == 1 ? 1 : 2);
        slot1 |= slot == 1;
        slot2 |= slot == 2;
    }
    assert_true(slot1 && slot2);
}

static void who_is_offline_gets_it_later(void **state)
{
    struct world *w = *state;
    live(w, "anna", 1, 0, 7, 1);
    one(w, (struct chat){.from = "anna",
                         .to = "bert",
                         .device = 1,
                         .client_seq = 1,
                         .epoch = 10,
                         .handle = 7,
                         .text = "later"});
    Im__OfflineRecord *o = offline(w, "bert");
    assert_int_equal(o->item->n_served, 0);
    assert_int_equal(o->item->item->seq, 1);
    assert_string_equal(push(w, o->item->item->payload)->text, "later");
    ack(w, deliver(w, 0)->items[0], 7);
    no_more(w);
}

static void a_device_that_is_offline_gets_it_later(void **state)
{
    struct world *w = *state;
    live(w, "anna", 1, 0, 7, 2); /* has another device, which is away */
    live(w, "bert", 2, 1, 9, 3); /* likewise two */
    one(w,
        (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .epoch = 10, .handle = 7});
    for (int i = 0; i < 2; i++) {
        struct id16 anna = uid("anna");
        bool sender = memcmp(w->run.fx.sends[w->seen].key.p, anna.b, ID_SIZE) == 0;
        Im__OfflineRecord *o = offline(w, sender ? "anna" : "bert");
        assert_int_equal(o->item->n_served, 1);
        assert_int_equal(o->item->served[0], sender ? 1 : 2);
    }
    deliver(w, 0);
    deliver(w, 1);
    no_more(w);
}

static void a_dead_epoch_is_not_pushed_to(void **state)
{
    struct world *w = *state;
    live(w, "anna", 1, 0, 7, 1);
    live(w, "bert", 1, 1, 9, 1);
    lease_record(w, 1, IM__LEASE_KIND__LEASE_EXPIRE, 11, 50);
    lease_record(w, 0, IM__LEASE_KIND__LEASE_CLAIM, 0, 60); /* anna's edge is a new one */
    one(w,
        (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .epoch = 10, .handle = 7});
    for (int i = 0; i < 2; i++) {
        struct id16 anna = uid("anna");
        bool sender = memcmp(w->run.fx.sends[w->seen].key.p, anna.b, ID_SIZE) == 0;
        Im__OfflineRecord *o = offline(w, sender ? "anna" : "bert");
        assert_int_equal(o->item->n_served, sender ? 1 : 0);
    }
    no_more(w);
}

/* ---- batches ---- */

static void a_batch_makes_one_record_per_slot(void **state)
{
    struct world *w = *state;
    struct record batch[100];
    live(w, "anna", 1, 0, 7, 1);
    live(w, "bert", 1, 1, 9, 1);
    live(w, "carl", 1, 1, 10, 1);
    for (int i = 0; i < 100; i++)
        batch[i] = chat(w, (struct chat){.from = "anna",
                                         .to = i % 2 ? "bert" : "carl",
                                         .device = 1,
                                         .client_seq = (uint64_t)i + 1,
                                         .epoch = 10,
                                         .handle = 7});
    assert_int_equal(run_batch(&w->run, batch, 100), CORE_OK);
    Im__DeliverRecord *to_sender = deliver(w, 0), *to_peers = deliver(w, 1);
    assert_int_equal(to_sender->n_items, 100);
    assert_int_equal(to_peers->n_items, 100);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(to_peers->items[i]->handles[0], i % 2 ? 9 : 10);
        assert_int_equal(to_peers->items[i]->seq, i / 2 + 1);
    }
    no_more(w);
}

static void a_large_batch_is_split(void **state)
{
    struct world *w = *state;
    static struct record batch[700];
    static char text[1001];
    memset(text, 'x', 1000);
    live(w, "bert", 1, 1, 9, 1);
    for (int i = 0; i < 700; i++)
        batch[i] = chat(
            w, (struct chat){
                   .from = "anna", .to = "bert", .device = 1, .client_seq = (uint64_t)i + 1, .text = text});
    assert_int_equal(run_batch(&w->run, batch, 700), CORE_OK);
    uint64_t seq = 0;
    size_t records = 0;
    for (; w->seen < w->run.fx.n_sends;) {
        if (w->run.fx.sends[w->seen].topic == T_OFFLINE) { /* anna is not here */
            w->seen++;
            continue;
        }
        assert_true(w->run.fx.sends[w->seen].value.n <= 256 * 1024);
        Im__DeliverRecord *r = deliver(w, 1);
        assert_true(r->n_items <= 512);
        for (size_t i = 0; i < r->n_items; i++)
            assert_int_equal(r->items[i]->seq, ++seq);
        records++;
    }
    assert_int_equal(seq, 700);
    assert_true(records >= 3 && records <= 5);
}

static void cells_are_put_once_a_batch(void **state)
{
    struct world *w = *state;
    struct record batch[50];
    for (int i = 0; i < 50; i++)
        batch[i] =
            chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = (uint64_t)i + 1});
    assert_int_equal(run_batch(&w->run, batch, 50), CORE_OK);
    assert_true(HASH_COUNT(w->run.store) <= 8); /* header, two members, a ring, three full blocks */
}

/* ---- what cannot be applied ---- */

static void what_no_version_can_read_is_poison(void **state)
{
    struct world *w = *state;
    struct record batch[3];
    batch[0] = chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1});
    batch[1] = chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 2});
    batch[1].value = (struct slice){"\xff\xff\xff", 3};
    batch[2] = chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 3});
    assert_int_equal(run_batch(&w->run, batch, 3), CORE_OK);
    assert_int_equal(w->run.n_poison, 1);
    w->seen = w->run.fx.n_sends;
    live(w, "bert", 1, 1, 9, 1);
    one(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 4});
    while (w->run.fx.sends[w->seen].topic == T_OFFLINE)
        w->seen++;
    assert_int_equal(deliver(w, 1)->items[0]->seq, 3);
}

static void unknown_rules_stop(void **state)
{
    struct world *w = *state;
    struct record r =
        chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .rules = 999});
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_STOP);
    r = chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .version = 99});
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_STOP);
    no_more(w);
}

static void a_cell_of_a_newer_format_stops(void **state)
{
    struct world *w = *state;
    struct id16 conv = id_direct(uid("anna"), uid("bert"));
    uint8_t key[ID_SIZE + 1] = {0};
    memcpy(key, conv.b, ID_SIZE); /* the header's cell key is one zero byte */
    run_put(&w->run, F_CELL, slice_of(key, sizeof key), slice_of("\x63rest", 5));
    struct record r = chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1});
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_STOP);
}

/* ---- crashes and recoveries ---- */

static void a_replay_gives_the_same_numbers_and_nothing_below_quiet(void **state)
{
    struct world *w = *state;
    struct record batch[10];
    live(w, "bert", 1, 1, 9, 1);
    live(w, "anna", 1, 0, 7, 1);
    for (int i = 0; i < 10; i++)
        batch[i] =
            chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = (uint64_t)i + 1});
    w->run.no_end_effects = true; /* sent, but the cells were never written */
    assert_int_equal(run_batch(&w->run, batch, 10), CORE_OK);
    Im__DeliverRecord *before = deliver(w, 1);
    run_crash(&w->run);
    w->run.no_end_effects = false;
    run_open(&w->run, &fanout_core, &settings, &w->views, 0, 4);
    assert_int_equal(run_batch(&w->run, batch, 10), CORE_OK);
    Im__DeliverRecord *after = deliver(w, 1);
    assert_int_equal(after->n_items, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(after->items[i]->seq, before->items[i + 4]->seq);
    no_more(w);
}

static void cells_that_are_ahead_tell_what_they_decided(void **state)
{
    struct world *w = *state;
    struct record log[8];
    live(w, "anna", 1, 0, 7, 1);
    live(w, "bert", 1, 1, 9, 1);
    for (int i = 0; i < 8; i++) /* a repeat at 2, a refusal at 4 */
        log[i] = chat(w, (struct chat){.from = "anna",
                                       .to = "bert",
                                       .device = 1,
                                       .epoch = 10,
                                       .handle = 7,
                                       .client_seq = i == 2 ? 2 : (uint64_t)i + 1,
                                       .stranger = i == 4});
    /* The persister is at 6; fanout had sent up to 1. */
    struct run persister = {0};
    run_open(&persister, &fanout_core, &settings, &w->views, 0, 100);
    assert_int_equal(run_batch(&persister, log, 6), CORE_OK);
    struct stored *s, *next;
    HASH_ITER (hh, persister.store, s, next)
        run_put(&w->run, s->key[0], slice_of(s->key + 1, s->key_n - 1), slice_of(s->row, s->row_n));
    run_release(&persister);
    uint8_t key[F_DECIDED_KEY], row[F_DECIDED_ROW], ahead[F_AHEAD_ROW];
    fanout_ahead_row(6, ahead);
    run_put(&w->run, F_AHEAD, fanout_ahead_key, slice_of(ahead, sizeof ahead));
    static const int accepted[] = {0, 1, 3, 5};
    for (size_t i = 0; i < 4; i++) {
        fanout_decided_key(accepted[i], key);
        size_t n = fanout_decided_row(i + 1, 1000 + accepted[i], 0, (struct slice){NULL, 0}, row);
        run_put(&w->run, F_DECIDED, slice_of(key, sizeof key), slice_of(row, n));
    }
    run_crash(&w->run);
    run_open(&w->run, &fanout_core, &settings, &w->views, 1, 1);
    assert_int_equal(run_batch(&w->run, log + 1, 7), CORE_OK);
    Im__DeliverRecord *acks = deliver(w, 0), *pushes = deliver(w, 1);
    static const uint64_t acked[] = {2, 2, 3, 0, 4, 5, 6}, pushed[] = {2, 3, 4, 5, 6};
    assert_int_equal(acks->n_items, 7);
    assert_int_equal(pushes->n_items, 5);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(ack(w, acks->items[i], 7)->seq, acked[i]);
    assert_int_equal(ack(w, acks->items[3], 7)->code, IM__CODE__NOT_A_MEMBER);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(pushes->items[i]->seq, pushed[i]);
    fanout_decided_key(5, key);
    assert_null(run_find(&w->run, F_DECIDED, slice_of(key, sizeof key)));
    no_more(w);
}

static void the_cache_is_bounded_and_what_left_comes_back(void **state)
{
    struct world *w = *state;
    static const struct fanout_settings tiny = {.cache_bytes = 1};
    live(w, "bert", 1, 1, 9, 1);
    run_crash(&w->run);
    run_open(&w->run, &fanout_core, &tiny, &w->views, 0, 0);
    for (uint64_t round = 1; round <= 3; round++) {
        for (int i = 0; i < 20; i++) {
            char login[16];
            snprintf(login, sizeof login, "user%d", i);
            one(w, (struct chat){.from = login, .to = "bert", .device = 1, .client_seq = round});
            assert_int_equal(w->run.rounds, round == 1 || i > 1 ? 2 : w->run.rounds); /* had to be loaded */
        }
    }
    for (int i = 0; i < 60; i++) {
        while (w->run.fx.sends[w->seen].topic == T_OFFLINE)
            w->seen++;
        assert_int_equal(deliver(w, 1)->items[0]->seq, i / 20 + 1);
    }
}

static void vault(struct world *w, const struct secrets *secrets, const char *login, const uint8_t *key)
{
    uint8_t sealed[BODY_KEY_SEALED];
    struct id16 user = uid(login);
    Im__VaultRecord v = IM__VAULT_RECORD__INIT;
    Im__BodyKey k = IM__BODY_KEY__INIT, *list[] = {&k};
    v.version = CODEC_VERSION;
    v.user = codec_bytes(slice_id(&user));
    v.erased = !key;
    if (key) {
        assert_true(secret_seal(secrets, user, slice_of(key, BODY_KEY), sealed, sizeof sealed) > 0);
        k.id = 1;
        k.sealed = codec_bytes(slice_of(sealed, sizeof sealed));
        v.verifier = codec_bytes(slice_of("v", 1));
        v.keys = list;
        v.n_keys = 1;
    }
    assert_int_equal(bodykeys_feed(w->views.bodies, slice_id(&user), pack(w, &v.base)), 0);
}

static void what_is_sealed_is_opened_waited_for_or_gone(void **state)
{
    static const uint8_t master[32] = "master", key[BODY_KEY] = "key of anna";
    struct world *w = *state;
    struct secrets *secrets = secrets_from_key(master, 1), *other = secrets_from_key(key, 2);
    w->views.bodies = bodykeys_new(secrets);
    run_crash(&w->run); /* it looks for the keys when it is opened */
    run_open(&w->run, &fanout_core, &settings, &w->views, 0, 0);
    live(w, "bert", 1, 1, 1, 1);
    struct record r =
        chat(w, (struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .key = key});
    struct want want = {.arena = w->run.fx.arena};
    assert_int_equal(w->run.ops->plan(w->run.core, &r, &want), CORE_LATER);
    free(want.keys);
    vault(w, other, "anna", key);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_STOP); /* under a master key that is not here */
    vault(w, secrets, "anna", key);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    const Im__ChatPush *p = push(w, deliver(w, 1)->items[0]->payload);
    assert_string_equal(p->text, "hello");
    assert_int_equal(p->seq, 1);
    assert_false(p->erased);
    vault(w, secrets, "anna", NULL);
    for (uint64_t seq = 2; seq <= 3; seq++) { /* clear ones, too */
        w->seen = w->run.fx.n_sends;
        one(w,
            (struct chat){
                .from = "anna", .to = "bert", .device = 1, .client_seq = seq, .key = seq == 2 ? key : NULL});
        p = push(w, deliver(w, 1)->items[0]->payload);
        assert_string_equal(p->text, "");
        assert_int_equal(p->seq, seq); /* its place is kept */
        assert_true(p->erased);
    }
    run_crash(&w->run);
    bodykeys_free(w->views.bodies);
    secrets_free(secrets);
    secrets_free(other);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_accepted_message_is_numbered_acked_and_pushed),
        T(a_repeat_gets_the_same_number_and_is_not_pushed_again),
        T(a_stranger_is_refused),
        T(a_number_older_than_the_ring_is_stale),
        T(all_live_devices_but_the_sending_one_get_it),
        T(who_is_offline_gets_it_later),
        T(a_device_that_is_offline_gets_it_later),
        T(a_dead_epoch_is_not_pushed_to),
        T(a_batch_makes_one_record_per_slot),
        T(a_large_batch_is_split),
        T(cells_are_put_once_a_batch),
        T(what_no_version_can_read_is_poison),
        T(unknown_rules_stop),
        T(a_cell_of_a_newer_format_stops),
        T(a_replay_gives_the_same_numbers_and_nothing_below_quiet),
        T(cells_that_are_ahead_tell_what_they_decided),
        T(the_cache_is_bounded_and_what_left_comes_back),
        T(what_is_sealed_is_opened_waited_for_or_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
