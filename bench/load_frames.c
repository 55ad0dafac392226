/* load_frames.c: what an edge says. Only the fields that are looked at are decoded. */
#include "bench/load.h"
#include "bench/result.h"

#include "common/im/codes.h"
#include "common/im/frame.h"
#include "common/im/wire.h"

#include <stdlib.h>

#define AGAIN_MS 200

static const char *code_of(uint64_t code)
{
    static char text[32];
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&im__code__descriptor, (int)code);
    if (v)
        return v->name;
    snprintf(text, sizeof text, "code %llu", (unsigned long long)code);
    return text;
}

static bool passes(uint64_t code)
{
    return code == IM__CODE__BUSY || code == IM__CODE__TOO_MANY_REQUESTS || code == IM__CODE__SHUTTING_DOWN ||
           code == IM__CODE__INTERNAL;
}

static void try_again(struct conn *c, const char *what, uint64_t code)
{
    if (code == IM__CODE__LOGIN_TIMEOUT)
        conn_over(c, "LOGIN_TIMEOUT"); /* a machine with too much to do */
    else if (passes(code))
        c->retry_ms = loop_now_ms(c->l->loop) + AGAIN_MS;
    else
        load_fail(c->l, "%s: %s: %s", c->login, what, code_of(code));
}

static void on_registered(struct conn *c, struct wire w)
{
    uint64_t code = 0;
    struct wire_field f;
    while (wire_next(&w, &f))
        if (f.id == 1)
            code = f.number;
    if (code != IM__CODE__OK && code != IM__CODE__ACCOUNT_EXISTS) {
        try_again(c, "registering", code);
        return;
    }
    c->registered = true;
    conn_login(c);
}

static void on_login(struct conn *c, struct wire w)
{
    uint64_t code = 0, window = 64;
    struct slice token = {0}, user = {0};
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.id == 1)
            code = f.number;
        else if (f.id == 2)
            user = f.bytes;
        else if (f.id == 5)
            token = f.bytes;
        else if (f.id == 8)
            c->base = f.number;
        else if (f.id == 11)
            window = f.number;
    }
    if (code && c->token) { /* of another deployment, or too old */
        free(c->token);
        c->token = NULL;
        conn_login(c);
        return;
    }
    if (code || user.n != 16) {
        try_again(c, "log-in", code);
        return;
    }
    free(c->token);
    c->token = strndup(token.p, token.n);
    memcpy(c->user, user.p, 16);
    if (window && c->l->o.window > window)
        c->l->o.window = window;
    c->state = CONN_READY;
    load_ready(c->l, c);
}

static void have(struct conn *c, uint64_t seq, struct slice conv)
{
    if (!c->conv_known && conv.n == 16) {
        memcpy(c->conv_id, conv.p, 16);
        c->conv_known = true;
    }
    if (!c->upto)
        c->from = c->upto = seq;
    else if (seq == c->upto + 1)
        c->upto = seq;
}

static bool in_window(const struct load *l, int64_t sent_ns)
{
    return sent_ns >= l->start.at_ns && l->start.at_ns &&
           (l->phase == LOAD_MEASURE || sent_ns < l->end.at_ns);
}

static void settle(struct conn *sender, uint32_t n)
{
    if (!check_done(sender->l->check, sender->conv, sender->side, n))
        return;
    sender->finished++;
    sender->l->done++;
    pace_done(sender->l, sender);
}

/* Of an earlier run: the device's queue held it. */
static bool leftover(struct conn *sender, uint64_t client_seq)
{
    if (client_seq > sender->base && sender->base)
        return false;
    sender->l->leftovers++;
    return true;
}

static void on_push(struct conn *c, struct wire w)
{
    struct load *l = c->l;
    uint64_t seq = 0, client_seq = 0;
    struct slice conv = {0};
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.id == 1)
            conv = f.bytes;
        else if (f.id == 2)
            seq = f.number;
        else if (f.id == 6)
            client_seq = f.number;
    }
    struct conn *sender = c->peer;
    if (leftover(sender, client_seq))
        return;
    uint32_t n = (uint32_t)(client_seq - sender->base - 1);
    have(c, seq, conv);
    if (!check_pushed(l->check, c->conv, sender->side, n, seq))
        return;
    int64_t sent_ns = check_time(l->check, c->conv, sender->side, n), now = now_ns();
    l->delivered++;
    hist_add(l->recent, now - sent_ns);
    if (in_window(l, sent_ns))
        hist_add(l->deliver, now - sent_ns);
    settle(sender, n);
}

static void on_ack(struct conn *c, uint32_t seq_id, struct wire w)
{
    struct load *l = c->l;
    uint64_t client_seq = 0, stage = 0, seq = 0, code = 0;
    struct slice conv = {0};
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.id == 1)
            client_seq = f.number;
        else if (f.id == 2)
            stage = f.number;
        else if (f.id == 4)
            conv = f.bytes;
        else if (f.id == 5)
            seq = f.number;
        else if (f.id == 6)
            code = f.number;
    }
    if (stage != IM__STAGE__ACCEPTED && seq_id)
        c->delivery = seq_id;
    if (leftover(c, client_seq))
        return;
    uint32_t n = (uint32_t)(client_seq - c->base - 1);
    int64_t sent_ns = check_time(l->check, c->conv, c->side, n), now = now_ns();
    if (stage == IM__STAGE__ACCEPTED) {
        if (check_acked(l->check, c->conv, c->side, n)) {
            l->acked++;
            if (in_window(l, sent_ns))
                hist_add(l->ack, now - sent_ns);
        }
    } else if (stage == IM__STAGE__SEQUENCED) {
        have(c, seq, conv);
        if (check_sequenced(l->check, c->conv, c->side, n, seq)) {
            if (in_window(l, sent_ns))
                hist_add(l->sequenced, now - sent_ns);
            settle(c, n);
        }
    } else {
        load_fail(l, "%s: a message was refused: %s", c->login, code_of(code));
    }
}

static void on_queue_page(struct conn *c, struct wire w)
{
    struct wire_field f;
    while (wire_next(&w, &f))
        if (f.id == 1 && f.type == WIRE_BYTES)
            on_push(c, wire_of(f.bytes));
}

static void on_error(struct conn *c, struct wire w)
{
    uint64_t code = 0;
    struct wire_field f;
    while (wire_next(&w, &f))
        if (f.id == 1)
            code = f.number;
    if (c->state == CONN_REGISTERING || c->state == CONN_LOGGING_IN)
        try_again(c, "the edge says", code);
    else
        load_fail(c->l, "%s: the edge says %s", c->login, code_of(code));
}

void conn_on_frame(struct conn *c, uint16_t type, uint32_t seq_id, const uint8_t *payload, size_t n)
{
    struct wire w = wire_of((struct slice){payload, n});
    switch (type) {
    case IM__FRAME_TYPE__CHAT_PUSH:
        c->delivery = seq_id;
        on_push(c, w);
        break;
    case IM__FRAME_TYPE__MSG_ACK:
        on_ack(c, seq_id, w);
        break;
    case IM__FRAME_TYPE__REGISTER_RSP:
        on_registered(c, w);
        break;
    case IM__FRAME_TYPE__LOGIN_RSP:
        on_login(c, w);
        break;
    case IM__FRAME_TYPE__PULL_OFFLINE_RSP:
        on_queue_page(c, w);
        break;
    case IM__FRAME_TYPE__ERROR:
        on_error(c, w);
        break;
    case IM__FRAME_TYPE__KICKED:
    case IM__FRAME_TYPE__GOAWAY:
        if (c->l->phase < LOAD_OVER)
            load_fail(c->l, "%s: the edge sent %s", c->login, frame_name(type));
        break;
    default: /* HEARTBEAT, LOGOUT_RSP */
        break;
    }
    if (c->delivery - c->confirmed >= c->l->o.ack_every)
        conn_confirm(c);
}
