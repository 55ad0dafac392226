/* offlinerun.h: the offline worker's core with records to give it and what it tells to look at. Include it once per
 * test. */
#ifndef PARLEY_TESTS_OFFLINERUN_H
#define PARLEY_TESTS_OFFLINERUN_H

#include "offline/core.h"
#include "tests/unit/coreworld.h"

static const struct offline_settings settings = {
    .cap_items = 200, .cap_bytes = 1 << 20, .page_items = 10, .page_bytes = 64 << 10, .cache_bytes = 4 << 20};

static inline struct id16 conv(int n)
{
    struct id16 id = {{(uint8_t)n, 0xc0, (uint8_t)(n >> 8)}};
    return id;
}

static inline int setup(void **state)
{
    *state = world_new(&offline_core, &settings);
    return 0;
}

static inline int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* anna's device at slot `device`, logged in at `login` */
static inline struct session sess(uint32_t device, uint64_t login)
{
    return (struct session){.user = uid("anna"),
                            .device = device,
                            .slot = device % SLOTS,
                            .epoch = 10 + device % SLOTS,
                            .handle = (uint32_t)login + 1000,
                            .login_offset = login};
}

static int64_t cursor_offset; /* of the next record of im.cursor */

static inline struct record record_of(struct world *w, struct id16 who, Im__OfflineRecord *m)
{
    struct id16 *user = arena_alloc(w->arena, sizeof *user);
    *user = who;
    m->version = 1;
    m->user = codec_bytes(slice_id(user));
    return (struct record){
        .topic = T_OFFLINE, .offset = w->offset++, .key = slice_id(user), .value = pack(w, &m->base)};
}

static inline struct record record(struct world *w, Im__OfflineRecord *m)
{
    return record_of(w, uid("anna"), m);
}

static inline struct record r_login(struct world *w, struct session s, const uint32_t *devices, size_t n,
                                    bool new_device, bool fresh)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffLogin b = IM__OFF_LOGIN__INIT;
    Im__Session pb;
    session_to_pb(&s, &pb);
    b.session = &pb;
    b.devices = (uint32_t *)(uintptr_t)devices;
    b.n_devices = n;
    b.new_device = new_device;
    b.fresh = fresh;
    m.body_case = IM__OFFLINE_RECORD__BODY_LOGIN;
    m.login = &b;
    return record_of(w, s.user, &m);
}

static inline struct record r_end(struct world *w, struct session s)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffEnd b = IM__OFF_END__INIT;
    Im__Session pb;
    session_to_pb(&s, &pb);
    b.session = &pb;
    m.body_case = IM__OFFLINE_RECORD__BODY_END;
    m.end = &b;
    return record_of(w, s.user, &m);
}

static inline void fill(struct world *w, Im__QueueItem *q, struct id16 *c, int conversation, uint64_t seq,
                        size_t bytes)
{
    Im__ChatPush p = IM__CHAT_PUSH__INIT;
    char *text = arena_alloc(w->arena, bytes + 1);
    memset(text, 'x', bytes);
    text[bytes] = '\0';
    *c = conv(conversation);
    p.conversation = codec_bytes(slice_id(c));
    p.seq = seq;
    p.text = text;
    im__queue_item__init(q);
    q->conversation = p.conversation;
    q->seq = seq;
    q->payload = codec_bytes(pack(w, &p.base));
}

static inline struct record r_item_sized(struct world *w, int conversation, uint64_t seq,
                                         const uint32_t *served, size_t n, size_t bytes)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffItem b = IM__OFF_ITEM__INIT;
    Im__QueueItem q;
    struct id16 c;
    fill(w, &q, &c, conversation, seq, bytes);
    b.item = &q;
    b.served = (uint32_t *)(uintptr_t)served;
    b.n_served = n;
    m.body_case = IM__OFFLINE_RECORD__BODY_ITEM;
    m.item = &b;
    return record(w, &m);
}

static inline struct record r_item(struct world *w, int conversation, uint64_t seq)
{
    return r_item_sized(w, conversation, seq, NULL, 0, 5);
}

static inline struct record r_bounce(struct world *w, struct session s, int conversation, uint64_t seq,
                                     size_t n)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffBounce b = IM__OFF_BOUNCE__INIT;
    Im__QueueItem q[16], *list[16];
    Im__Session pb;
    struct id16 c;
    session_to_pb(&s, &pb);
    for (size_t i = 0; i < n; i++) {
        fill(w, &q[i], &c, conversation, seq + i, 5);
        list[i] = &q[i];
    }
    b.session = &pb;
    b.items = list;
    b.n_items = n;
    m.body_case = IM__OFFLINE_RECORD__BODY_BOUNCE;
    m.bounce = &b;
    return record_of(w, s.user, &m);
}

static inline struct record r_pull(struct world *w, struct session s, uint64_t after, uint32_t limit,
                                   int conversation)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffPull b = IM__OFF_PULL__INIT;
    Im__Session pb;
    struct id16 c = conv(conversation);
    session_to_pb(&s, &pb);
    b.session = &pb;
    b.seq_id = 33;
    b.after = after;
    b.limit = limit;
    if (conversation)
        b.conversation = codec_bytes(slice_id(&c));
    m.body_case = IM__OFFLINE_RECORD__BODY_PULL;
    m.pull = &b;
    return record_of(w, s.user, &m);
}

static inline struct record r_cursor_of(struct world *w, struct id16 user, uint32_t device, int conversation,
                                        uint64_t from, uint64_t upto)
{
    Im__CursorRecord m = IM__CURSOR_RECORD__INIT;
    struct id16 c = conv(conversation);
    m.version = 1;
    m.user = codec_bytes(slice_id(&user));
    m.device = device;
    m.conversation = codec_bytes(slice_id(&c));
    m.from = from;
    m.upto = upto;
    uint8_t *key = arena_alloc(w->arena, KEY_CURSOR);
    key_cursor(user, device, c, key);
    return (struct record){.topic = T_CURSOR,
                           .offset = cursor_offset++,
                           .key = slice_of(key, KEY_CURSOR),
                           .value = pack(w, &m.base)};
}

static inline struct record r_cursor(struct world *w, uint32_t device, int conversation, uint64_t from,
                                     uint64_t upto)
{
    return r_cursor_of(w, uid("anna"), device, conversation, from, upto);
}

static inline void step(struct world *w, const struct record *r, size_t n)
{
    remember(w, r, n);
    assert_int_equal(run_batch(&w->run, r, n), CORE_OK);
}
static inline void one(struct world *w, struct record r)
{
    step(w, &r, 1);
}

static const uint32_t one_device[] = {1}, two_devices[] = {1, 2};

static inline void login(struct world *w, uint32_t device, uint64_t at)
{
    one(w, r_login(w, sess(device, at), two_devices, 2, false, false));
}

static inline Im__DeliverRecord *deliver(struct world *w, struct session to)
{
    struct arena_protobuf pb;
    Im__DeliverRecord *r;
    const struct sent_record *s = next(w, topic_of_slot(to.slot));
    assert_int_equal(codec_deliver(arena_protobuf_allocator(&pb, w->arena, 8 << 20), s->value, &r), 0);
    assert_int_equal(r->epoch, to.epoch);
    for (size_t i = 0; i < r->n_items; i++)
        assert_int_equal(r->items[i]->handles[0], to.handle);
    return r;
}

static inline Im__PullOfflineRsp *page_of(struct world *w, const Im__DeliverItem *it, uint32_t seq_id)
{
    struct arena_protobuf pb;
    assert_int_equal(it->kind, IM__ITEM_KIND__ITEM_REPLY);
    assert_int_equal(it->frame_type, IM__FRAME_TYPE__PULL_OFFLINE_RSP);
    assert_int_equal(it->seq_id, seq_id);
    Im__PullOfflineRsp *p = im__pull_offline_rsp__unpack(arena_protobuf_allocator(&pb, w->arena, 8 << 20),
                                                         it->payload.len, it->payload.data);
    assert_non_null(p);
    return p;
}

static inline Im__PullOfflineRsp *page(struct world *w, struct session to, uint32_t seq_id)
{
    Im__DeliverRecord *r = deliver(w, to);
    assert_int_equal(r->n_items, 1);
    return page_of(w, r->items[0], seq_id);
}

static inline void pushed(struct world *w, struct session to, uint64_t seq)
{
    Im__DeliverRecord *r = deliver(w, to);
    assert_int_equal(r->n_items, 1);
    assert_int_equal(r->items[0]->kind, IM__ITEM_KIND__ITEM_MESSAGE);
    assert_int_equal(r->items[0]->frame_type, IM__FRAME_TYPE__CHAT_PUSH);
    assert_int_equal(r->items[0]->seq, seq);
    assert_int_equal(r->items[0]->logins[0], to.login_offset);
}

static inline size_t rows(const struct world *w, uint8_t table)
{
    size_t n = 0;
    struct stored *s, *next;
    HASH_ITER (hh, w->run.store, s, next)
        n += s->key[0] == table;
    return n;
}

#endif
