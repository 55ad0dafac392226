#include "fanout/core.h"

#include "common/base/arena_protobuf.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/bodykeys.h"
#include "common/im/codes.h"
#include "common/im/convcache.h"
#include "common/im/convrec.h"
#include "common/im/dead.h"
#include "common/im/topics.h"
#include "common/im/traceid.h"
#include "fanout/ahead.h"
#include "fanout/tell.h"

#include <errno.h>
#include <stdlib.h>

METRIC_COUNTER(sequenced, "parley_fanout_sequenced_total", "Messages that were given a number.");
METRIC_COUNTER(noted, "parley_fanout_noted_total", "Records that did something and take no number.");
METRIC_COUNTER(duplicates, "parley_fanout_duplicates_total", "Records that repeat an earlier send.");
METRIC_COUNTER(refused, "parley_fanout_refused_total", "Records the conversation refused.", "reason");
METRIC_HISTOGRAM(
    numbered, "parley_fanout_sequenced_seconds",
    "From the frame being read to the message having its number, by the clocks of edge and fanout.", 1e-6);
METRIC_GAUGE(cache_bytes, "parley_fanout_cache_bytes", "Memory of conversations kept, all partitions.");
METRIC_GAUGE(cache_convs, "parley_fanout_cache_conversations",
             "Conversations kept in memory, all partitions.");

struct fanout {
    struct convcache *convs;
    struct tell *tell;
    struct arena *scratch; /* of the signal being read */
    struct ahead ahead;
    struct bodykeys *bodies; /* NULL: bodies are told as they are */
    int64_t quiet;
    int32_t part;
    size_t bytes_told, convs_told;
};

static void fanout_close(void *core)
{
    struct fanout *f = core;
    if (!f)
        return;
    metric_add(&cache_bytes, -(int64_t)f->bytes_told);
    metric_add(&cache_convs, -(int64_t)f->convs_told);
    tell_free(f->tell);
    convcache_free(f->convs);
    ahead_release(&f->ahead);
    arena_free(f->scratch);
    free(f);
}

static void *fanout_open(const struct core_open *o)
{
    const struct fanout_settings *s = o->settings;
    struct fanout *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->part = o->part;
    f->quiet = o->quiet[0];
    f->convs = convcache_new(F_CELL, (size_t)s->cache_bytes);
    f->bodies = ((const struct fanout_views *)o->shared)->bodies;
    f->tell = tell_new(o->shared);
    f->scratch = arena_new(4096);
    if (!f->convs || !f->tell || !f->scratch) {
        fanout_close(f);
        return NULL;
    }
    return f;
}

static enum core_rc stop(const struct fanout *f, const struct record *r, const char *why)
{
    log_error("conversation record cannot be applied", log_int("part", f->part), log_int("offset", r->offset),
              traceid_log(dead_trace(r->topic, r->value)), log_str("why", why));
    return CORE_STOP;
}

static enum core_rc decode(const struct fanout *f, const struct record *r, struct convrec *rec)
{
    int rc = convrec_decode(r->value, r->time_ms, rec);
    if (rc == -EBADMSG)
        return CORE_POISON;
    if (rc)
        return stop(f, r, "record version is newer than this program: upgrade it");
    if (!conv_rules_known(rec->event.rules))
        return stop(f, r, "rules version is not known to this program: upgrade it");
    return CORE_OK;
}

/* Can the body be opened? */
static enum core_rc look(const struct fanout *f, const struct record *r, const struct convrec *rec)
{
    switch (f->bodies ? bodykeys_look(f->bodies, rec) : BODY_OK) {
    case BODY_LATER:
        return CORE_LATER;
    case BODY_LOCKED:
        return stop(f, r, "the sender's key is sealed under a master key that is not in the ring");
    default:
        return CORE_OK;
    }
}

/* As it was said, or empty. */
static enum core_rc open_body(const struct fanout *f, const struct record *r, struct convrec *rec,
                              struct fx *fx)
{
    struct convrec_body clear;
    if (!f->bodies)
        return CORE_OK;
    uint8_t *room = rec->body.key_id ? fx_alloc(fx, rec->body.sealed.n) : NULL;
    enum bodykeys_rc rc = bodykeys_open(f->bodies, rec, room, &clear);
    if (rc != BODY_OK && rc != BODY_ERASED)
        return stop(f, r, "the sender's key is gone that was here a moment ago");
    rec->body = clear;
    return CORE_OK;
}

/* NULL: nothing that can be told. Until the next call. */
static const Im__SignalRecord *signal_of(struct fanout *f, const struct record *r)
{
    struct arena_protobuf pb;
    Im__SignalRecord *s;
    arena_reset(f->scratch);
    return codec_signal(arena_protobuf_allocator(&pb, f->scratch, 4096), r->value, &s) ? NULL : s;
}

static enum core_rc fanout_plan(void *core, const struct record *r, struct want *want)
{
    struct fanout *f = core;
    struct convrec rec;
    if (r->topic == T_SIGNAL) {
        const Im__SignalRecord *s = signal_of(f, r);
        return s ? tell_plan_signal(f->convs, s, want) : CORE_OK;
    }
    enum core_rc rc = decode(f, r, &rec);
    if (rc || (rc = look(f, r, &rec)))
        return rc;
    bool waits = ahead_plan(&f->ahead, r->offset, want);
    rc = convcache_plan(f->convs, &rec.event, want);
    if (rc == CORE_STOP)
        return rc;
    enum core_rc told =
        tell_plan(f->convs, &rec.event, !f->ahead.known || ahead_has(&f->ahead, r->offset), want);
    return told == CORE_OK && waits ? CORE_MORE : told == CORE_OK ? rc : told;
}

static void fanout_load(void *core, uint8_t table, struct slice key, struct slice row)
{
    struct fanout *f = core;
    if (table == F_CELL)
        convcache_load(f->convs, key, row);
    else
        ahead_load(&f->ahead, table, key, row);
}

static void count(const struct conv_outcome *o, const struct convrec *rec)
{
    if (o->verdict == CONV_ACCEPTED) {
        metric_add(&sequenced, 1);
        if (rec->edge_time_us > 0)
            metric_observe(&numbered, clock_wall_us() - rec->edge_time_us);
    } else if (o->verdict == CONV_NOTED)
        metric_add(&noted, 1);
    else if (o->verdict == CONV_DUPLICATE)
        metric_add(&duplicates, 1);
    else
        metric_add(metric_with(&refused, code_name(o->reason)), 1);
}

static enum core_rc say(struct fanout *f, const struct record *r, const struct conv *conv,
                        const struct convrec *rec, const struct conv_outcome *out, struct fx *fx)
{
    if (r->offset < f->quiet || tell_outcome(f->tell, fx, conv, rec, out))
        return CORE_OK;
    return stop(f, r, "the members were not loaded before telling them");
}

static enum core_rc fanout_step(void *core, const struct record *r, int64_t now_ms, struct fx *fx)
{
    struct fanout *f = core;
    struct convrec rec;
    struct conv_outcome out;
    (void)now_ms;
    if (r->topic == T_SIGNAL) {
        const Im__SignalRecord *s = signal_of(f, r);
        if (s)
            tell_signal(f->tell, fx, f->convs, s, r->time_ms);
        return CORE_OK;
    }
    enum core_rc rc = decode(f, r, &rec);
    if (rc || (rc = open_body(f, r, &rec, fx)))
        return rc;
    if (ahead_has(&f->ahead, r->offset)) {
        /* The cells know this record already: tell what they decided then. */
        const struct conv *conv = convcache_find(f->convs, rec.event.conv);
        bool known = conv && ahead_outcome(&f->ahead, r->offset, conv, &rec.event, &out, fx);
        return known ? say(f, r, conv, &rec, &out, fx) : CORE_OK;
    }
    rc = convcache_apply(f->convs, &rec.event, &out);
    if (rc)
        return stop(f, r, convcache_error(f->convs));
    count(&out, &rec);
    return say(f, r, convcache_last(f->convs), &rec, &out, fx);
}

static void fanout_end(void *core, int64_t now_ms, struct fx *fx)
{
    struct fanout *f = core;
    (void)now_ms;
    tell_end(f->tell, fx);
    convcache_end(f->convs, fx);
    ahead_end(&f->ahead);
    size_t bytes = convcache_bytes(f->convs), convs = convcache_count(f->convs);
    metric_add(&cache_bytes, (int64_t)bytes - (int64_t)f->bytes_told);
    metric_add(&cache_convs, (int64_t)convs - (int64_t)f->convs_told);
    f->bytes_told = bytes;
    f->convs_told = convs;
}

const struct core_ops fanout_core = {
    .open = fanout_open,
    .plan = fanout_plan,
    .load = fanout_load,
    .step = fanout_step,
    .end = fanout_end,
    .close = fanout_close,
};
