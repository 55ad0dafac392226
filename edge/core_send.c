/* core_send.c: numbered sends, the hot path: look up whom it names, encode, produce; acked by the delivery report and by
 * nothing else. */
#include "edge/verbs.h"

#include "common/im/push.h"
#include "common/im/traceid.h"

#include <stdlib.h>

#define TRUST_MS 30000 /* a recipient that could not be looked up is not asked for again so long */

/* ---- the window of sends without an outcome ---- */
/* False: it is full. A resend takes no place of its own. */
static bool window_open(struct edge_core *e, struct econn *c, uint64_t seq)
{
    if (!c->sends) {
        if (e->free_sends) {
            c->sends = e->free_sends;
            e->free_sends = c->sends->next;
        } else {
            c->sends = edge_must(malloc(sizeof *c->sends));
        }
        c->sends->n = 0;
    }
    struct sends *s = c->sends;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->seq[i] == seq)
            return true;
    if (s->n >= e->lim.send_window)
        return false;
    s->seq[s->n++] = seq;
    return true;
}

static void window_close(struct edge_core *e, struct econn *c, uint64_t seq)
{
    struct sends *s = c->sends;
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->seq[i] == seq) {
            s->seq[i] = s->seq[--s->n];
            break;
        }
    if (!s->n) {
        s->next = e->free_sends;
        e->free_sends = s;
        c->sends = NULL;
    }
}

/* ---- into the log ---- */
static void accepted(struct edge_core *e, struct econn *c, const struct flight *f)
{
    uint8_t ack[PUSH_ACK_MAX];
    size_t n = push_accepted(f->client_seq, f->msg_id, f->conv, ack);
    e->out->write(e->ctx, c->index, IM__FRAME_TYPE__MSG_ACK, f->seq_id, slice_of(ack, n), NULL);
    e->stats.acks++;
    if (e->out->ack_us)
        e->out->ack_us(e->ctx, e->now_us - f->read_us);
}

static int by_user(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = id_cmp(x->user, y->user);
    return order ? order : (y->login[0] != 0) - (x->login[0] != 0); /* with a name first */
}

/* Ascending, each once, their names beside them. */
static void put_users(struct edge_core *e, Im__InChat *chat, struct named *v, size_t n)
{
    if (!n)
        return;
    uint8_t *users = edge_must(arena_alloc(e->arena, n * ID_SIZE));
    char **logins = edge_must(arena_alloc(e->arena, n * sizeof *logins));
    size_t k = 0;
    qsort(v, n, sizeof *v, by_user);
    for (size_t i = 0; i < n; i++) {
        if (i && id_eq(v[i].user, v[i - 1].user))
            continue;
        memcpy(users + k * ID_SIZE, v[i].user.b, ID_SIZE);
        logins[k++] = (char *)(uintptr_t)v[i].login;
    }
    chat->users = codec_bytes(slice_of(users, k * ID_SIZE));
    chat->logins = logins;
    chat->n_logins = k;
}

static void produce(struct edge_core *e, struct econn *c, struct send *s)
{
    Im__Inbound in = IM__INBOUND__INIT;
    Im__Session pb;
    struct session me;
    uint8_t trace[TRACE_SIZE];
    struct flight f = {.type = s->type,
                       .seq_id = s->seq_id,
                       .client_seq = s->chat.client_seq,
                       .conv = s->conv,
                       .msg_id = id_message(c->user, c->device, s->chat.client_seq)};
    if (!window_open(e, c, f.client_seq)) {
        edge_error(e, c, s->seq_id, IM__CODE__TOO_MANY_UNRESOLVED, NULL, 100);
        return;
    }
    edge_inbound(e, c, true, s->seq_id, &in, &pb, &me);
    traceid_begin(s->traceparent, f.msg_id, trace);
    in.trace = codec_bytes(slice_of(trace, sizeof trace));
    s->chat.conversation = codec_bytes(slice_id(&f.conv));
    s->chat.msg_id = codec_bytes(slice_id(&f.msg_id));
    s->chat.body = &s->body;
    if (s->peer) {
        s->chat.peer = codec_bytes(slice_id(&s->named[0].user));
        s->chat.peer_login = (char *)(uintptr_t)s->named[0].login;
    }
    put_users(e, &s->chat, s->named + s->peer, s->n_named - s->peer);
    in.body_case = IM__INBOUND__BODY_CHAT;
    in.chat = &s->chat;
    if (!edge_produce(e, c, T_INBOUND, c->user, &in.base, &f)) {
        window_close(e, c, f.client_seq);
        edge_error(e, c, s->seq_id, IM__CODE__BUSY, NULL, 250);
    } else if (planted("ack-early")) {
        accepted(e, c, &f);
    }
}

/* ---- whom it names ---- */
void edge_send_names(struct edge_core *e, struct send *s, size_t n)
{
    s->named = edge_must(arena_alloc(e->arena, n * sizeof *s->named));
}

bool edge_send_name(struct edge_core *e, struct send *s, const char *login, ProtobufCBinaryData id,
                    const char *field)
{
    struct named *n = &s->named[s->n_named];
    *n = (struct named){.login = "", .field = field};
    if (login[0]) {
        char *normal = edge_must(arena_alloc(e->arena, LOGIN_MAX + 1));
        if (login_normalise(login, strlen(login), normal))
            return false;
        n->login = normal;
        n->user = id_user(normal);
    } else {
        n->user = codec_id(id);
    }
    s->n_named++;
    return true;
}

bool edge_send_direct(struct edge_core *e, struct econn *c, struct send *s)
{
    s->peer = true;
    s->trusts =
        s->chat.kind < IM__CONV_KIND__CONV_FRIEND_REQUEST || s->chat.kind > IM__CONV_KIND__CONV_UNBLOCK;
    s->conv = id_direct(c->user, s->named[0].user);
    if (!id_eq(c->user, s->named[0].user))
        return true;
    edge_error(e, c, s->seq_id, IM__CODE__BAD_FIELD, s->named[0].field, 0);
    return false;
}

/* Who is only taken on trust was never seen: good enough to write to, never to be made a member. */
static const char *known(struct edge_core *e, const struct econn *c, const struct send *s,
                         const struct named *n)
{
    if (id_eq(n->user, c->user))
        return "";
    const char *login = known_get(e->known, n->user, e->now_ms);
    return login && (login[0] || s->trusts) ? login : NULL;
}

static bool wants(const struct pend *p, struct id16 user)
{
    for (uint32_t i = 0; i < p->n_wanted; i++)
        if (id_eq(p->wanted[i].user, user))
            return true;
    return false;
}

/* All that are not known are asked for at once; validate.h bounds how many may be named. */
static void ask(struct edge_core *e, struct econn *c, const struct send *s, struct slice payload)
{
    if (!edge_pend(e, c, s->type, s->seq_id, payload))
        return;
    struct pend *p = c->pend;
    p->trusts = s->trusts;
    p->until_ms = e->now_ms + e->lim.lookup_ms;
    p->wanted = edge_must(calloc(s->n_named, sizeof *p->wanted));
    for (size_t i = 0; i < s->n_named; i++) {
        const struct named *n = &s->named[i];
        if (known(e, c, s, n) || wants(p, n->user))
            continue;
        p->wanted[p->n_wanted++] = (struct wanted){n->user, n->field};
        if (!(p->n_wanted == 1 ? edge_lookup(e, c, n->user, false) : edge_lookup_too(e, c, n->user))) {
            edge_error(e, c, s->seq_id, IM__CODE__BUSY, NULL, 250);
            edge_pend_free(e, c);
            return;
        }
    }
    edge_arm(e, c);
}

/* The names that were given as ids, as far as they are known; how many of all are not known to exist. */
static size_t put_names(struct edge_core *e, const struct econn *c, struct send *s)
{
    size_t missing = 0;
    for (size_t i = 0; i < s->n_named; i++) {
        const char *login = known(e, c, s, &s->named[i]);
        if (!login)
            missing++;
        else if (!s->named[i].login[0])
            s->named[i].login = login;
    }
    return missing;
}

static send_fn *maker(uint16_t type)
{
    switch (type) {
    case IM__FRAME_TYPE__SINGLE_CHAT:
        return verb_chat_send;
    case IM__FRAME_TYPE__GROUP_CHAT:
        return verb_group_send;
    case IM__FRAME_TYPE__CONV_OP:
        return verb_op_send;
    case IM__FRAME_TYPE__ANNOUNCE:
        return verb_announce_send;
    default:
        return NULL;
    }
}

bool edge_is_send(uint16_t type)
{
    return maker(type) != NULL;
}

static bool make(struct edge_core *e, struct econn *c, uint16_t type, uint32_t seq_id,
                 const ProtobufCMessage *m, struct send *s)
{
    *s = (struct send){.type = type, .seq_id = seq_id, .chat = IM__IN_CHAT__INIT, .body = IM__BODY__INIT};
    return maker(type)(e, c, m, s);
}

void edge_send(struct edge_core *e, struct econn *c, uint16_t type, uint32_t seq_id, struct slice payload,
               const ProtobufCMessage *m)
{
    struct send s;
    crash_at("edge:parsed");
    if (e->busy)
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 1000);
    else if (!make(e, c, type, seq_id, m, &s))
        return;
    else if (put_names(e, c, &s))
        ask(e, c, &s, payload);
    else
        produce(e, c, &s);
}

/* Whom it names is there: the request once more, and into the log. */
static void resume(struct edge_core *e, struct econn *c)
{
    struct pend *p = c->pend;
    struct arena_protobuf pba;
    struct send s;
    ProtobufCMessage *m = NULL;
    struct slice payload = buf_slice(p->frame);
    validate_decode(p->type, payload, edge_allocator(e, &pba, EDGE_BUDGET(payload.n)), &m);
    if (m && make(e, c, p->type, p->seq_id, m, &s)) {
        (void)put_names(e, c, &s); /* the cache may have lost one since: it was there */
        produce(e, c, &s);
    }
    edge_pend_free(e, c);
}

/* Nobody could say in time. To somebody alone it is written on trust: a conversation with nobody harms nobody. */
static void late(struct edge_core *e, struct econn *c)
{
    struct pend *p = c->pend;
    if (p->trusts) { /* trust is no proof: without a name it answers no ACCOUNT_EXISTS_REQ */
        known_add(e->known, p->wanted[0].user, "", e->now_ms + TRUST_MS);
        resume(e, c);
        return;
    }
    edge_error(e, c, p->seq_id, IM__CODE__BUSY, NULL, (uint32_t)e->lim.lookup_ms);
    edge_pend_free(e, c);
}

void edge_send_lookup(struct edge_core *e, struct econn *c, const Im__LookupReply *r)
{
    struct pend *p = c->pend;
    uint32_t i = 0;
    if (!r) {
        late(e, c);
        return;
    }
    while (i < p->n_wanted && !(r->user.len == ID_SIZE && id_eq(p->wanted[i].user, codec_id(r->user))))
        i++;
    if (i == p->n_wanted)
        return; /* said twice */
    if (!r->exists) {
        edge_error(e, c, p->seq_id, IM__CODE__UNKNOWN_USER, p->wanted[i].field, 0);
        edge_pend_free(e, c);
        return;
    }
    known_add(e->known, p->wanted[i].user, r->login, INT64_MAX);
    p->wanted[i] = p->wanted[--p->n_wanted];
    if (p->n_wanted == 0)
        resume(e, c);
}

/* ---- what becomes of it ---- */
void edge_send_reported(struct edge_core *e, struct econn *c, const struct flight *f, enum sent sent)
{
    crash_at("edge:reported");
    if (sent == SENT_OK) {
        accepted(e, c, f);
    } else if (sent == SENT_FAILED) { /* certainly not in the log: may be sent again under the same number */
        window_close(e, c, f->client_seq);
        edge_error(e, c, f->seq_id, IM__CODE__INTERNAL, NULL, 250);
    } else { /* neither yes nor no would be true */
        edge_close(e, c, EDGE_CUT_LOG);
    }
}

void edge_send_outcome(struct edge_core *e, struct econn *c, struct slice msg_ack)
{
    struct arena_protobuf pba;
    Im__MsgAck *m = im__msg_ack__unpack(edge_allocator(e, &pba, 4096), msg_ack.n, msg_ack.p);
    if (m)
        window_close(e, c, m->client_seq);
}
