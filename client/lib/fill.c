/* fill.c: asks the server for what the inbox misses: the device's queue by PULL_OFFLINE_REQ, history by HISTORY_REQ. */
#include "client/lib/client.h"
#include "common/im/frame.h"

#define PAGE       200
#define HISTORY_MS 6000 /* no answer: history is away, and messages do not wait for it for ever */

static void send_history(struct parley *p, int64_t now)
{
    struct filling *u = &p->fill;
    Im__Wait wait = IM__WAIT__INIT;
    Im__HistoryReq m = IM__HISTORY_REQ__INIT;
    wait.conversation = m.conversation = bytes_of(u->q.conv.b, ID_SIZE);
    wait.seq = u->q.upto;
    m.wait = wait.seq ? &wait : NULL;
    m.seq = u->q.after;
    m.direction = IM__DIRECTION__AFTER;
    m.limit = PAGE;
    m.events = true;
    u->at = now + HISTORY_MS;
    u->seq_id = outward_frame(p, IM__FRAME_TYPE__HISTORY_REQ, &m.base);
}

static void send_pull(struct parley *p, int64_t now)
{
    struct pulling *u = &p->pull;
    Im__PullOfflineReq m = IM__PULL_OFFLINE_REQ__INIT;
    m.after = u->after;
    m.conversation = (ProtobufCBinaryData){u->one ? ID_SIZE : 0, u->conv.b};
    u->at = now + p->opt.answer_timeout_ms; /* then once more: only the worker that answers may be away */
    u->seq_id = outward_frame(p, IM__FRAME_TYPE__PULL_OFFLINE_REQ, &m.base);
}

/* What the inbox asks goes one by one: the queue has its own pages. */
static void next_question(struct parley *p, int64_t now)
{
    struct inbox_question q;
    if (p->fill.on || p->pull.one || p->pull.chain || !inbox_ask(p->inbox, now, &q))
        return;
    if (q.history) {
        p->fill = (struct filling){.on = true, .q = q};
        return;
    }
    p->pull.one = true;
    p->pull.conv = q.conv;
    p->pull.after = 0;
    p->pull.rest = false;
}

void fill_send(struct parley *p, int64_t now)
{
    struct pulling *u = &p->pull;
    if (p->fill.on && p->fill.seq_id && now >= p->fill.at) {
        p->fill.on = false;
        inbox_past_failed(p->inbox, p->fill.q.conv, false, now);
    }
    if (!u->seq_id && !u->one && !u->chain && u->wanted && !u->started) {
        u->chain = u->started = true;
        u->done = u->rest = false;
        u->after = 0;
    }
    if (now >= u->at)
        next_question(p, now);
    if (p->fill.on && !p->fill.seq_id)
        send_history(p, now);
    if ((u->one || u->chain) && now >= u->at)
        send_pull(p, now);
}

int64_t fill_due(const struct parley *p)
{
    const struct pulling *u = &p->pull;
    bool busy = u->seq_id || u->one || u->chain || (u->wanted && !u->started);
    int64_t due = busy ? u->at : p->fill.on ? NEVER : inbox_due(p->inbox);
    if (!busy && due < u->at)
        due = u->at;
    return p->fill.on && p->fill.at < due ? p->fill.at : due;
}

static void take_page(struct parley *p, const Im__HistoryRsp *r, int64_t now)
{
    struct id16 conv = p->fill.q.conv;
    uint64_t after = p->fill.q.after;
    bool progress = false;
    for (size_t i = 0; i < r->n_items; i++) {
        const Im__ChatPush *c = r->items[i]->event;
        size_t n = c ? protobuf_c_message_get_packed_size(&c->base) : 0;
        uint8_t *packed = n ? arena_alloc(p->arena, n) : NULL;
        if (!packed || c->seq <= after)
            continue;
        protobuf_c_message_pack(&c->base, packed);
        inbox_past(p->inbox, conv, after, c->seq, packed, n);
        after = c->seq;
        progress = true;
    }
    bool more = r->more_after && progress;
    inbox_past_end(p->inbox, conv, after, more || r->more_after || r->head < after ? after : r->head, more,
                   now);
}

static bool stays_so(enum parley_code code)
{
    return code / 100 == 4; /* the conversation said no */
}

bool fill_error(struct parley *p, uint32_t seq_id, enum parley_code code, int64_t now)
{
    if (!p->fill.on || !seq_id || p->fill.seq_id != seq_id)
        return false;
    p->fill.on = false;
    if (code == PARLEY_UNKNOWN_TYPE)
        inbox_no_history(p->inbox);
    inbox_past_failed(p->inbox, p->fill.q.conv, stays_so(code), now);
    return true;
}

bool fill_answer(struct parley *p, const struct frame *f, int64_t now)
{
    if (!p->fill.on || !f->seq_id || p->fill.seq_id != f->seq_id)
        return false;
    const Im__HistoryRsp *r = inward_unpack(p, &im__history_rsp__descriptor, f->payload);
    if (!r)
        inward_bad(p, "a page of history that cannot be read", now);
    else if (r->code)
        (void)fill_error(p, f->seq_id, (enum parley_code)r->code, now);
    else {
        p->fill.on = false;
        take_page(p, r, now);
    }
    return true;
}
