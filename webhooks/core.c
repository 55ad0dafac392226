#include "webhooks/core.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/shell.h"
#include "common/im/bodykeys.h"
#include "common/im/convcache.h"
#include "common/im/convrec.h"
#include "common/im/dead.h"
#include "common/im/traceid.h"
#include "common/im/wire.h"
#include "webhooks/event.h"

#include <errno.h>
#include <stdlib.h>

#define HEAD (36 + ID_SIZE) /* part:4 offset:8 time:8 seq:8 user:16 body:4+4 */

METRIC_COUNTER(events, "parley_webhooks_events_total", "Events that an endpoint is to get.", "endpoint");
METRIC_COUNTER(skipped, "parley_webhooks_skipped_total",
               "Records without an event: repeats, refusals, notes, kinds and conversations not asked for.");

struct hook {
    const struct endpoint *endpoint;
    struct convcache *convs;
    struct bodykeys *bodies;
    struct bytes text; /* of the event being written */
    int64_t quiet;
    int32_t part;
};

static void hook_close(void *core)
{
    struct hook *h = core;
    if (!h)
        return;
    convcache_free(h->convs);
    bytes_release(&h->text);
    free(h);
}

static void *hook_open(const struct core_open *o)
{
    const struct hook_settings *s = o->settings;
    struct hook *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->endpoint = s->endpoint;
    h->part = o->part;
    h->quiet = o->quiet[0];
    h->bodies = o->shared;
    h->convs = convcache_new(H_CELL, (size_t)s->cache_bytes);
    if (h->convs)
        return h;
    free(h);
    return NULL;
}

static enum core_rc stop(const struct hook *h, const struct record *r, const char *why)
{
    log_error("conversation record cannot be applied", log_str("endpoint", h->endpoint->name),
              log_int("part", h->part), log_int("offset", r->offset),
              traceid_log(dead_trace(r->topic, r->value)), log_str("why", why));
    return CORE_STOP;
}

/* A record that no version can read is a no-op for every reader; fanout has buried it. -EBADMSG then. */
static int decode(const struct record *r, struct convrec *rec)
{
    int rc = convrec_decode(r->value, r->time_ms, rec);
    return rc ? rc : conv_rules_known(rec->event.rules) ? 0 : -ENOTSUP;
}

static bool may_be_told(const struct hook *h, const struct record *r, const struct convrec *rec)
{
    return r->offset >= h->quiet && endpoint_wants(h->endpoint, rec->event.kind, rec->event.conv);
}

/* Can the body be opened? */
static enum core_rc look(const struct hook *h, const struct record *r, const struct convrec *rec)
{
    switch (h->bodies ? bodykeys_look(h->bodies, rec) : BODY_OK) {
    case BODY_LATER:
        return CORE_LATER;
    case BODY_LOCKED:
        return stop(h, r, "the sender's key is sealed under a master key that is not in the ring");
    default:
        return CORE_OK;
    }
}

static enum core_rc hook_plan(void *core, const struct record *r, struct want *want)
{
    struct hook *h = core;
    struct convrec rec;
    int rc = decode(r, &rec);
    if (rc == -ENOTSUP)
        return stop(h, r, "its version or rules are newer than this program: upgrade it");
    if (rc)
        return CORE_OK;
    enum core_rc opens = may_be_told(h, r, &rec) ? look(h, r, &rec) : CORE_OK;
    return opens ? opens : convcache_plan(h->convs, &rec.event, want);
}

static void hook_load(void *core, uint8_t table, struct slice key, struct slice row)
{
    struct hook *h = core;
    if (table == H_CELL)
        convcache_load(h->convs, key, row);
}

static enum core_rc tell(struct hook *h, const struct record *r, const struct convrec *rec,
                         const struct conv_outcome *out, struct fx *fx)
{
    struct convrec_body clear = rec->body;
    uint8_t *room = h->bodies && clear.key_id ? fx_alloc(fx, clear.sealed.n) : NULL;
    enum bodykeys_rc opened = h->bodies ? bodykeys_open(h->bodies, rec, room, &clear) : BODY_OK;
    if (opened != BODY_OK && opened != BODY_ERASED)
        return stop(h, r, "the sender's key is gone that was here a moment ago");
    const struct event e = {.rec = rec,
                            .out = out,
                            .body = &clear,
                            .conv = convcache_last(h->convs),
                            .part = h->part,
                            .offset = r->offset,
                            .erased = opened == BODY_ERASED};
    bytes_clear(&h->text);
    struct event_span span = event_write(&h->text, &e);
    if (!bytes_ok(&h->text))
        return stop(h, r, "no memory");
    uint8_t *value = fx_alloc(fx, HEAD + h->text.n), *p = value;
    p = wire_put_be(p, (uint32_t)h->part, 4);
    p = wire_put_be(p, (uint64_t)r->offset, 8);
    p = wire_put_be(p, (uint64_t)r->time_ms, 8);
    p = wire_put_be(p, out->seq, 8);
    p = wire_put(p, rec->event.user.b, ID_SIZE);
    p = wire_put_be(p, span.from, 4);
    p = wire_put_be(p, span.to, 4);
    wire_put(p, h->text.p, h->text.n);
    fx_send(fx, SHELL_ELSEWHERE, (struct slice){rec->event.conv.b, ID_SIZE},
            (struct slice){value, HEAD + h->text.n}, 0);
    metric_add(metric_with(&events, h->endpoint->name), 1);
    return CORE_OK;
}

void hook_item_parse(struct slice value, struct hook_item *out)
{
    struct wire w = wire_of(value);
    out->part = (int32_t)wire_be(&w, 4);
    out->offset = (int64_t)wire_be(&w, 8);
    out->time_ms = (int64_t)wire_be(&w, 8);
    out->seq = wire_be(&w, 8);
    memcpy(out->user.b, wire_take(&w, ID_SIZE).p, ID_SIZE);
    out->body.from = (uint32_t)wire_be(&w, 4);
    out->body.to = (uint32_t)wire_be(&w, 4);
    out->json = (struct slice){w.p, (size_t)(w.end - w.p)};
}

static enum core_rc hook_step(void *core, const struct record *r, int64_t now_ms, struct fx *fx)
{
    struct hook *h = core;
    struct convrec rec;
    struct conv_outcome out;
    (void)now_ms;
    int rc = decode(r, &rec);
    if (rc == -ENOTSUP)
        return stop(h, r, "its version or rules are newer than this program: upgrade it");
    if (rc)
        return CORE_OK;
    if (convcache_apply(h->convs, &rec.event, &out))
        return stop(h, r, convcache_error(h->convs));
    if (r->offset < h->quiet)
        return CORE_OK; /* it was sent before */
    if (out.verdict == CONV_ACCEPTED && may_be_told(h, r, &rec))
        return tell(h, r, &rec, &out, fx);
    metric_add(&skipped, 1);
    return CORE_OK;
}

static void hook_end(void *core, int64_t now_ms, struct fx *fx)
{
    (void)now_ms;
    convcache_end(((struct hook *)core)->convs, fx);
}

const struct core_ops hook_core = {
    .open = hook_open,
    .plan = hook_plan,
    .load = hook_load,
    .step = hook_step,
    .end = hook_end,
    .close = hook_close,
};
