#include "auditor/spans.h"

#include "common/base/clock.h"

#include <string.h>

struct place {
    int64_t offset;
    int32_t part;
    int32_t topic_hash; /* of no use to anybody else: only tells topics apart */
};

static int32_t hash(const char *s)
{
    uint32_t h = 5381;
    while (*s)
        h = h * 33 + (uint8_t)*s++;
    return (int32_t)h;
}

/* False: not exported. Else what all spans of this message have, and send's id. */
static bool begin(const struct spans *s, const struct books_message *m, struct otlp_span *out,
                  uint8_t send[TRACE_SPAN])
{
    uint8_t trace[TRACE_SIZE];
    if (m->trace.n == TRACE_SIZE)
        memcpy(trace, m->trace.p, TRACE_SIZE);
    else
        traceid_begin(NULL, m->msg_id, trace); /* written before there were any */
    if (!otlp_wants(s->otlp, trace) || m->time_ms < clock_wall_ms() - SPANS_OLD_MS)
        return false;
    const struct place at = {m->offset, m->part, hash(s->topic)};
    traceid_span(trace, "send", &at, sizeof at, send);
    *out = (struct otlp_span){
        .conv = m->conv, .msg_id = m->msg_id, .seq = m->seq, .start_us = m->time_ms * 1000};
    memcpy(out->trace, trace, TRACE_ID);
    memcpy(out->parent, trace + TRACE_ID, TRACE_SPAN);
    return true;
}

static void child(struct otlp_span *o, const char *name, const uint8_t send[TRACE_SPAN],
                  const struct place *at)
{
    uint8_t of_send[TRACE_SIZE];
    memcpy(of_send, o->trace, TRACE_ID);
    memcpy(of_send + TRACE_ID, send, TRACE_SPAN);
    o->name = name;
    memcpy(o->parent, send, TRACE_SPAN);
    traceid_span(of_send, name, at, sizeof *at, o->id);
}

static void numbered(void *ctx, const struct books_message *m, int64_t edge_time_us)
{
    const struct spans *s = ctx;
    struct otlp_span o;
    uint8_t send[TRACE_SPAN];
    if (!begin(s, m, &o, send))
        return;
    o.who = OTLP_EDGE;
    o.kind = OTLP_SERVER;
    o.name = "send";
    memcpy(o.id, send, TRACE_SPAN);
    o.end_us = o.start_us;
    if (edge_time_us > 0 && edge_time_us < o.end_us)
        o.start_us = edge_time_us;
    o.topic = s->topic;
    o.part = m->part;
    o.offset = m->offset;
    otlp_add(s->otlp, &o);
}

static void sent(void *ctx, const struct books_message *m, const struct books_sight *to)
{
    const struct spans *s = ctx;
    struct otlp_span o;
    uint8_t send[TRACE_SPAN];
    if (!begin(s, m, &o, send))
        return;
    const struct place at = {to->offset, to->part, hash(to->topic)};
    o.who = OTLP_FANOUT;
    o.kind = OTLP_PRODUCER;
    child(&o, to->offline ? "queue" : "deliver", send, &at);
    o.end_us = to->time_ms * 1000;
    o.topic = to->topic;
    o.part = to->part;
    o.offset = to->offset;
    o.recipients = (uint32_t)to->n_users;
    otlp_add(s->otlp, &o);
}

static void stored(void *ctx, const struct books_message *m)
{
    const struct spans *s = ctx;
    struct otlp_span o;
    uint8_t send[TRACE_SPAN];
    if (!begin(s, m, &o, send))
        return;
    const struct place at = {m->offset, m->part, 0};
    o.who = OTLP_PERSISTER;
    o.kind = OTLP_CONSUMER;
    child(&o, "store", send, &at);
    o.end_us = clock_wall_us();
    otlp_add(s->otlp, &o);
}

void spans_init(struct spans *s, struct otlp *otlp, const char *topic)
{
    *s = (struct spans){.otlp = otlp,
                        .topic = topic,
                        .hops = {.ctx = s, .numbered = numbered, .sent = sent, .stored = stored}};
}
