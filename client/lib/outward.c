#include "client/lib/client.h"
#include "common/base/clock.h"

#include <errno.h>
#include <utlist.h>

#define CURSORS_A_FRAME 64
#define HEADER          21 /* of the frame, and client_seq */
#define SAVE_MS         1000 /* an outcome is noted in the state file no later; repeats of the server do no harm */

void request_free(struct parley *p, struct request *r)
{
    DL_DELETE(p->requests, r);
    if (r->password)
        explicit_bzero(r->password, strlen(r->password));
    free(r->login);
    free(r->password);
    free(r->display_name);
    free(r);
}

void request_answer(struct parley *p, struct request *r, enum parley_code code, const char *detail,
                    bool exists, const uint8_t *user)
{
    char *login = r->login;
    bool registration = r->registration;
    r->login = NULL;
    request_free(p, r); /* before the callback, which may ask again */
    if (registration && p->cb.registered)
        p->cb.registered(p->ctx, login, code, text_or(detail), user);
    if (!registration && p->cb.exists)
        p->cb.exists(p->ctx, login, code, exists, user);
    free(login);
}

void outward_told(struct parley *p, struct out *e, enum parley_stage stage, enum parley_code code,
                  const char *detail, const Im__MsgAck *ack)
{
    struct parley_sent s = {.id = e->id,
                            .stage = stage,
                            .code = code,
                            .detail = text_or(detail),
                            .kind = (enum parley_kind)e->o.kind,
                            .to = e->o.to,
                            .client_seq = e->client_seq};
    if (ack) {
        if (ack->msg_id.len == PARLEY_ID)
            memcpy(s.msg_id, ack->msg_id.data, PARLEY_ID);
        if (ack->conversation.len == PARLEY_ID)
            memcpy(s.conversation, ack->conversation.data, PARLEY_ID);
        s.seq = ack->seq;
        s.time_ms = ack->time_ms;
    }
    bool tell = stage != PARLEY_ACCEPTED || !e->accepted;
    if (stage == PARLEY_ACCEPTED) {
        e->accepted = true;
    } else { /* out of the list before the callback, of the memory after it */
        outbox_take(&p->outbox, e);
        if (!p->dirty)
            p->save_by = clock_mono_ms() + SAVE_MS;
        p->dirty = true;
    }
    if (tell && p->cb.sent)
        p->cb.sent(p->ctx, &s);
    if (stage != PARLEY_ACCEPTED)
        free(e);
}

uint32_t outward_id(struct parley *p)
{
    if (++p->seq_id == 0)
        p->seq_id = 1;
    return p->seq_id;
}

uint32_t outward_frame(struct parley *p, uint16_t type, const ProtobufCMessage *m)
{
    uint32_t id = outward_id(p);
    link_frame(&p->link, type, id, m);
    return id;
}

static void send_requests(struct parley *p, int64_t now)
{
    struct request *r;
    DL_FOREACH (p->requests, r) {
        if (r->seq_id)
            continue;
        r->seq_id = outward_id(p);
        r->deadline = now + p->opt.answer_timeout_ms;
        if (r->registration) {
            Im__RegisterReq m = IM__REGISTER_REQ__INIT;
            m.login = r->login;
            m.password = r->password;
            m.display_name = r->display_name;
            link_frame(&p->link, IM__FRAME_TYPE__REGISTER_REQ, r->seq_id, &m.base);
        } else {
            Im__AccountExistsReq m = IM__ACCOUNT_EXISTS_REQ__INIT;
            m.login = r->login;
            link_frame(&p->link, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, r->seq_id, &m.base);
        }
    }
}

/* After registrations have their answer: the account may be one of them. */
static void send_login(struct parley *p, int64_t now)
{
    const struct request *r;
    DL_FOREACH (p->requests, r)
        if (r->registration)
            return;
    Im__LoginReq m = IM__LOGIN_REQ__INIT;
    if (p->password) {
        m.login = p->login;
        m.password = p->password;
    } else {
        m.token = p->state.token;
    }
    m.device_id = p->state.device_id;
    m.device_class = p->device_class;
    m.client = p->client;
    m.fresh = p->fresh;
    p->login_frame = outward_id(p);
    p->login_by = now + p->opt.answer_timeout_ms;
    link_frame(&p->link, IM__FRAME_TYPE__LOGIN_REQ, p->login_frame, &m.base);
}

static bool send_one(struct parley *p, struct out *e)
{
    if (e->o.body_n + HEADER > p->max_frame)
        return false;
    e->seq_id = outward_id(p);
    link_packed(&p->link, e->o.frame, e->seq_id, e->client_seq, e->o.body, e->o.body_n);
    if (e->o.kind == PARLEY_MESSAGE)
        p->typing_at = 0; /* the message says that it is over */
    return true;
}

static void send_chats(struct parley *p, int64_t now)
{
    bool fresh;
    struct out *e;
    if (p->goaway_by != NEVER || p->bye_by != NEVER || now < p->outbox.retry_at)
        return;
    p->outbox.retry_at = 0;
    while (p->st == PARLEY_ONLINE && (e = outbox_next(&p->outbox, p->window, &fresh))) {
        p->dirty |= fresh;
        if (!send_one(p, e))
            outward_told(p, e, PARLEY_NOT_SENT, PARLEY_FRAME_TOO_LARGE, "", NULL);
    }
}

static void send_receipts(struct parley *p, int64_t now)
{
    struct receipt r;
    while (receipts_next(p->receipts, now, &r)) {
        Im__MsgRead m = IM__MSG_READ__INIT;
        m.conversation = bytes_of(r.conv.b, ID_SIZE);
        m.read = r.read;
        m.delivered = r.delivered;
        outward_frame(p, IM__FRAME_TYPE__MSG_READ, &m.base);
    }
}

static void send_acks(struct parley *p)
{
    struct inbox_cursor c[CURSORS_A_FRAME];
    Im__Cursor v[CURSORS_A_FRAME], *pv[CURSORS_A_FRAME];
    for (;;) {
        Im__DeliveryAck m = IM__DELIVERY_ACK__INIT;
        m.upto = inbox_confirmed(p->inbox);
        m.n_cursors = inbox_take_cursors(p->inbox, c, CURSORS_A_FRAME);
        m.cursors = pv;
        if (!m.n_cursors && m.upto <= p->acked)
            return;
        for (size_t i = 0; i < m.n_cursors; i++) {
            im__cursor__init(&v[i]);
            v[i].conversation = (ProtobufCBinaryData){ID_SIZE, c[i].conv.b};
            v[i].from = c[i].from;
            v[i].upto = c[i].upto;
            pv[i] = &v[i];
        }
        p->acked = m.upto > p->acked ? m.upto : p->acked;
        m.upto = p->acked;
        p->dirty = true;
        outward_frame(p, IM__FRAME_TYPE__DELIVERY_ACK, &m.base);
    }
}

static void pulled(struct parley *p)
{
    struct pulling *u = &p->pull;
    if (!u->wanted || !u->done || inbox_waiting(p->inbox))
        return;
    u->wanted = u->started = u->done = false;
    if (p->cb.pulled)
        p->cb.pulled(p->ctx, inbox_behind(p->inbox) ? PARLEY_BEHIND : PARLEY_OK, u->rest);
}

void outward_last(struct parley *p, int64_t now)
{
    send_receipts(p, now + SAVE_MS); /* those that wait for a second to pass */
}

/* Neither this side nor the server is going. */
static bool asks_now(const struct parley *p)
{
    return p->goaway_by == NEVER && p->bye_by == NEVER;
}

void outward_pump(struct parley *p, int64_t now)
{
    p->poked = false;
    if (!p->link.up)
        return;
    send_requests(p, now);
    if (p->st == PARLEY_CONNECTED && p->want_login && !p->login_frame)
        send_login(p, now);
    if (p->st == PARLEY_ONLINE) {
        send_acks(p);
        pulled(p);
        send_chats(p, now);
        if (asks_now(p)) {
            fill_send(p, now);
            send_receipts(p, now);
            ask_send(p, now);
        }
        if (now >= p->beat_at) {
            p->beat_at = now + p->heartbeat_ms / 2;
            outward_frame(p, IM__FRAME_TYPE__HEARTBEAT, NULL);
        }
    }
    if (!p->link.out.n)
        return;
    if (p->dirty && p->st == PARLEY_ONLINE)
        life_save(p); /* numbers and cursors are kept before the server hears of them */
    int rc = link_flush(&p->link);
    if (rc)
        life_lost(p, PARLEY_DISCONNECTED, strerror(-rc), 0, now);
}

int64_t outward_due(const struct parley *p)
{
    int64_t due = NEVER;
    if (!p->link.up || p->st != PARLEY_ONLINE)
        return due;
    due = p->beat_at;
    if (p->outbox.retry_at && p->outbox.retry_at < due)
        due = p->outbox.retry_at;
    int64_t others[] = {fill_due(p), receipts_due(p->receipts), ask_due(p)};
    for (size_t i = 0; asks_now(p) && i < sizeof others / sizeof others[0]; i++)
        due = others[i] < due ? others[i] : due;
    return due;
}
