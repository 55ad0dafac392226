#include "client/lib/client.h"
#include "common/base/arena_protobuf.h"
#include "common/im/frame.h"

#include <errno.h>
#include <utlist.h>

#define READS_A_TURN 8
#define BUDGET       (48 << 20) /* of memory that one frame (1 MiB at most) may unpack to */

void inward_bad(struct parley *p, const char *what, int64_t now)
{
    life_error(p, PARLEY_PROTOCOL, what);
    life_lost(p, PARLEY_PROTOCOL, what, 0, now);
}

void *inward_unpack(struct parley *p, const ProtobufCMessageDescriptor *d, struct slice s)
{
    struct arena_protobuf pb;
    return protobuf_c_message_unpack(d, arena_protobuf_allocator(&pb, p->arena, BUDGET), s.n, s.p);
}

static void on_page(struct parley *p, const struct frame *f, int64_t now)
{
    struct pulling *u = &p->pull;
    struct id16 conv;
    const Im__PullOfflineRsp *r = inward_unpack(p, &im__pull_offline_rsp__descriptor, f->payload);
    if (!r) {
        inward_bad(p, "a page that cannot be read", now);
        return;
    }
    bool takes = p->cb.message != NULL;
    for (size_t i = 0; takes && i < r->n_cursors; i++)
        if (get_id(&r->cursors[i]->conversation, &conv))
            (void)inbox_have(p->inbox, conv, r->cursors[i]->from, r->cursors[i]->upto, false);
    for (size_t i = 0; takes && i < r->n_items; i++)
        events_item(p, r->items[i], now);
    if (takes) /* a new device starts at the head of its groups, too */
        events_news(p, r->news, r->n_news, p->new_device ? INBOX_START : 0, now);
    if (f->seq_id == 0) {
        p->fresh &= r->more;
        if (r->more && !(u->seq_id && !u->one)) {
            u->chain = true;
            u->after = r->next;
        }
        return;
    }
    if (f->seq_id != u->seq_id)
        return; /* answers a question that was asked once more */
    u->seq_id = 0;
    u->at = r->code ? now + 1000 : 0;
    if (r->code)
        return; /* the same again, later */
    u->rest |= r->rest_in_history;
    u->after = r->next;
    if (r->more)
        return;
    if (u->one) {
        u->one = false;
        inbox_answered(p->inbox, u->conv, u->rest, now);
    } else {
        u->chain = false;
        u->done |= u->started;
        p->fresh = false;
    }
}

static void placed(struct parley *p, const struct out *e, const Im__MsgAck *a)
{
    struct id16 conv;
    if (!get_id(&a->conversation, &conv))
        return;
    bool begins = e && (e->o.kind == PARLEY_GROUP_CREATE || e->o.kind == PARLEY_GROUP_JOIN);
    if (p->cb.message)
        (void)inbox_own(p->inbox, conv, a->seq, p->new_device || begins ? INBOX_START : 0);
    else /* remembered all the same: nobody will ever deliver it to this device, so it must not look like a hole */
        (void)inbox_have(p->inbox, conv, a->seq, a->seq, true);
    p->last_conv = conv;
    p->last_seq = a->seq;
    snprintf(p->last_to, sizeof p->last_to, "%s", e ? e->o.to : "");
}

static void on_ack(struct parley *p, const struct frame *f, int64_t now)
{
    const Im__MsgAck *a = inward_unpack(p, &im__msg_ack__descriptor, f->payload);
    if (!a) {
        inward_bad(p, "an acknowledgement that cannot be read", now);
        return;
    }
    struct out *e = outbox_by_seq(&p->outbox, a->client_seq);
    if (a->stage == IM__STAGE__ACCEPTED) {
        if (e) {
            e->held = true;
            outward_told(p, e, PARLEY_ACCEPTED, PARLEY_OK, "", a);
        }
        return;
    }
    inbox_event(p->inbox, f->seq_id);
    if (a->stage == IM__STAGE__SEQUENCED)
        placed(p, e, a);
    if (e && a->stage == IM__STAGE__SEQUENCED)
        outward_told(p, e, PARLEY_SEQUENCED, PARLEY_OK, "", a);
    else if (e && a->stage == IM__STAGE__NOTED)
        outward_told(p, e, PARLEY_NOTED, PARLEY_OK, "", a);
    else if (e && a->stage == IM__STAGE__STAGE_REFUSED)
        outward_told(p, e, PARLEY_NOT_SENT, (enum parley_code)a->code, "", a);
}

static void on_login(struct parley *p, const struct frame *f, int64_t now)
{
    const Im__LoginRsp *r = inward_unpack(p, &im__login_rsp__descriptor, f->payload);
    if (!r || !p->login_frame)
        inward_bad(p, "an answer to a log-in that was not asked for, or cannot be read", now);
    else if (r->code)
        life_login_refused(p, (enum parley_code)r->code, "", r->retry_after_ms, now);
    else
        life_logged_in(p, r, now);
}

static struct request *request_of(struct parley *p, uint32_t seq_id)
{
    struct request *r;
    DL_FOREACH (p->requests, r)
        if (seq_id && r->seq_id == seq_id)
            return r;
    return NULL;
}

static void on_answer(struct parley *p, const struct frame *f, int64_t now)
{
    struct request *r = request_of(p, f->seq_id);
    if (f->type == IM__FRAME_TYPE__REGISTER_RSP) {
        const Im__RegisterRsp *m = inward_unpack(p, &im__register_rsp__descriptor, f->payload);
        if (!m)
            inward_bad(p, "an answer that cannot be read", now);
        else if (r && r->registration)
            request_answer(p, r, (enum parley_code)m->code, "", false,
                           m->user.len == ID_SIZE ? m->user.data : NULL);
    } else {
        const Im__AccountExistsRsp *m = inward_unpack(p, &im__account_exists_rsp__descriptor, f->payload);
        if (!m)
            inward_bad(p, "an answer that cannot be read", now);
        else if (r && !r->registration)
            request_answer(p, r, (enum parley_code)m->code, "", m->exists,
                           m->user.len == ID_SIZE ? m->user.data : NULL);
    }
}

static bool passes(enum parley_code code)
{
    return code == PARLEY_BUSY || code == PARLEY_TOO_MANY_REQUESTS || code == PARLEY_TOO_MANY_UNRESOLVED ||
           code == PARLEY_INTERNAL || code == PARLEY_SHUTTING_DOWN || code == PARLEY_NOT_LOGGED_IN;
}

static void on_error(struct parley *p, const struct frame *f, int64_t now)
{
    const Im__Error *r = inward_unpack(p, &im__error__descriptor, f->payload);
    if (!r) {
        inward_bad(p, "an error that cannot be read", now);
        return;
    }
    char text[160];
    enum parley_code code = (enum parley_code)r->code;
    const char *field = text_or(r->field);
    snprintf(text, sizeof text, "%s%s%s%s", text_or(r->message), *field ? " (" : "", field,
             *field ? ")" : "");
    struct out *e = outbox_by_frame(&p->outbox, f->seq_id);
    struct request *q = request_of(p, f->seq_id);
    if (e && passes(code)) {
        outbox_again(&p->outbox, e, now + (r->retry_after_ms ? r->retry_after_ms : 1000));
        life_error(p, code, text);
    } else if (e) {
        outward_told(p, e, PARLEY_NOT_SENT, code, text, NULL);
    } else if (q) {
        request_answer(p, q, code, text, false, NULL);
    } else if (f->seq_id && f->seq_id == p->login_frame) {
        life_login_refused(p, code, text, r->retry_after_ms, now);
    } else if (f->seq_id && f->seq_id == p->pull.seq_id) {
        p->pull.seq_id = 0;
        p->pull.at = now + (r->retry_after_ms ? r->retry_after_ms : 1000);
    } else if (!fill_error(p, f->seq_id, code, now) &&
               !ask_error(p, f->seq_id, code, text, r->retry_after_ms, now)) {
        if (!f->seq_id) { /* about the connection, not about a frame */
            p->why = code;
            snprintf(p->why_text, sizeof p->why_text, "%s", text);
        } else if (passes(code)) {
            receipts_again(p->receipts, now);
            return;
        }
        life_error(p, code, text);
    }
}

static void on_kicked(struct parley *p, const struct frame *f, int64_t now)
{
    const Im__Kicked *k = inward_unpack(p, &im__kicked__descriptor, f->payload);
    if (!k) {
        inward_bad(p, "a farewell that cannot be read", now);
        return;
    }
    enum parley_code code = (enum parley_code)k->code;
    if (p->cb.kicked)
        p->cb.kicked(p->ctx, code, text_or(k->message));
    if (code == PARLEY_SESSION_REVOKED) {
        (void)state_set(&p->state.token, "");
        p->dirty = true;
    }
    if (code == PARLEY_SESSION_REPLACED || code == PARLEY_SESSION_REVOKED)
        life_end(p, code, text_or(k->message)); /* coming back would throw the other one out */
    else
        life_lost(p, code, text_or(k->message), 0, now);
}

static void on_goaway(struct parley *p, const struct frame *f, int64_t now)
{
    const Im__GoAway *g = inward_unpack(p, &im__go_away__descriptor, f->payload);
    p->goaway_by = now + 1000;
    p->retry_at = g ? g->retry_after_ms : 0;
}

static void handle(struct parley *p, const struct frame *f, int64_t now)
{
    switch (f->type) {
    case IM__FRAME_TYPE__MSG_ACK:
        on_ack(p, f, now);
        break;
    case IM__FRAME_TYPE__PULL_OFFLINE_RSP:
        on_page(p, f, now);
        break;
    case IM__FRAME_TYPE__LOGIN_RSP:
        on_login(p, f, now);
        break;
    case IM__FRAME_TYPE__REGISTER_RSP:
    case IM__FRAME_TYPE__ACCOUNT_EXISTS_RSP:
        on_answer(p, f, now);
        break;
    case IM__FRAME_TYPE__ERROR:
        on_error(p, f, now);
        break;
    case IM__FRAME_TYPE__KICKED:
        on_kicked(p, f, now);
        break;
    case IM__FRAME_TYPE__GOAWAY:
        on_goaway(p, f, now);
        break;
    case IM__FRAME_TYPE__LOGOUT_RSP:
        life_end(p, PARLEY_STOPPED, "");
        break;
    case IM__FRAME_TYPE__HISTORY_RSP:
        if (!fill_answer(p, f, now))
            ask_answer(p, f, now);
        break;
    default: /* heartbeats say nothing more than that they came; later versions may push more */
        if (!events_frame(p, f, now))
            ask_answer(p, f, now);
        break;
    }
}

static void frames(struct parley *p, int64_t now)
{
    size_t done = 0, size;
    struct frame f;
    while (p->link.up) {
        enum frame_rc rc = frame_decode(p->link.in.p + done, p->link.in.n - done, FRAME_CAP_MAX, &f, &size);
        if (rc == FRAME_MORE)
            break;
        if (rc != FRAME_READY) {
            inward_bad(p, "a frame of impossible length", now);
            return;
        }
        handle(p, &f, now);
        arena_reset(p->arena);
        done += size;
    }
    if (p->link.up)
        bytes_eat(&p->link.in, done);
}

void inward_burst(struct parley *p, int64_t now)
{
    for (int i = 0; i < READS_A_TURN && p->link.up; i++) {
        ssize_t n = link_read(&p->link);
        if (n == -EAGAIN)
            return;
        if (n > 0) {
            p->heard_at = now;
            frames(p, now);
        } else if (p->bye_by != NEVER) {
            life_end(p, PARLEY_STOPPED, "");
        } else {
            life_lost(p, PARLEY_DISCONNECTED, n ? strerror((int)-n) : "the server closed the connection", 0,
                      now);
        }
    }
}
