/* group_frames.c: what members say and hear. */
#include "bench/group.h"
#include "bench/result.h"

#include "common/im/codes.h"
#include "common/im/frame.h"
#include "common/im/wire.h"

#include <stdlib.h>

#define TRIES 20

static struct member *member_of(struct link *k)
{
    return container_of(k, struct member, k);
}

static struct group *group_of(struct link *k)
{
    return container_of(k->set, struct group, links);
}

static void is_ready(struct group *g, struct member *m)
{
    m->ready = true;
    g->phase_ns = now_ns();
    if (++g->ready == g->n)
        group_make(g);
}

void group_up(struct link *k)
{
    struct group *g = group_of(k);
    if (g->o.bare)
        is_ready(g, member_of(k));
    else
        link_login(k, 1, g->people.v[k->index].token);
}

void group_over(struct link *k, const char *why)
{
    struct group *g = group_of(k);
    struct member *m = member_of(k);
    if (g->phase == G_OVER || (!m->ready && m->tries++ < TRIES))
        return; /* opened again with the next tick */
    group_fail(g, "member %u: %s", k->index, why);
}

/* ---- out ---- */
static struct group_sent *room(struct group *g, uint64_t op)
{
    if (op >= g->sent_cap) {
        size_t cap = g->sent_cap ? 2 * g->sent_cap : 4096;
        struct group_sent *more = realloc(g->sent, cap * sizeof *more);
        if (!more)
            abort();
        memset(more + g->sent_cap, 0, (cap - g->sent_cap) * sizeof *more);
        g->sent = more;
        g->sent_cap = cap;
    }
    return &g->sent[op];
}

/* GroupChat by hand: client_seq = 1, conversation = 2, text = 3. */
void group_chat(struct group *g)
{
    uint8_t b[4096], *p = b;
    uint64_t op = g->ops++;
    *room(g, op) = (struct group_sent){now_ns(), 0};
    *p++ = 1 << 3 | WIRE_VARINT;
    p = wire_put_varint(p, g->base + 1 + op);
    *p++ = 2 << 3 | WIRE_BYTES;
    *p++ = 16;
    p = wire_put(p, g->conv, 16);
    *p++ = 3 << 3 | WIRE_BYTES;
    p = wire_put_varint(p, g->o.size);
    p = wire_put(p, g->text, g->o.size);
    link_frame(&g->m[0].k, IM__FRAME_TYPE__GROUP_CHAT, (uint32_t)op + 16, b, (size_t)(p - b));
}

void group_fill(struct group *g)
{
    while ((g->phase == G_WARM || g->phase == G_MEASURE) && g->ops - g->first - g->done < g->o.in_flight)
        group_chat(g);
}

void group_confirm(struct group *g, struct member *m)
{
    uint8_t b[128];
    Im__DeliveryAck a = IM__DELIVERY_ACK__INIT;
    Im__Cursor cursor = IM__CURSOR__INIT, *one[1] = {&cursor};
    if (g->o.bare || !m->k.open || m->delivery == m->confirmed)
        return;
    a.upto = m->confirmed = m->delivery;
    if (m->upto && g->conv_known) {
        cursor.conversation = (ProtobufCBinaryData){16, g->conv};
        cursor.from = m->from;
        cursor.upto = m->upto;
        a.cursors = one;
        a.n_cursors = 1;
    }
    link_frame(&m->k, IM__FRAME_TYPE__DELIVERY_ACK, 0, b, im__delivery_ack__pack(&a, b));
}

/* ---- in ---- */
static void on_login(struct group *g, struct member *m, struct wire w)
{
    uint64_t code = 0;
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.id == 1)
            code = f.number;
        else if (f.id == 8 && m == g->m)
            g->base = f.number;
    }
    if (code == IM__CODE__OK)
        is_ready(g, m);
    else if (code == IM__CODE__BUSY || code == IM__CODE__TOO_MANY_REQUESTS)
        link_close(&m->k); /* the next tick tries again */
    else
        group_fail(g, "log-in of member %u: code %llu", m->k.index, (unsigned long long)code);
}

static void all_have(struct group *g, struct group_sent *s)
{
    if (g->phase == G_PROBE && s != &g->sent[g->ops - 1])
        return; /* a later one is on its way: only when all have that, all stand at the same number */
    if (g->phase == G_PROBE) {
        group_enter(g, G_WARM);
        g->first = g->ops;
        for (size_t i = 1; i < g->n; i++)
            if (g->m[i].upto != g->m[1].upto)
                group_fail(g, "members differ after a message that all have");
        g->first_seq = g->m[1].upto;
        if (!g->o.bare && g->o.kafka && ends_read(g->o.kafka, &g->before))
            group_fail(g, "Kafka does not answer");
        g->phase_ns = now_ns();
    } else if (s >= g->sent + g->first) {
        g->done++;
    }
    group_fill(g);
}

static void on_push(struct group *g, struct member *m, struct wire w)
{
    uint64_t seq = 0, client_seq = 0, kind = 0;
    struct slice conv = {0};
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.id == 1)
            conv = f.bytes;
        else if (f.id == 2)
            seq = f.number;
        else if (f.id == 6)
            client_seq = f.number;
        else if (f.id == 14)
            kind = f.number;
    }
    if (conv.n != 16 || (g->conv_known && memcmp(conv.p, g->conv, 16) != 0))
        return; /* another group's, from an earlier run */
    if (seq <= m->upto || (g->phase >= G_WARM && seq != m->upto + 1)) {
        group_fail(g, "member %u: number %llu after %llu", m->k.index, (unsigned long long)seq,
                   (unsigned long long)m->upto);
        return;
    }
    if (!m->upto || seq != m->upto + 1)
        m->from = seq;
    m->upto = seq;
    uint64_t op = client_seq - g->base - 1;
    if (kind != IM__CONV_KIND__CONV_MESSAGE || client_seq <= g->base || op >= g->ops)
        return;
    struct group_sent *s = &g->sent[op];
    g->delivered++;
    if (g->phase == G_MEASURE && s->at_ns >= g->start.at_ns)
        hist_add(g->latency, now_ns() - s->at_ns);
    if (++s->got == g->o.receivers)
        all_have(g, s);
}

static void on_ack(struct group *g, struct member *m, uint32_t seq_id, struct wire w)
{
    uint64_t stage = 0, seq = 0, code = 0;
    struct slice conv = {0};
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.id == 2)
            stage = f.number;
        else if (f.id == 4)
            conv = f.bytes;
        else if (f.id == 5)
            seq = f.number;
        else if (f.id == 6)
            code = f.number;
    }
    if (stage == IM__STAGE__ACCEPTED)
        return;
    m->delivery = seq_id;
    if (stage != IM__STAGE__SEQUENCED) {
        group_fail(g, "refused: code %llu", (unsigned long long)code);
        return;
    }
    if (g->head && seq != g->head + 1)
        group_fail(g, "the sender was told %llu after %llu", (unsigned long long)seq,
                   (unsigned long long)g->head);
    g->head = seq;
    g->sequenced++;
    if (g->phase != G_MAKE)
        return;
    if (conv.n == 16)
        memcpy(g->conv, conv.p, 16);
    g->conv_known = true;
    group_made(g, g->sequenced);
}

void group_frame(struct link *k, uint16_t type, uint32_t seq_id, struct slice payload)
{
    struct group *g = group_of(k);
    struct member *m = member_of(k);
    const struct frame_type *t;
    struct wire_field f;
    struct wire w = wire_of(payload);
    if (type == IM__FRAME_TYPE__CHAT_PUSH) {
        m->delivery = seq_id;
        on_push(g, m, w);
    } else if (type == IM__FRAME_TYPE__MSG_ACK) {
        on_ack(g, m, seq_id, w);
    } else if (type == IM__FRAME_TYPE__LOGIN_RSP) {
        on_login(g, m, w);
    } else if (type == IM__FRAME_TYPE__ERROR || type == IM__FRAME_TYPE__KICKED) {
        uint64_t code = wire_next(&w, &f) && f.id == 1 ? f.number : 0;
        group_fail(g, "member %u: %s, code %llu", k->index, frame_name(type), (unsigned long long)code);
    } else if ((t = frame_type(type)) && t->flags & FRAME_PUSH && seq_id) {
        m->delivery = seq_id; /* NEWS_PUSH and the like */
    }
    if (m->delivery - m->confirmed >= g->o.ack_every)
        group_confirm(g, m);
}
