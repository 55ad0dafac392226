/* edgerun.h: an edge core with a fake shell, for unit tests. Include it once per test.
 *
 * Frames, closes, produced records, hash jobs and commits are written down; the test plays Kafka, the router and
 * the clients. Everything is kept for the test's life. */
#ifndef PARLEY_TESTS_EDGERUN_H
#define PARLEY_TESTS_EDGERUN_H

#include "common/base/buf.h"
#include "common/im/codec.h"
#include "common/im/frame.h"
#include "common/im/secrets.h"
#include "common/im/topics.h"
#include "edge/core.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ER_CONNS 256
#define ER_EPOCH 500u

struct er_frame {
    uint32_t conn, seq_id;
    uint16_t type;
    struct buf *payload;
};
struct er_record {
    uint16_t topic;
    uint64_t tag;
    struct id16 place;
    struct buf *key, *value;
    bool reported;
};
struct er_job {
    enum edge_job_kind kind;
    uint64_t tag;
    struct buf *password, *sealed;
};

struct er {
    struct edge_core *core;
    struct secrets *secrets;
    int64_t us;
    bool full; /* the producer takes nothing */
    bool no_jobs;
    bool closed[ER_CONNS], paused[ER_CONNS], behind[ER_CONNS];
    enum edge_cut why[ER_CONNS];
    struct er_frame frames[20000];
    struct er_record records[20000];
    struct er_job jobs[1000];
    size_t n_frames, n_records, n_jobs, n_commits;
    int64_t committed, next; /* next: offset of the next delivery record */
    const char *lost;
    int64_t inbound; /* offset given to the next reported record */
};

static void er_write(void *ctx, uint32_t conn, uint16_t type, uint32_t seq_id, struct slice p,
                     struct buf *owner)
{
    struct er *r = ctx;
    (void)owner;
    assert_true(conn < ER_CONNS);
    assert_false(r->closed[conn]);
    r->frames[r->n_frames++] = (struct er_frame){conn, seq_id, type, buf_copy(p.p, p.n)};
}
static void er_close(void *ctx, uint32_t conn, enum edge_cut why)
{
    struct er *r = ctx;
    assert_false(r->closed[conn]);
    r->closed[conn] = true;
    r->why[conn] = why;
}
static void er_pause(void *ctx, uint32_t conn, bool paused)
{
    ((struct er *)ctx)->paused[conn] = paused;
}
static bool er_produce(void *ctx, uint16_t topic, struct slice place, struct slice key, struct slice value,
                       uint64_t tag)
{
    struct er *r = ctx;
    if (r->full)
        return false;
    struct er_record *rec = &r->records[r->n_records++];
    *rec = (struct er_record){
        .topic = topic, .tag = tag, .key = buf_copy(key.p, key.n), .value = buf_copy(value.p, value.n)};
    memcpy(rec->place.b, place.p, ID_SIZE);
    return true;
}
static bool er_job(void *ctx, enum edge_job_kind kind, uint64_t tag, struct id16 user, struct slice password,
                   struct slice sealed)
{
    struct er *r = ctx;
    (void)user;
    if (r->no_jobs)
        return false;
    r->jobs[r->n_jobs++] = (struct er_job){kind, tag, buf_copy(password.p, password.n),
                                           buf_copy(sealed.n ? sealed.p : "", sealed.n)};
    return true;
}
static void er_commit(void *ctx, int64_t next)
{
    struct er *r = ctx;
    r->committed = next;
    r->n_commits++;
}
static void er_lost(void *ctx, const char *why)
{
    ((struct er *)ctx)->lost = why;
}
static bool er_behind(void *ctx, uint32_t conn)
{
    return ((struct er *)ctx)->behind[conn];
}

static const struct edge_out er_out = {.write = er_write,
                                       .close = er_close,
                                       .pause = er_pause,
                                       .produce = er_produce,
                                       .job = er_job,
                                       .commit = er_commit,
                                       .lost = er_lost,
                                       .behind = er_behind};

static inline void er_time(struct er *r, int64_t ms) /* passes */
{
    r->us += ms * 1000;
    edge_core_now(r->core, r->us, 1700000000000000 + r->us);
}
static inline void er_tick(struct er *r, int64_t ms)
{
    for (; ms > 0; ms -= 100) {
        er_time(r, 100);
        edge_core_tick(r->core);
    }
}

static const struct topics *er_topics; /* NULL: no dead letters */

static inline struct er *er_new(const struct edge_limits *limits)
{
    static const uint8_t key[32] = {1};
    struct er *r = calloc(1, sizeof *r);
    r->us = 1000000;
    r->secrets = secrets_from_key(key, 1);
    struct edge_setup s = {
        .name = "e1", .secrets = r->secrets, .topics = er_topics, .out = &er_out, .ctx = r};
    if (limits)
        s.limits = *limits;
    r->core = edge_core_new(&s);
    assert_non_null(r->core);
    er_time(r, 0);
    edge_core_claimed(r->core, 3, ER_EPOCH, 10);
    r->next = 10;
    r->inbound = 1000;
    return r;
}
static inline void er_free(struct er *r)
{
    edge_core_free(r->core);
    secrets_free(r->secrets);
    for (size_t i = 0; i < r->n_frames; i++)
        buf_unref(r->frames[i].payload);
    for (size_t i = 0; i < r->n_records; i++) {
        buf_unref(r->records[i].key);
        buf_unref(r->records[i].value);
    }
    for (size_t i = 0; i < r->n_jobs; i++) {
        buf_unref(r->jobs[i].password);
        buf_unref(r->jobs[i].sealed);
    }
    free(r);
}

static inline uint32_t er_connect(struct er *r)
{
    uint16_t why;
    uint32_t c = edge_core_accept(r->core, 1, &why);
    assert_int_not_equal(c, EDGE_NO_CONN);
    r->closed[c] = r->paused[c] = false;
    return c;
}
static inline bool er_send(struct er *r, uint32_t conn, uint16_t type, uint32_t seq_id,
                           const ProtobufCMessage *m)
{
    uint8_t p[70000];
    size_t n = m ? protobuf_c_message_get_packed_size(m) : 0;
    assert_true(n <= sizeof p);
    if (m)
        protobuf_c_message_pack(m, p);
    return edge_core_frame(r->core, conn, type, seq_id, (struct slice){p, n});
}
/* The last frame to a connection; NULL: none. */
static inline struct er_frame *er_last(struct er *r, uint32_t conn)
{
    for (size_t i = r->n_frames; i > 0; i--)
        if (r->frames[i - 1].conn == conn)
            return &r->frames[i - 1];
    return NULL;
}
static inline size_t er_frames(const struct er *r, uint32_t conn, uint16_t type)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_frames; i++)
        n += r->frames[i].conn == conn && r->frames[i].type == type;
    return n;
}
static inline ProtobufCMessage *er_msg(const struct er_frame *f)
{
    assert_non_null(f);
    const struct frame_type *t = frame_type(f->type);
    ProtobufCMessage *m = protobuf_c_message_unpack(t->server, NULL, f->payload->n, f->payload->data);
    assert_non_null(m);
    return m;
}
static inline void er_expect_error(struct er *r, uint32_t conn, uint32_t seq_id, Im__Code code,
                                   const char *field)
{
    struct er_frame *f = er_last(r, conn);
    assert_non_null(f);
    assert_int_equal(f->type, IM__FRAME_TYPE__ERROR);
    assert_int_equal(f->seq_id, seq_id);
    Im__Error *e = (Im__Error *)er_msg(f);
    assert_int_equal(e->code, code);
    assert_true(e->message[0] != 0);
    if (field)
        assert_string_equal(e->field, field);
    im__error__free_unpacked(e, NULL);
}
static inline void er_report(struct er *r, size_t i, enum sent sent)
{
    assert_false(r->records[i].reported);
    r->records[i].reported = true;
    edge_core_sent(r->core, r->records[i].tag, sent, r->inbound++);
}
static inline void er_report_all(struct er *r)
{
    for (size_t i = 0; i < r->n_records; i++)
        if (!r->records[i].reported)
            er_report(r, i, SENT_OK);
}
static inline Im__Inbound *er_inbound(struct er *r, size_t i)
{
    assert_true(i < r->n_records);
    assert_int_equal(r->records[i].topic, T_INBOUND);
    Im__Inbound *m;
    assert_int_equal(codec_inbound(NULL, buf_slice(r->records[i].value), &m), 0);
    return m;
}

static inline int er_kind(struct er *r, size_t i)
{
    Im__Inbound *in = er_inbound(r, i);
    int kind = (int)in->body_case;
    im__inbound__free_unpacked(in, NULL);
    return kind;
}

/* ---- the router and fanout ---- */
static inline int64_t er_deliver(struct er *r, uint64_t epoch, Im__DeliverItem *item)
{
    Im__DeliverRecord rec = IM__DELIVER_RECORD__INIT;
    Im__DeliverItem *items[1] = {item};
    uint8_t p[70000];
    rec.version = 1;
    rec.epoch = epoch;
    rec.n_items = 1;
    rec.items = items;
    size_t n = im__deliver_record__pack(&rec, p);
    edge_core_deliver(r->core, r->next, (struct slice){p, n});
    return r->next++;
}
static inline int64_t er_item(struct er *r, uint64_t epoch, Im__ItemKind kind, uint16_t type, uint32_t seq_id,
                              const ProtobufCMessage *payload, const Im__Session *to, struct id16 conv,
                              uint64_t seq)
{
    Im__DeliverItem it = IM__DELIVER_ITEM__INIT;
    uint8_t p[66000];
    uint32_t handle = to->handle, device = to->device;
    uint64_t login = to->login_offset;
    struct id16 user = codec_id(to->user);
    it.kind = kind;
    it.frame_type = type;
    it.seq_id = seq_id;
    it.payload.data = p;
    it.payload.len = protobuf_c_message_pack(payload, p);
    it.n_handles = it.n_devices = it.n_logins = 1;
    it.handles = &handle;
    it.devices = &device;
    it.logins = &login;
    it.users = codec_bytes(slice_id(&user));
    if (seq) {
        it.conversation = codec_bytes(slice_id(&conv));
        it.seq = seq;
    }
    return er_deliver(r, epoch, &it);
}
/* Answers the look-up that is record i. */
static inline void er_answer(struct er *r, size_t i, bool exists, const char *login)
{
    Im__Inbound *in = er_inbound(r, i);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_LOOKUP);
    Im__LookupReply l = IM__LOOKUP_REPLY__INIT;
    uint8_t verifier[] = "sealed";
    l.exists = exists;
    l.user = codec_bytes(slice_id(&r->records[i].place));
    l.login = exists ? (char *)(uintptr_t)login : (char *)"";
    l.purpose = in->lookup->purpose;
    if (exists && in->lookup->want_verifier)
        l.verifier = codec_bytes((struct slice){verifier, 6});
    Im__Session to = *in->session; /* as the router has it: the account that was asked for */
    to.user = l.user;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_LOOKUP, 0, in->seq_id, &l.base, &to, (struct id16){{0}}, 0);
    im__inbound__free_unpacked(in, NULL);
}

struct er_user { /* a logged-in connection */
    uint32_t conn, device;
    struct id16 id;
    uint64_t login;
    uint32_t handle;
    char token[TOKEN_TEXT_MAX];
};
static inline Im__Session er_session(const struct er_user *u)
{
    Im__Session s = IM__SESSION__INIT;
    s.user = codec_bytes(slice_id(&u->id));
    s.device = u->device;
    s.slot = 3;
    s.epoch = ER_EPOCH;
    s.handle = u->handle;
    s.login_offset = u->login;
    return s;
}
static inline void er_verdict(struct er *r, size_t i, Im__Code code, uint32_t device, uint64_t offset)
{
    Im__Inbound *in = er_inbound(r, i);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_LOGIN);
    Im__LoginVerdict v = IM__LOGIN_VERDICT__INIT;
    v.code = code;
    v.user = in->session->user;
    v.login = (char *)"someone";
    v.device = device;
    v.login_offset = offset;
    v.token_generation = 1;
    in->session->login_offset = offset;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_LOGIN, IM__FRAME_TYPE__LOGIN_RSP, in->seq_id, &v.base,
            in->session, (struct id16){{0}}, 0);
    im__inbound__free_unpacked(in, NULL);
}
/* Connects and logs in by password, with every step of it. */
static inline struct er_user er_login(struct er *r, const char *login, uint32_t device)
{
    struct er_user u = {.conn = er_connect(r), .device = device, .id = id_user(login)};
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    req.login = (char *)(uintptr_t)login;
    req.password = (char *)"correct horse";
    req.device_id = (char *)"laptop";
    assert_false(er_send(r, u.conn, IM__FRAME_TYPE__LOGIN_REQ, 7, &req.base));
    size_t i = r->n_records - 1;
    er_report(r, i, SENT_OK);
    er_answer(r, i, true, login);
    edge_core_job(r->core, r->jobs[r->n_jobs - 1].tag, true, (struct slice){0});
    i = r->n_records - 1;
    u.login = (uint64_t)r->inbound;
    er_report(r, i, SENT_OK);
    Im__Inbound *in = er_inbound(r, i);
    u.handle = in->session->handle;
    im__inbound__free_unpacked(in, NULL);
    er_verdict(r, i, IM__CODE__OK, device, u.login);
    struct er_frame *f = er_last(r, u.conn);
    assert_int_equal(f->type, IM__FRAME_TYPE__LOGIN_RSP);
    Im__LoginRsp *rsp = (Im__LoginRsp *)er_msg(f);
    assert_int_equal(rsp->code, IM__CODE__OK);
    assert_int_equal(rsp->device, device);
    snprintf(u.token, sizeof u.token, "%s", rsp->token);
    im__login_rsp__free_unpacked(rsp, NULL);
    assert_false(r->paused[u.conn]);
    return u;
}
/* A message pushed to the user. */
static inline int64_t er_push(struct er *r, const struct er_user *u, struct id16 conv, uint64_t seq)
{
    Im__ChatPush p = IM__CHAT_PUSH__INIT;
    Im__Session s = er_session(u);
    p.seq = seq;
    p.text = (char *)"hello";
    return er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_MESSAGE, IM__FRAME_TYPE__CHAT_PUSH, 0, &p.base, &s, conv,
                   seq);
}
/* One item to many; without names when there are more than 64, as from fanout. */
static inline int64_t er_many(struct er *r, Im__ItemKind kind, const struct er_user *u, size_t n,
                              struct id16 conv, uint64_t seq)
{
    Im__DeliverItem it = IM__DELIVER_ITEM__INIT;
    Im__ChatPush p = IM__CHAT_PUSH__INIT;
    uint8_t payload[256], users[64 * ID_SIZE];
    uint32_t handles[8192], devices[64];
    uint64_t logins[64];
    p.text = (char *)"to many";
    p.seq = seq;
    it.kind = kind;
    it.frame_type = IM__FRAME_TYPE__CHAT_PUSH;
    it.payload.len = im__chat_push__pack(&p, payload);
    it.payload.data = payload;
    it.conversation = codec_bytes(slice_id(&conv));
    it.seq = seq;
    it.n_handles = n;
    it.handles = handles;
    for (size_t i = 0; i < n; i++)
        handles[i] = u[i].handle;
    for (size_t i = 0; i < n && n <= 64; i++) {
        memcpy(users + i * ID_SIZE, u[i].id.b, ID_SIZE);
        devices[i] = u[i].device;
        logins[i] = u[i].login;
    }
    if (n <= 64) {
        it.users = codec_bytes(slice_of(users, n * ID_SIZE));
        it.n_devices = it.n_logins = n;
        it.devices = devices;
        it.logins = logins;
    }
    return er_deliver(r, ER_EPOCH, &it);
}
static inline bool er_chat(struct er *r, const struct er_user *u, uint32_t seq_id, uint64_t client_seq,
                           const char *to)
{
    Im__SingleChat c = IM__SINGLE_CHAT__INIT;
    c.client_seq = client_seq;
    c.to = (char *)(uintptr_t)to;
    c.text = (char *)"hi";
    return er_send(r, u->conn, IM__FRAME_TYPE__SINGLE_CHAT, seq_id, &c.base);
}
/* The recipient becomes known to the edge. */
static inline void er_know(struct er *r, const struct er_user *u, const char *login)
{
    Im__AccountExistsReq q = IM__ACCOUNT_EXISTS_REQ__INIT;
    q.login = (char *)(uintptr_t)login;
    er_send(r, u->conn, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, 900, &q.base);
    er_report(r, r->n_records - 1, SENT_OK);
    er_answer(r, r->n_records - 1, true, login);
    assert_int_equal(er_last(r, u->conn)->type, IM__FRAME_TYPE__ACCOUNT_EXISTS_RSP);
}
static inline void er_confirm(struct er *r, const struct er_user *u, uint32_t upto)
{
    Im__DeliveryAck a = IM__DELIVERY_ACK__INIT;
    a.upto = upto;
    er_send(r, u->conn, IM__FRAME_TYPE__DELIVERY_ACK, 0, &a.base);
}
static inline Im__OfflineRecord *er_offline(struct er *r, size_t i)
{
    Im__OfflineRecord *m;
    assert_int_equal(r->records[i].topic, T_OFFLINE);
    assert_int_equal(codec_offline(NULL, buf_slice(r->records[i].value), &m), 0);
    return m;
}
/* The n-th record from `from` on that is of this topic. */
static inline size_t er_find(const struct er *r, size_t from, uint16_t topic)
{
    while (from < r->n_records && r->records[from].topic != topic)
        from++;
    assert_true(from < r->n_records);
    return from;
}

#endif
