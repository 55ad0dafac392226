/* sim_speak.c: a client's frames: what it says, and what it makes of what it hears. */
#include "common/im/codec.h"
#include "common/im/frame.h"
#include "proto/client.pb-c.h"
#include "tests/sim/sim_client_int.h"
#include "tests/sim/sim_world.h"

void sim_client_say(struct sim_client *c, struct sim_link *l, uint16_t type, uint32_t seq_id,
                    const ProtobufCMessage *m)
{
    uint8_t buf[8192];
    int n = codec_pack_into(m, buf, sizeof buf);
    (void)c;
    if (n < 0)
        abort();
    if (l)
        sim_link_up(l, type, seq_id, (struct slice){buf, (size_t)n});
}

/* ---- register, log in ---- */
void sim_client_register(struct sim_client *c)
{
    struct sim_user *u = &c->sim->world->users[c->user];
    Im__RegisterReq r = IM__REGISTER_REQ__INIT;
    r.login = u->login;
    r.password = u->password;
    r.display_name = u->login;
    u->tried = true;
    c->state = CLIENT_HELLO;
    c->heartbeat_us = c->sim->now;
    sim_client_say(c, c->link, IM__FRAME_TYPE__REGISTER_REQ, ++c->next_seq_id, &r.base);
}

void sim_client_login(struct sim_client *c, struct sim_link *l)
{
    const struct sim_user *u = &c->sim->world->users[c->user];
    Im__LoginReq r = IM__LOGIN_REQ__INIT;
    c->by_token = c->token[0] && sim_chance(c->sim, 600);
    if (c->by_token) {
        r.token = c->token;
    } else {
        r.login = (char *)(uintptr_t)u->login;
        r.password = (char *)(uintptr_t)u->password;
    }
    r.device_id = c->device_id;
    r.device_class = (char *)"test";
    r.client = (char *)"sim";
    r.fresh = c->fresh;
    c->state = CLIENT_LOGIN;
    c->heartbeat_us = c->sim->now;
    c->login_seq_id = ++c->next_seq_id;
    sim_client_say(c, l, IM__FRAME_TYPE__LOGIN_REQ, c->login_seq_id, &r.base);
}

static void on_register(struct sim_client *c, struct sim_link *l, const Im__RegisterRsp *r)
{
    struct sim_user *u = &c->sim->world->users[c->user];
    if (l != c->link || c->state != CLIENT_HELLO)
        return;
    if (r->code != IM__CODE__OK && r->code != IM__CODE__ACCOUNT_EXISTS) {
        sim_client_hang_up(c);
        return;
    }
    u->registered = true;
    sim_client_login(c, l);
}

static void welcome(struct sim_client *c, const Im__LoginRsp *r)
{
    struct sim *s = c->sim;
    if (c->device && c->device != r->device && !c->dropped)
        sim_fail(s, "divergent", "%s was device %u and is now %u", c->name, c->device, r->device);
    bool renewed = c->device && c->device != r->device;
    if (renewed)
        sim_client_renew(c);
    if (c->fresh || renewed)
        c->next_seq = r->client_seq_base;
    c->fresh = false;
    bool first = !c->device;
    c->device = r->device;
    if (first) {
        c->next_seq = r->client_seq_base;
        c->since = s->now + (c->late ? 10 * SEC : 0);
    }
    snprintf(c->token, sizeof c->token, "%s", r->token);
    c->state = CLIENT_ON;
    c->delivery = c->confirmed = 0;
    c->pulling = c->filling = false;
    c->trouble_us = 0;
    c->heartbeat_us = c->heard_us = s->now;
    c->logged_in_again = c->final;
    for (uint32_t i = 0; i < SIM_TALKS; i++)
        c->talks[i].asked = 0;
    sim_trace(s, "%s is logged in at %s as device %u", c->name, c->link->edge->actor.name, c->device);
    sim_client_resend(c);
}

static void on_login(struct sim_client *c, struct sim_link *l, uint32_t seq_id, const Im__LoginRsp *r)
{
    if (l != c->link || c->state != CLIENT_LOGIN || seq_id != c->login_seq_id)
        return;
    if (r->code == IM__CODE__OK) {
        welcome(c, r);
        return;
    }
    sim_trace(c->sim, "%s may not log in: %d", c->name, r->code);
    if (c->by_token && c->revoked && (r->code == IM__CODE__BAD_TOKEN || r->code == IM__CODE__SESSION_REVOKED))
        c->token[0] = 0; /* by its password, then */
    else if (r->code == IM__CODE__BAD_CREDENTIALS || r->code == IM__CODE__BAD_TOKEN ||
             r->code == IM__CODE__SESSION_REVOKED)
        sim_fail(c->sim, "lost", "%s was registered and is refused with code %d", c->name, r->code);
    sim_client_hang_up(c);
}

/* ---- confirming ---- */
static void confirm(void *ctx, uint64_t arg)
{
    struct sim_client *c = ctx;
    struct sim_link *l = c->link;
    Im__DeliveryAck ack = IM__DELIVERY_ACK__INIT;
    Im__Cursor cursors[SIM_TALKS], *list[SIM_TALKS];
    (void)arg;
    c->confirm_scheduled = false;
    if (c->state != CLIENT_ON || l->unread || (c->silent && !c->sim->calm))
        return;
    ack.upto = c->confirmed = c->delivery;
    ack.cursors = list;
    for (uint32_t i = 0; i < SIM_TALKS; i++) {
        struct sim_talk *t = &c->talks[i];
        if (!t->dirty)
            continue;
        t->dirty = false;
        if (t->upto < t->base)
            continue;
        Im__Cursor *cur = &cursors[ack.n_cursors];
        im__cursor__init(cur);
        cur->conversation = codec_bytes(slice_id(&t->id));
        cur->from = t->base;
        cur->upto = t->upto;
        list[ack.n_cursors++] = cur;
    }
    sim_client_say(c, l, IM__FRAME_TYPE__DELIVERY_ACK, 0, &ack.base);
}

void sim_client_confirm_soon(struct sim_client *c)
{
    if (c->confirm_scheduled)
        return;
    c->confirm_scheduled = true;
    sim_at(c->sim, NULL, sim_delay(c->sim) + (sim_chance(c->sim, 200) ? sim_between(c->sim, 0, 300) * MS : 0),
           confirm, c, 0);
}

/* A delivery number: they come one after the other on each connection. */
static void on_number(struct sim_client *c, const struct sim_link *l, uint32_t n)
{
    uint32_t *last = l == c->link && c->state == CLIENT_ON ? &c->delivery : &c->old_delivery;
    if (last == &c->delivery && n != *last + 1)
        sim_fail(c->sim, "gap", "%s: delivery number %u after %u", c->name, n, *last);
    *last = n;
    sim_client_confirm_soon(c);
}

/* ---- outcomes ---- */
static struct sim_msg *msg_of(struct sim_client *c, uint64_t client_seq)
{
    struct sim_msg *m = c->msgs;
    while (m && m->client_seq != client_seq)
        m = m->next;
    return m;
}

static void on_refused(struct sim_client *c, struct sim_msg *m, const Im__MsgAck *a)
{
    if (m->seq || m->noted)
        sim_fail(c->sim, "divergent", "%s: send %lu was done and is refused with code %d", c->name,
                 (unsigned long)a->client_seq, a->code);
    m->resolved = true;
    if (a->code == IM__CODE__STALE)
        m->stale = true;
    else if (!sim_may_refuse(c, m, a->code))
        sim_fail(c->sim, "refused", "%s: send %lu is refused with code %d", c->name,
                 (unsigned long)a->client_seq, a->code);
    else if (a->code !=
             IM__CODE__SESSION_REVOKED) /* that is about the session: an earlier attempt may be in */
        m->refused = true;
}

static void on_outcome(struct sim_client *c, const Im__MsgAck *a)
{
    struct sim_msg *m = msg_of(c, a->client_seq);
    if (!m) {
        sim_fail(c->sim, "leak", "%s hears of a send that is not its own", c->name);
        return;
    }
    if (m->forgotten) { /* the model remembers, the client does not */
        m->acked |= a->stage == IM__STAGE__ACCEPTED;
        return;
    }
    sim_trace(c->sim, "%s: send %lu is at stage %d, place %lu", c->name, (unsigned long)a->client_seq,
              a->stage, (unsigned long)a->seq);
    if (a->stage == IM__STAGE__ACCEPTED) {
        m->acked = true;
        return;
    }
    if (a->stage == IM__STAGE__STAGE_REFUSED) {
        on_refused(c, m, a);
        return;
    }
    if (m->refused || (m->resolved && m->noted != (a->stage == IM__STAGE__NOTED) && !m->stale))
        sim_fail(c->sim, m->refused ? "rejected-but-seen" : "divergent",
                 "%s: send %lu had another outcome before", c->name, (unsigned long)m->client_seq);
    if (m->seq && m->seq != a->seq)
        sim_fail(c->sim, "divergent", "%s: send %lu is at place %lu and at place %lu", c->name,
                 (unsigned long)m->client_seq, (unsigned long)m->seq, (unsigned long)a->seq);
    if (a->stage == IM__STAGE__NOTED) {
        m->resolved = m->noted = true;
        return;
    }
    m->resolved = true;
    m->seq = a->seq;
    struct sim_seen what = {.sender = c->sim->world->users[c->user].id,
                            .device = m->device,
                            .client_seq = m->client_seq,
                            .text = sim_text_hash(m->text, strlen(m->text)),
                            .kind = m->kind,
                            .target = m->target};
    sim_client_shown(c, &m->conv, a->seq, &what);
}

static void on_error(struct sim_client *c, uint32_t seq_id, const Im__Error *e)
{
    sim_trace(c->sim, "%s hears error %d (%s) for %u", c->name, e->code, e->field, seq_id);
    if (c->state != CLIENT_ON) {
        if (c->state == CLIENT_HELLO || c->state == CLIENT_LOGIN)
            sim_client_hang_up(c);
        return;
    }
    sim_client_past_failed(c, seq_id, e->code);
    if (seq_id < SEND_SEQ)
        return; /* a pull is repeated in its time */
    struct sim_msg *m = c->msgs;
    while (m && (m->forgotten || SEND_SEQ + (uint32_t)(m->client_seq & 0xfffff) != seq_id))
        m = m->next;
    if (m && e->code == IM__CODE__UNKNOWN_USER) {
        if (m->talk != SIM_GHOST)
            sim_fail(c->sim, "lost", "%s: %s is said not to exist", c->name,
                     c->sim->world->users[m->talk].login);
        m->refused = m->attempts == 1 && !m->acked; /* an earlier attempt may have been taken on trust */
        m->resolved = true;
    } else if (m && !m->resolved) {
        c->trouble_us = c->sim->now + e->retry_after_ms * MS + sim_between(c->sim, 1, 300) * MS;
    }
}

/* ---- frames ---- */
static void on_receipt(struct sim_client *c, const Im__ReceiptPush *p)
{
    struct id16 conv = codec_id(p->conversation);
    sim_trace(c->sim, "%s hears that somebody read %lu and has %lu", c->name, (unsigned long)p->read,
              (unsigned long)p->delivered);
    sim_talk_receipt(c, &conv, p->read > p->delivered ? p->read : p->delivered);
}

static void on_news(struct sim_client *c, const Im__NewsPush *p)
{
    for (size_t i = 0; i < p->n_news; i++) {
        struct id16 conv = codec_id(p->news[i]->conversation);
        sim_trace(c->sim, "%s is told of news up to %lu", c->name, (unsigned long)p->news[i]->upto);
        sim_talk_news(c, &conv, p->news[i]->upto);
    }
    sim_client_confirm_soon(c);
}

static void dispatch(struct sim_client *c, struct sim_link *l, const struct sim_frame *f, ProtobufCMessage *m)
{
    switch (f->type) {
    case IM__FRAME_TYPE__REGISTER_RSP:
        on_register(c, l, (Im__RegisterRsp *)m);
        break;
    case IM__FRAME_TYPE__LOGIN_RSP:
        on_login(c, l, f->seq_id, (Im__LoginRsp *)m);
        break;
    case IM__FRAME_TYPE__MSG_ACK:
        if (((Im__MsgAck *)m)->stage != IM__STAGE__ACCEPTED)
            on_number(c, l, f->seq_id);
        on_outcome(c, (Im__MsgAck *)m);
        break;
    case IM__FRAME_TYPE__CHAT_PUSH:
        on_number(c, l, f->seq_id);
        sim_client_event(c, (Im__ChatPush *)m, false);
        break;
    case IM__FRAME_TYPE__NEWS_PUSH:
        on_number(c, l, f->seq_id);
        on_news(c, (Im__NewsPush *)m);
        break;
    case IM__FRAME_TYPE__RECEIPT_PUSH:
        on_number(c, l, f->seq_id);
        on_receipt(c, (Im__ReceiptPush *)m);
        break;
    case IM__FRAME_TYPE__NOTE_PUSH:
        on_number(c, l, f->seq_id);
        break;
    case IM__FRAME_TYPE__HISTORY_RSP:
        if (l == c->link)
            sim_client_past(c, f->seq_id, (Im__HistoryRsp *)m);
        break;
    case IM__FRAME_TYPE__PULL_OFFLINE_RSP:
        sim_client_page(c, l, f->seq_id, (Im__PullOfflineRsp *)m);
        break;
    case IM__FRAME_TYPE__ERROR:
        if (l == c->link)
            on_error(c, f->seq_id, (Im__Error *)m);
        break;
    case IM__FRAME_TYPE__GOAWAY:
        if (l == c->link)
            sim_client_hang_up(c);
        break;
    default:
        break; /* HEARTBEAT, KICKED: the edge closes */
    }
}

void sim_client_frame(struct sim_client *c, struct sim_link *l, const struct sim_frame *f)
{
    const struct frame_type *t = frame_type(f->type);
    if (l->unread && !c->sim->calm)
        return;
    if (l == c->link)
        c->heard_us = c->sim->now;
    ProtobufCMessage *m =
        t && t->server ? protobuf_c_message_unpack(t->server, NULL, f->payload.n, f->payload.p) : NULL;
    if (!m) {
        sim_fail(c->sim, "bad frame", "%s cannot read a frame of type %u", c->name, f->type);
        return;
    }
    dispatch(c, l, f, m);
    protobuf_c_message_free_unpacked(m, NULL);
}
