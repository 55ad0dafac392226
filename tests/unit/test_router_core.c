#include "common/base/arena_protobuf.h"
#include "common/im/codec.h"
#include "common/im/conv.h"
#include "common/im/lease.h"
#include "common/im/presence.h"
#include "common/im/topics.h"
#include "router/account.h"
#include "router/core.h"
#include "router/rebuild.h"
#include "tests/unit/corerun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SLOTS 4

static const struct router_settings settings = {
    .cache_bytes = 1 << 20, .recall_limit_ms = 120000, .group_cap = 100};

struct world {
    struct arena *arena;
    struct lease *lease;
    struct run run;
    int64_t offset;
    size_t seen; /* sends looked at */
    size_t told; /* sends reported */
};

static struct id16 uid(const char *login)
{
    return id_user(login);
}

static struct slice pack(struct world *w, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = arena_alloc(w->arena, n);
    assert_non_null(p);
    protobuf_c_message_pack(m, p);
    return slice_of(p, n);
}

static void lease_record(struct world *w, uint32_t slot, Im__LeaseKind kind, uint64_t epoch, int64_t offset)
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

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->arena = arena_new(0);
    w->lease = lease_new(SLOTS);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        lease_record(w, slot, IM__LEASE_KIND__LEASE_CLAIM, 0, 10 + slot);
    run_open(&w->run, &router_core, &settings, w->lease, 0, 0);
    w->offset = 1000;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    run_release(&w->run);
    lease_free(w->lease);
    arena_free(w->arena);
    free(w);
    return 0;
}

static struct session conn(uint32_t slot, uint32_t handle)
{
    return (struct session){.slot = slot, .epoch = 10 + slot, .handle = handle};
}

static struct record record(struct world *w, const char *login, const struct session *from, Im__Inbound *m)
{
    struct id16 *user = arena_alloc(w->arena, sizeof *user);
    Im__Session s;
    *user = uid(login);
    session_to_pb(from, &s);
    m->version = 1;
    m->session = &s;
    m->seq_id = 77;
    struct record r = {.topic = T_INBOUND, .offset = w->offset++, .time_ms = 5000, .key = slice_id(user)};
    r.value = pack(w, &m->base);
    return r;
}

static struct record r_register(struct world *w, const char *login)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InRegister b = IM__IN_REGISTER__INIT;
    struct session from = conn(0, 1);
    b.login = (char *)(uintptr_t)login;
    b.display_name = "Somebody";
    b.verifier = codec_bytes(slice_of("\1\0\0\0\7sealed", 11));
    m.body_case = IM__INBOUND__BODY_REGISTER_;
    m.register_ = &b;
    return record(w, login, &from, &m);
}

static struct record r_lookup(struct world *w, const char *login, bool want)
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

static struct record r_login(struct world *w, const char *login, const char *device, struct session from)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InLogin b = IM__IN_LOGIN__INIT;
    b.device_id = (char *)(uintptr_t)device;
    b.device_class = "phone";
    m.body_case = IM__INBOUND__BODY_LOGIN;
    m.login = &b;
    return record(w, login, &from, &m);
}

static struct record r_token(struct world *w, const char *login, const char *device, uint32_t number,
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

static struct session of_user(const char *login, struct session s, uint32_t device, int64_t at)
{
    s.user = uid(login);
    s.device = device;
    s.login_offset = (uint64_t)at;
    return s;
}

static struct record r_end(struct world *w, const char *login, struct session s)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InEnd b = IM__IN_END__INIT;
    m.body_case = IM__INBOUND__BODY_END;
    m.end = &b;
    s.user = uid(login);
    return record(w, login, &s, &m);
}

static struct record r_chat(struct world *w, const char *login, struct session s, const char *to,
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

static struct record r_pull(struct world *w, const char *login, struct session s)
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

static void step(struct world *w, const struct record *r, size_t n)
{
    assert_int_equal(run_batch(&w->run, r, n), CORE_OK);
}

/* Acks everything that waits for it. */
static void ack(struct world *w)
{
    for (; w->told < w->run.fx.n_sends; w->told++)
        if (w->run.fx.sends[w->told].tag)
            w->run.ops->sent(w->run.core, w->run.fx.sends[w->told].tag, SENT_OK, &w->run.fx);
}

static int64_t one(struct world *w, struct record r)
{
    step(w, &r, 1);
    ack(w);
    return r.offset;
}

static const struct sent_record *next(struct world *w, uint16_t topic)
{
    assert_true(w->seen < w->run.fx.n_sends);
    const struct sent_record *s = &w->run.fx.sends[w->seen++];
    assert_int_equal(s->topic, topic);
    return s;
}

static void no_more(struct world *w)
{
    assert_int_equal(w->seen, w->run.fx.n_sends);
}
static void pass(struct world *w)
{
    w->seen = w->run.fx.n_sends;
}

#define DECODE(w, what, slice_, out)                                                                         \
    do {                                                                                                     \
        struct arena_protobuf pb_;                                                                           \
        assert_int_equal(codec_##what(arena_protobuf_allocator(&pb_, (w)->arena, 1 << 20), slice_, out), 0); \
    } while (0)

static const Im__DeliverItem *item(struct world *w, uint32_t slot, Im__ItemKind kind)
{
    const struct sent_record *s = next(w, topic_of_slot(slot));
    Im__DeliverRecord *r;
    DECODE(w, deliver, s->value, &r);
    assert_int_equal(r->epoch, 10 + slot);
    assert_int_equal(r->n_items, 1);
    assert_int_equal(r->items[0]->kind, kind);
    return r->items[0];
}

static const Im__LoginVerdict *verdict(struct world *w, uint32_t slot)
{
    Im__LoginVerdict *v;
    const Im__DeliverItem *it = item(w, slot, IM__ITEM_KIND__ITEM_LOGIN);
    assert_int_equal(it->seq_id, 77);
    DECODE(w, verdict, codec_slice(it->payload), &v);
    return v;
}

static const Im__UserRecord *user_rec(struct world *w, Im__UserKind kind)
{
    Im__UserRecord *u;
    DECODE(w, user, next(w, T_USER)->value, &u);
    assert_int_equal(u->kind, kind);
    return u;
}

static const Im__PresenceRecord *presence(struct world *w)
{
    Im__PresenceRecord *p;
    DECODE(w, presence, next(w, T_PRESENCE)->value, &p);
    return p;
}

static void tombstone(struct world *w, struct session of)
{
    const struct sent_record *s = next(w, T_PRESENCE);
    uint8_t key[KEY_PRESENCE];
    key_presence(&of, key);
    assert_int_equal(s->value.n, 0);
    assert_int_equal(s->key.n, sizeof key);
    assert_memory_equal(s->key.p, key, sizeof key);
}

static const Im__OfflineRecord *offline(struct world *w, Im__OfflineRecord__BodyCase body)
{
    Im__OfflineRecord *o;
    DECODE(w, offline, next(w, T_OFFLINE)->value, &o);
    assert_int_equal(o->body_case, body);
    return o;
}

static int register_code(struct world *w)
{
    const Im__DeliverItem *it = item(w, 0, IM__ITEM_KIND__ITEM_REPLY);
    assert_int_equal(it->frame_type, IM__FRAME_TYPE__REGISTER_RSP);
    Im__RegisterRsp *r = im__register_rsp__unpack(NULL, it->payload.len, it->payload.data);
    int code = (int)r->code;
    im__register_rsp__free_unpacked(r, NULL);
    return code;
}

static const char *add(struct world *w, const char *login)
{
    one(w, r_register(w, login));
    pass(w);
    return login;
}

/* ---- registration and look-up ---- */

static void the_first_registration_wins(void **state)
{
    struct world *w = *state;
    one(w, r_register(w, "anna"));
    const Im__UserRecord *u = user_rec(w, IM__USER_KIND__USER_REGISTERED);
    assert_string_equal(u->login, "anna");
    assert_int_equal(u->source_offset, 1000);
    Im__VaultRecord *v;
    DECODE(w, vault, next(w, T_VAULT)->value, &v);
    assert_int_equal(v->master_key, 7);
    assert_int_equal(v->verifier.len, 11);
    assert_int_equal(register_code(w), IM__CODE__OK);
    one(w, r_register(w, "anna"));
    assert_int_equal(register_code(w), IM__CODE__ACCOUNT_EXISTS);
    no_more(w);
}

static void the_same_registration_again_is_ok_again(void **state)
{
    struct world *w = *state;
    struct record r = r_register(w, "anna");
    one(w, r);
    pass(w);
    one(w, r);
    user_rec(w, IM__USER_KIND__USER_REGISTERED);
    next(w, T_VAULT);
    assert_int_equal(register_code(w), IM__CODE__OK);
}

static void a_name_under_a_strange_key_is_poison(void **state)
{
    struct world *w = *state;
    struct record r = r_register(w, "anna");
    struct id16 other = uid("bert");
    r.key = slice_id(&other);
    step(w, &r, 1);
    r.key = slice_of("short", 5);
    step(w, &r, 1);
    r.value = slice_of("\xff\xff", 2);
    step(w, &r, 1);
    assert_int_equal(w->run.n_poison, 3);
    no_more(w);
}

static void a_lookup_tells_what_there_is(void **state)
{
    struct world *w = *state;
    Im__LookupReply *l;
    one(w, r_lookup(w, "anna", true));
    DECODE(w, lookup, codec_slice(item(w, 0, IM__ITEM_KIND__ITEM_LOOKUP)->payload), &l);
    assert_false(l->exists);
    assert_int_equal(l->verifier.len, 0);
    assert_int_equal(l->purpose, 9);
    add(w, "anna");
    one(w, r_lookup(w, "anna", true));
    DECODE(w, lookup, codec_slice(item(w, 0, IM__ITEM_KIND__ITEM_LOOKUP)->payload), &l);
    assert_true(l->exists);
    assert_string_equal(l->login, "anna");
    assert_int_equal(l->verifier.len, 11);
    one(w, r_lookup(w, "anna", false));
    DECODE(w, lookup, codec_slice(item(w, 0, IM__ITEM_KIND__ITEM_LOOKUP)->payload), &l);
    assert_int_equal(l->verifier.len, 0);
}

/* ---- logins ---- */

static void nothing_is_said_before_the_verdict_is_in_the_log(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct record r = r_login(w, "anna", "phone", conn(1, 5));
    step(w, &r, 1);
    const Im__UserRecord *u = user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    assert_int_equal(u->device, 1);
    assert_string_equal(u->device_id, "phone");
    const Im__LoginVerdict *v = verdict(w, 1);
    assert_int_equal(v->code, IM__CODE__OK);
    assert_int_equal(v->device, 1);
    assert_true(v->new_device);
    assert_int_equal(v->login_offset, r.offset);
    no_more(w);
    ack(w);
    const Im__PresenceRecord *p = presence(w);
    assert_int_equal(p->session->handle, 5);
    assert_int_equal(p->session->login_offset, r.offset);
    assert_int_equal(p->n_devices, 1);
    assert_int_equal(p->devices_at, r.offset);
    assert_string_equal(p->login, "anna");
    const Im__OfflineRecord *o = offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    assert_true(o->login->new_device);
    assert_int_equal(o->login->n_devices, 1);
    no_more(w);
}

static void the_later_login_of_a_device_wins(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t first = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    one(w, r_login(w, "anna", "phone", conn(2, 6)));
    assert_false(verdict(w, 2)->new_device);
    assert_int_equal(presence(w)->session->slot, 2);
    tombstone(w, of_user("anna", conn(1, 5), 1, first));
    const Im__DeliverItem *kick = item(w, 1, IM__ITEM_KIND__ITEM_KICK);
    assert_int_equal(kick->handles[0], 5);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    no_more(w);
    /* The end of the old connection ends nothing. */
    one(w, r_end(w, "anna", of_user("anna", conn(1, 5), 1, first)));
    no_more(w);
}

static void two_logins_in_one_batch_keep_their_order(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct record r[3] = {
        r_login(w, "anna", "phone", conn(1, 5)), r_login(w, "anna", "phone", conn(2, 6)), {0}};
    r[2] = r_end(w, "anna", conn(2, 6));
    step(w, r, 3);
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    verdict(w, 1);
    verdict(w, 2);
    no_more(w);
    /* The second verdict is acked first: it waits for the first. */
    uint64_t tag1 = w->run.fx.sends[w->seen - 2].tag, tag2 = w->run.fx.sends[w->seen - 1].tag;
    w->run.ops->sent(w->run.core, tag2, SENT_OK, &w->run.fx);
    no_more(w);
    w->run.ops->sent(w->run.core, tag1, SENT_OK, &w->run.fx);
    assert_int_equal(presence(w)->session->slot, 1);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    assert_int_equal(presence(w)->session->slot, 2);
    tombstone(w, of_user("anna", conn(1, 5), 1, r[0].offset));
    item(w, 1, IM__ITEM_KIND__ITEM_KICK);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    tombstone(w, of_user("anna", conn(2, 6), 1, r[1].offset));
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    no_more(w);
}

static void a_new_device_is_told_to_the_others(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    int64_t at = one(w, r_login(w, "anna", "desktop", conn(2, 6)));
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    assert_int_equal(verdict(w, 2)->device, 2);
    assert_int_equal(presence(w)->session->handle, 6);
    const Im__PresenceRecord *other = presence(w);
    assert_int_equal(other->session->handle, 5);
    assert_int_equal(other->n_devices, 2);
    assert_int_equal(other->devices_at, at);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    no_more(w);
}

static void the_same_login_again_gives_the_same_device(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct record r = r_login(w, "anna", "phone", conn(1, 5));
    one(w, r);
    pass(w);
    one(w, r);
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    const Im__LoginVerdict *v = verdict(w, 1);
    assert_int_equal(v->device, 1);
    assert_true(v->new_device);
    presence(w);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    no_more(w);
}

static void an_earlier_login_again_does_not_come_back(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct record r = r_login(w, "anna", "phone", conn(1, 5));
    one(w, r);
    one(w, r_login(w, "anna", "phone", conn(2, 6)));
    pass(w);
    one(w, r);
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    assert_int_equal(verdict(w, 1)->code, IM__CODE__OK);
    tombstone(w, of_user("anna", conn(1, 5), 1, r.offset));
    item(w, 1, IM__ITEM_KIND__ITEM_KICK);
    assert_int_equal(presence(w)->session->handle, 6); /* what devices there are */
    no_more(w);
}

static void tokens_are_for_their_device_and_generation(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    one(w, r_token(w, "anna", "phone", 1, 1, conn(1, 6)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__OK);
    pass(w);
    one(w, r_token(w, "anna", "phone", 1, 0, conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__SESSION_REVOKED);
    one(w, r_token(w, "anna", "phone", 2, 1, conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__SESSION_REVOKED);
    one(w, r_token(w, "anna", "other", 1, 1, conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__BAD_TOKEN);
    one(w, r_login(w, "nobody", "phone", conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__BAD_CREDENTIALS);
    no_more(w);
}

static void the_seventeenth_device_drops_the_oldest_idle_one(void **state)
{
    struct world *w = *state;
    char name[16];
    add(w, "anna");
    for (uint32_t i = 1; i <= 16; i++) {
        snprintf(name, sizeof name, "d%u", i);
        one(w, r_login(w, "anna", name, conn(1, i)));
    }
    pass(w);
    one(w, r_login(w, "anna", "d17", conn(1, 17)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__TOO_MANY_DEVICES);
    one(w, r_end(w, "anna", conn(1, 3)));
    pass(w);
    one(w, r_login(w, "anna", "d17", conn(1, 17)));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 17);
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_DROPPED)->device, 3);
    assert_int_equal(verdict(w, 1)->device, 17);
    pass(w);
    /* The dropped one comes back as another. */
    one(w, r_end(w, "anna", conn(1, 4)));
    pass(w);
    one(w, r_login(w, "anna", "d3", conn(1, 30)));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 18);
}

static void a_login_at_a_dead_edge_makes_the_device_but_no_session(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    one(w, r_login(w, "anna", "desktop", conn(2, 1)));
    lease_record(w, 1, IM__LEASE_KIND__LEASE_EXPIRE, 11, 100);
    pass(w);
    one(w, r_login(w, "anna", "phone", conn(1, 5)));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 2);
    const Im__PresenceRecord *p = presence(w); /* of the desktop: it must name the phone */
    assert_int_equal(p->session->slot, 2);
    assert_int_equal(p->n_devices, 2);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    no_more(w);
    /* An epoch that this view has not heard of yet is alive. */
    struct session s = conn(1, 6);
    s.epoch = 999;
    one(w, r_login(w, "anna", "phone", s));
    assert_int_equal(w->run.fx.sends[w->seen].topic, topic_of_slot(1));
}

static void an_end_clears_the_session(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t at = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    one(w, r_end(w, "anna", conn(1, 5))); /* the edge may not know the verdict */
    tombstone(w, of_user("anna", conn(1, 5), 1, at));
    const Im__OfflineRecord *o = offline(w, IM__OFFLINE_RECORD__BODY_END);
    assert_int_equal(o->end->session->device, 1);
    assert_int_equal(o->end->session->login_offset, at);
    no_more(w);
    /* Again, fully named: says it again, for whoever missed it. */
    one(w, r_end(w, "anna", of_user("anna", conn(1, 5), 1, at)));
    tombstone(w, of_user("anna", conn(1, 5), 1, at));
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    no_more(w);
}

/* ---- messages ---- */

static void a_message_becomes_a_conversation_record(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t at = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    int64_t source = one(w, r_chat(w, "anna", of_user("anna", conn(1, 5), 1, at), "bert", 3));
    const struct sent_record *s = next(w, T_CONVERSATION);
    struct id16 conv = id_direct(uid("anna"), uid("bert")), msg = id_message(uid("anna"), 1, 3);
    assert_memory_equal(s->key.p, conv.b, ID_SIZE);
    Im__ConvRecord *c = im__conv_record__unpack(NULL, s->value.n, s->value.p);
    assert_non_null(c);
    assert_int_equal(c->rules, CONV_RULES);
    assert_int_equal(c->device, 1);
    assert_int_equal(c->source_offset, source);
    assert_int_equal(c->settings->recall_limit_s, 120);
    assert_int_equal(c->settings->group_cap, 100);
    assert_int_equal(c->origin->handle, 5);
    assert_string_equal(c->user_login, "anna");
    assert_string_equal(c->body->text, "hello");
    assert_memory_equal(c->msg_id.data, msg.b, ID_SIZE);
    im__conv_record__free_unpacked(c, NULL);
    no_more(w);
}

static void a_replaced_session_may_still_speak(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t at = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    one(w, r_login(w, "anna", "phone", conn(2, 6)));
    pass(w);
    one(w, r_chat(w, "anna", of_user("anna", conn(1, 5), 1, at), "bert", 3));
    next(w, T_CONVERSATION);
}

static void a_dropped_device_may_not(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    one(w, r_chat(w, "anna", of_user("anna", conn(1, 5), 4, 1), "bert", 3));
    const Im__DeliverItem *it = item(w, 1, IM__ITEM_KIND__ITEM_EVENT);
    Im__MsgAck *a = im__msg_ack__unpack(NULL, it->payload.len, it->payload.data);
    assert_int_equal(a->stage, IM__STAGE__STAGE_REFUSED);
    assert_int_equal(a->code, IM__CODE__SESSION_REVOKED);
    assert_int_equal(a->client_seq, 3);
    im__msg_ack__free_unpacked(a, NULL);
    no_more(w);
}

static void a_pull_goes_to_the_offline_worker(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t at = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    one(w, r_pull(w, "anna", of_user("anna", conn(1, 5), 1, at)));
    const Im__OfflineRecord *o = offline(w, IM__OFFLINE_RECORD__BODY_PULL);
    assert_int_equal(o->pull->after, 42);
    assert_int_equal(o->pull->limit, 7);
    assert_int_equal(o->pull->seq_id, 77);
    one(w, r_pull(w, "anna", of_user("anna", conn(1, 5), 9, at)));
    assert_int_equal(item(w, 1, IM__ITEM_KIND__ITEM_REPLY)->frame_type, IM__FRAME_TYPE__PULL_OFFLINE_RSP);
}

static void quiet_records_wait_for_nothing(void **state)
{
    struct world *w = *state;
    run_crash(&w->run);
    run_open(&w->run, &router_core, &settings, w->lease, 0, 5000);
    add(w, "anna");
    struct record r = r_login(w, "anna", "phone", conn(1, 5));
    step(w, &r, 1);
    for (size_t i = 0; i < w->run.fx.n_sends; i++)
        assert_int_equal(w->run.fx.sends[i].tag, 0);
    pass(w);
    w->offset = 6000;
    one(w, r_end(w, "anna", conn(1, 5)));
    tombstone(w, of_user("anna", conn(1, 5), 1, r.offset));
}

/* ---- crashes and rebuilds ---- */

static void traffic(struct world *w)
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

static void a_crash_before_the_puts_changes_no_answer(void **state)
{
    struct world *w = *state;
    traffic(w);
    struct record r = r_login(w, "bert", "tablet", conn(3, 70));
    w->run.no_end_effects = true;
    step(w, &r, 1);
    run_crash(&w->run);
    w->run.no_end_effects = false;
    run_open(&w->run, &router_core, &settings, w->lease, 0, 0);
    pass(w);
    w->told = w->run.fx.n_sends;
    one(w, r);
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 2);
    assert_int_equal(verdict(w, 3)->device, 2);
}

static void rows_rebuilt_from_the_log_equal_the_live_ones(void **state)
{
    struct world *w = *state;
    traffic(w);
    for (uint32_t slices = 1; slices <= 3; slices += 2) {
        struct run other = {0};
        struct presence *p = presence_new(NULL);
        for (size_t i = 0; i < w->run.fx.n_sends; i++)
            if (w->run.fx.sends[i].topic == T_PRESENCE)
                assert_int_equal(presence_feed(p, w->run.fx.sends[i].key, w->run.fx.sends[i].value), 0);
        for (uint32_t slice = 0; slice < slices; slice++) {
            struct rebuild *b = rebuild_new(slice, slices);
            struct slice key, row;
            for (size_t i = 0; i < w->run.fx.n_sends; i++) {
                const struct sent_record *s = &w->run.fx.sends[i];
                struct record r = {.topic = s->topic, .key = s->key, .value = s->value};
                if (s->topic == T_USER || s->topic == T_VAULT)
                    assert_int_equal(rebuild_feed(b, &r), 0);
            }
            rebuild_sessions(b, p, w->lease);
            while (rebuild_row(b, &key, &row))
                run_put(&other, ROUTER_ACCOUNT, key, row);
            rebuild_free(b);
        }
        assert_true(run_same(&w->run, &other, ROUTER_ACCOUNT));
        presence_free(p);
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
    struct rebuild *b = rebuild_new(0, 1);
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

static void memory_is_bounded_and_rows_come_back(void **state)
{
    struct world *w = *state;
    static const struct router_settings tiny = {.cache_bytes = 4096};
    char name[16];
    run_crash(&w->run);
    run_open(&w->run, &router_core, &tiny, w->lease, 0, 0);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "user%d", i);
        one(w, r_register(w, name));
    }
    pass(w);
    one(w, r_register(w, "user0"));
    assert_int_equal(register_code(w), IM__CODE__ACCOUNT_EXISTS);
}

static void a_row_of_a_newer_version_stops(void **state)
{
    struct world *w = *state;
    struct id16 user = uid("anna");
    run_put(&w->run, ROUTER_ACCOUNT, slice_id(&user), slice_of("\x7f", 1));
    struct record r = r_lookup(w, "anna", false);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_STOP);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_first_registration_wins),
        T(the_same_registration_again_is_ok_again),
        T(a_name_under_a_strange_key_is_poison),
        T(a_lookup_tells_what_there_is),
        T(nothing_is_said_before_the_verdict_is_in_the_log),
        T(the_later_login_of_a_device_wins),
        T(two_logins_in_one_batch_keep_their_order),
        T(a_new_device_is_told_to_the_others),
        T(the_same_login_again_gives_the_same_device),
        T(an_earlier_login_again_does_not_come_back),
        T(tokens_are_for_their_device_and_generation),
        T(the_seventeenth_device_drops_the_oldest_idle_one),
        T(a_login_at_a_dead_edge_makes_the_device_but_no_session),
        T(an_end_clears_the_session),
        T(a_message_becomes_a_conversation_record),
        T(a_replaced_session_may_still_speak),
        T(a_dropped_device_may_not),
        T(a_pull_goes_to_the_offline_worker),
        T(quiet_records_wait_for_nothing),
        T(a_crash_before_the_puts_changes_no_answer),
        T(rows_rebuilt_from_the_log_equal_the_live_ones),
        T(a_session_that_nobody_ended_is_ended_by_the_repeated_login),
        T(memory_is_bounded_and_rows_come_back),
        T(a_row_of_a_newer_version_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
