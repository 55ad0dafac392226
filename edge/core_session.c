/* core_session.c: requests that wait, timers, and how a connection ends. */
#include "edge/state.h"

#include <stdlib.h>

bool edge_pend(struct edge_core *e, struct econn *c, uint16_t type, uint32_t seq_id, struct slice payload)
{
    struct pend *p = calloc(1, sizeof *p);
    struct buf *frame = buf_copy(payload.p, payload.n);
    if (!p || !frame) {
        free(p);
        buf_unref(frame);
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 1000);
        return false;
    }
    *p = (struct pend){.type = type, .seq_id = seq_id, .until_ms = INT64_MAX, .login_at = -1, .frame = frame};
    p->purpose = ++e->next_purpose;
    c->pend = p;
    c->paused = true;
    e->out->pause(e->ctx, c->index, true);
    return true;
}

void edge_pend_free(struct edge_core *e, struct econn *c)
{
    if (!c->pend)
        return;
    secret_wipe(c->pend->frame->data, c->pend->frame->n);
    buf_unref(c->pend->frame);
    free(c->pend->wanted);
    free(c->pend);
    c->pend = NULL;
    c->paused = false;
    if (c->state != C_CLOSING)
        e->out->pause(e->ctx, c->index, false);
}

void edge_me(const struct edge_core *e, const struct econn *c, struct session *s)
{
    *s = (struct session){.user = c->user,
                          .device = c->device,
                          .slot = e->slot,
                          .epoch = e->epoch,
                          .handle = c->handle,
                          .login_offset = c->login_offset};
}

void edge_cursors_flush(struct edge_core *e, struct econn *c)
{
    if (!c->cursors)
        return;
    for (uint32_t i = 0; i < c->cursors->n; i++) {
        struct edge_range *r = &c->cursors->v[i];
        Im__CursorRecord m = IM__CURSOR_RECORD__INIT;
        uint8_t key[KEY_CURSOR];
        m.version = CODEC_VERSION;
        m.user = codec_bytes(slice_id(&c->user));
        m.device = c->device;
        m.conversation = codec_bytes(slice_id(&r->conv));
        m.from = r->from;
        m.upto = r->upto;
        key_cursor(c->user, c->device, r->conv, key);
        edge_outbox(e, T_CURSOR, c->user, slice_of(key, sizeof key), &m.base, NULL, 0);
        e->stats.cursors++;
    }
    edge_cursors_release(c->cursors);
    free(c->cursors);
    c->cursors = NULL;
    c->cursor_ms = edge_ms32(e);
}

/* What is owed and not confirmed is handed back: a message as it is, a pointer as a pointer. */
static void cut_item(void *ctx, ticket t, const struct ditem *it)
{
    struct edge_core *e = ctx;
    if (ditem_owed(it->kind))
        edge_bounce_add(e, e->bounce, t, it->conv, it->seq,
                        slice_of(it->payload, it->kind == IM__ITEM_KIND__ITEM_POINTED ? 0 : it->n));
}

static void write_end(struct edge_core *e, struct econn *c, enum edge_cut why)
{
    static const uint16_t codes[EDGE_CUTS] = {
        [EDGE_CUT_SLOW] = IM__CODE__SLOW_READER,    [EDGE_CUT_SILENT] = IM__CODE__IDLE_TIMEOUT,
        [EDGE_CUT_LOGIN] = IM__CODE__LOGIN_TIMEOUT, [EDGE_CUT_KICKED] = IM__CODE__SESSION_REPLACED,
        [EDGE_CUT_DRAIN] = IM__CODE__SHUTTING_DOWN,
    };
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InEnd end = IM__IN_END__INIT;
    Im__Session pb;
    struct session me;
    edge_inbound(e, c, true, 0, &in, &pb, &me);
    end.reason = (Im__Code)codes[why];
    in.body_case = IM__INBOUND__BODY_END;
    in.end = &end;
    edge_outbox(e, T_INBOUND, c->user, slice_id(&c->user), &in.base, NULL, 0);
}

void edge_close(struct edge_core *e, struct econn *c, enum edge_cut why)
{
    if (c->state == C_CLOSING)
        return;
    bool owed = c->state == C_SESSION || c->state == C_LOGIN, mine = why != EDGE_CUT_LEASE;
    if (c->state == C_SESSION) {
        e->stats.sessions--;
        departed_add(e->departed, &(struct departed_one){c->user, c->login_offset, c->device, c->handle});
    }
    if (mine && delivery_count(&c->d)) {
        struct session me;
        edge_me(e, c, &me);
        struct edge_bounce *b = edge_bounce_begin(e, &me);
        delivery_cut(e->delivery, &c->d, cut_item, e);
        edge_bounce_end(e, b);
    } else {
        delivery_cut(e->delivery, &c->d, NULL, NULL);
    }
    if (mine && c->state == C_SESSION)
        edge_cursors_flush(e, c);
    if (mine && owed)
        write_end(e, c, why);
    c->state = C_CLOSING;
    edge_pend_free(e, c);
    if (c->sends) {
        c->sends->next = e->free_sends;
        e->free_sends = c->sends;
        c->sends = NULL;
    }
    if (c->cursors) {
        edge_cursors_release(c->cursors);
        free(c->cursors);
        c->cursors = NULL;
    }
    asked_free(&c->asked);
    handles_del(&e->handles, c->handle);
    timer_stop(e->wheel, &c->timer);
    e->stats.cuts[why]++;
    e->out->close(e->ctx, c->index, why);
}
