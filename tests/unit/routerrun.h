/* routerrun.h: the router's core with records of im.inbound to give it, and what it is to answer. Include it once per
 * test. */
#ifndef PARLEY_TESTS_ROUTERRUN_H
#define PARLEY_TESTS_ROUTERRUN_H

#include "router/account.h"
#include "router/core.h"
#include "tests/unit/coreworld.h"

static struct router_settings settings = {.cache_bytes = 1 << 20,
                                          .recall_limit_ms = 119001,
                                          .group_cap = 100,
                                          .receipt_cap = 7,
                                          .strangers_refused = true};

/* From then on registrations and logins bring body keys, and what is said is sealed. */
static inline int with_seals(void **state)
{
    static const uint8_t key[32] = "the master key of tests";
    (void)state;
    settings.seal = true;
    settings.secrets = secrets_from_key(key, 7);
    return settings.secrets ? 0 : -1;
}

static inline int without_seals(void **state)
{
    (void)state;
    secrets_free((struct secrets *)(uintptr_t)settings.secrets);
    settings.secrets = NULL;
    settings.seal = false;
    return 0;
}

static inline ProtobufCBinaryData body_key(struct world *w, const char *login)
{
    uint8_t *key = settings.secrets ? arena_alloc(w->arena, BODY_KEY_SEALED) : NULL;
    if (key)
        body_key_make(settings.secrets, uid(login), key);
    return (ProtobufCBinaryData){key ? BODY_KEY_SEALED : 0, key};
}

static inline int setup(void **state)
{
    struct world *w = world_new(&router_core, &settings);
    w->offset = 1000;
    w->time_ms = 5000;
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static inline struct session conn(uint32_t slot, uint32_t handle)
{
    return (struct session){.slot = slot, .epoch = 10 + slot, .handle = handle};
}

static inline struct record record(struct world *w, const char *login, const struct session *from,
                                   Im__Inbound *m)
{
    struct id16 *user = arena_alloc(w->arena, sizeof *user);
    Im__Session s;
    *user = uid(login);
    session_to_pb(from, &s);
    m->version = 1;
    m->session = &s;
    m->seq_id = 77;
    struct record r = {
        .topic = T_INBOUND, .offset = w->offset++, .time_ms = w->time_ms, .key = slice_id(user)};
    r.value = pack(w, &m->base);
    return r;
}

static inline struct record r_register(struct world *w, const char *login)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InRegister b = IM__IN_REGISTER__INIT;
    struct session from = conn(0, 1);
    b.login = (char *)(uintptr_t)login;
    b.display_name = "Somebody";
    b.verifier = codec_bytes(slice_of("\1\0\0\0\7sealed", 11));
    b.body_key = body_key(w, login);
    m.body_case = IM__INBOUND__BODY_REGISTER_;
    m.register_ = &b;
    return record(w, login, &from, &m);
}

static inline struct record r_lookup(struct world *w, const char *login, bool want)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InLookup b = IM__IN_LOOKUP__INIT;
    struct session from = conn(0, 1);
    b.want_verifier = want;
    b.purpose = 9;
    m.body_case = IM__INBOUND__BODY_LOOKUP;
    m.lookup = &b;
    return record(w, login, &from, &m);
}

static inline struct record r_login(struct world *w, const char *login, const char *device,
                                    struct session from)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InLogin b = IM__IN_LOGIN__INIT;
    b.device_id = (char *)(uintptr_t)device;
    b.device_class = "phone";
    b.body_key = body_key(w, login);
    m.body_case = IM__INBOUND__BODY_LOGIN;
    m.login = &b;
    return record(w, login, &from, &m);
}

static inline struct record r_token(struct world *w, const char *login, const char *device, uint32_t number,
                                    uint64_t generation, struct session from)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InLogin b = IM__IN_LOGIN__INIT;
    b.device_id = (char *)(uintptr_t)device;
    b.token_device = number;
    b.token_generation = generation;
    m.body_case = IM__INBOUND__BODY_LOGIN;
    m.login = &b;
    return record(w, login, &from, &m);
}

static inline struct session of_user(const char *login, struct session s, uint32_t device, int64_t at)
{
    s.user = uid(login);
    s.device = device;
    s.login_offset = (uint64_t)at;
    return s;
}

static inline struct record r_end(struct world *w, const char *login, struct session s)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InEnd b = IM__IN_END__INIT;
    m.body_case = IM__INBOUND__BODY_END;
    m.end = &b;
    s.user = uid(login);
    return record(w, login, &s, &m);
}

static inline struct record r_chat(struct world *w, const char *login, struct session s, const char *to,
                                   uint64_t seq)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InChat b = IM__IN_CHAT__INIT;
    Im__Body body = IM__BODY__INIT;
    struct id16 me = uid(login), peer = uid(to), conv = id_direct(me, peer);
    struct id16 msg = id_message(me, s.device, seq);
    b.conversation = codec_bytes(slice_id(&conv));
    b.msg_id = codec_bytes(slice_id(&msg));
    b.peer = codec_bytes(slice_id(&peer));
    b.peer_login = (char *)(uintptr_t)to;
    b.client_seq = seq;
    body.text = "hello";
    b.body = &body;
    m.body_case = IM__INBOUND__BODY_CHAT;
    m.chat = &b;
    s.user = me;
    return record(w, login, &s, &m);
}

static inline struct record r_receipt(struct world *w, const char *login, struct session s, struct id16 conv,
                                      uint64_t read)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InReceipt b = IM__IN_RECEIPT__INIT;
    b.conversation = codec_bytes(slice_id(&conv));
    b.read = read;
    b.delivered = read + 1;
    m.body_case = IM__INBOUND__BODY_RECEIPT;
    m.receipt = &b;
    s.user = uid(login);
    return record(w, login, &s, &m);
}

static inline struct record r_signal(struct world *w, const char *login, struct session s, struct id16 conv)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InSignal b = IM__IN_SIGNAL__INIT;
    b.conversation = codec_bytes(slice_id(&conv));
    b.stopped = true;
    m.body_case = IM__INBOUND__BODY_SIGNAL;
    m.signal = &b;
    s.user = uid(login);
    return record(w, login, &s, &m);
}

/* device 0: all of them */
static inline struct record r_revoke(struct world *w, const char *login, struct session s, uint32_t device,
                                     bool keep)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InRevoke b = IM__IN_REVOKE__INIT;
    b.device = device;
    b.all = device == 0;
    b.keep_current = keep;
    m.body_case = IM__INBOUND__BODY_REVOKE;
    m.revoke = &b;
    return record(w, login, &s, &m);
}

static inline struct record r_profile(struct world *w, const char *login, struct session s, const char *name)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InProfile b = IM__IN_PROFILE__INIT;
    b.display_name = (char *)(uintptr_t)name;
    b.presence = IM__PRIVACY__FRIENDS;
    m.body_case = IM__INBOUND__BODY_PROFILE;
    m.profile = &b;
    s.user = uid(login);
    return record(w, login, &s, &m);
}

static inline struct record r_prefs(struct world *w, const char *login, struct session s, struct id16 conv)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InPrefs b = IM__IN_PREFS__INIT;
    b.conversation = codec_bytes(slice_id(&conv));
    b.pinned = true;
    b.remark = "the neighbour";
    b.mask = IM__PREFS_MARK__PREFS_PINNED | IM__PREFS_MARK__PREFS_REMARK;
    m.body_case = IM__INBOUND__BODY_PREFS;
    m.prefs = &b;
    s.user = uid(login);
    return record(w, login, &s, &m);
}

static inline struct session the_operator(void)
{
    return (struct session){.slot = UINT32_MAX};
}

static inline struct record r_admin(struct world *w, const char *login, struct session s, bool on)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InAdmin b = IM__IN_ADMIN__INIT;
    b.on = on;
    m.body_case = IM__INBOUND__BODY_ADMIN;
    m.admin = &b;
    return record(w, login, &s, &m);
}

static inline struct record r_erase(struct world *w, const char *login, struct session s)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InErase b = IM__IN_ERASE__INIT;
    m.body_case = IM__INBOUND__BODY_ERASE;
    m.erase = &b;
    return record(w, login, &s, &m);
}

static inline struct record r_pull(struct world *w, const char *login, struct session s)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InPull b = IM__IN_PULL__INIT;
    b.after = 42;
    b.limit = 7;
    m.body_case = IM__INBOUND__BODY_PULL;
    m.pull = &b;
    s.user = uid(login);
    return record(w, login, &s, &m);
}

static inline void step(struct world *w, const struct record *r, size_t n)
{
    remember(w, r, n);
    assert_int_equal(run_batch(&w->run, r, n), CORE_OK);
}

static inline int64_t one(struct world *w, struct record r)
{
    step(w, &r, 1);
    ack(w);
    return r.offset;
}

static inline const Im__DeliverItem *item(struct world *w, uint32_t slot, Im__ItemKind kind)
{
    const struct sent_record *s = next(w, topic_of_slot(slot));
    Im__DeliverRecord *r;
    DECODE(w, deliver, s->value, &r);
    assert_int_equal(r->epoch, 10 + slot);
    assert_int_equal(r->n_items, 1);
    assert_int_equal(r->items[0]->kind, kind);
    return r->items[0];
}

static inline const Im__LoginVerdict *verdict(struct world *w, uint32_t slot)
{
    Im__LoginVerdict *v;
    const Im__DeliverItem *it = item(w, slot, IM__ITEM_KIND__ITEM_LOGIN);
    assert_int_equal(it->seq_id, 77);
    DECODE(w, verdict, codec_slice(it->payload), &v);
    return v;
}

static inline const Im__UserRecord *user_rec(struct world *w, Im__UserKind kind)
{
    Im__UserRecord *u;
    DECODE(w, user, next(w, T_USER)->value, &u);
    assert_int_equal(u->kind, kind);
    return u;
}

static inline const Im__PresenceRecord *presence(struct world *w)
{
    Im__PresenceRecord *p;
    DECODE(w, presence, next(w, T_PRESENCE)->value, &p);
    return p;
}

static inline void tombstone(struct world *w, struct session of)
{
    const struct sent_record *s = next(w, T_PRESENCE);
    uint8_t key[KEY_PRESENCE];
    key_presence(&of, key);
    assert_int_equal(s->value.n, 0);
    assert_int_equal(s->key.n, sizeof key);
    assert_memory_equal(s->key.p, key, sizeof key);
}

static inline const Im__OfflineRecord *offline(struct world *w, Im__OfflineRecord__BodyCase body)
{
    Im__OfflineRecord *o;
    DECODE(w, offline, next(w, T_OFFLINE)->value, &o);
    assert_int_equal(o->body_case, body);
    return o;
}

/* The code of an answer to a frame: field 1 of each of them. */
static inline int answer(struct world *w, uint32_t slot, Im__FrameType type)
{
    const Im__DeliverItem *it = item(w, slot, IM__ITEM_KIND__ITEM_REPLY);
    assert_int_equal(it->frame_type, type);
    assert_int_equal(it->seq_id, 77);
    Im__ProfileRsp *r = im__profile_rsp__unpack(NULL, it->payload.len, it->payload.data);
    int code = (int)r->code;
    im__profile_rsp__free_unpacked(r, NULL);
    return code;
}

static inline void kick(struct world *w, struct session of, Im__Code why)
{
    const Im__DeliverItem *it = item(w, of.slot, IM__ITEM_KIND__ITEM_KICK);
    Im__Kicked *k = im__kicked__unpack(NULL, it->payload.len, it->payload.data);
    assert_int_equal(k->code, why);
    assert_int_equal(it->handles[0], of.handle);
    assert_int_equal(it->logins[0], of.login_offset);
    im__kicked__free_unpacked(k, NULL);
}

static inline int register_code(struct world *w)
{
    const Im__DeliverItem *it = item(w, 0, IM__ITEM_KIND__ITEM_REPLY);
    assert_int_equal(it->frame_type, IM__FRAME_TYPE__REGISTER_RSP);
    Im__RegisterRsp *r = im__register_rsp__unpack(NULL, it->payload.len, it->payload.data);
    int code = (int)r->code;
    im__register_rsp__free_unpacked(r, NULL);
    return code;
}

static inline Im__ConvRecord *conv_rec(struct world *w)
{
    struct arena_protobuf pb;
    const struct sent_record *s = next(w, T_CONVERSATION);
    Im__ConvRecord *c =
        im__conv_record__unpack(arena_protobuf_allocator(&pb, w->arena, 1 << 20), s->value.n, s->value.p);
    assert_non_null(c);
    assert_memory_equal(s->key.p, c->conversation.data, ID_SIZE);
    return c;
}

static inline const char *add(struct world *w, const char *login)
{
    one(w, r_register(w, login));
    pass(w);
    return login;
}

/* Logged in, and everything about it looked at. */
static inline struct session enter(struct world *w, const char *login, const char *device, struct session s,
                                   uint32_t number)
{
    int64_t at = one(w, r_login(w, login, device, s));
    pass(w);
    return of_user(login, s, number, at);
}

#endif
