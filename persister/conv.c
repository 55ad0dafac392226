#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/bodykeys.h"
#include "common/im/convcache.h"
#include "common/im/convrec.h"
#include "common/im/dead.h"
#include "common/im/traceid.h"
#include "persister/core.h"
#include "persister/model.h"
#include "persister/rows.h"

#include <errno.h>
#include <stdlib.h>

METRIC_COUNTER(rows, "parley_persister_messages_total", "History rows handed to PostgreSQL.");
METRIC_COUNTER(noted, "parley_persister_noted_total", "Records that changed something without a number.");
METRIC_COUNTER(skipped, "parley_persister_skipped_total", "Records without a row: repeats and refusals.");
METRIC_HISTOGRAM(batch_rows, "parley_persister_batch_rows", "History rows per transaction.", 1);
METRIC_GAUGE(cache_bytes, "parley_persister_cache_bytes", "Memory of conversations kept, all partitions.");

struct pconv {
    struct convcache *convs;
    struct bodykeys *bodies;
    int32_t part;
    int64_t n_rows; /* of this batch */
    size_t bytes_told;
};

static void pconv_close(void *core)
{
    struct pconv *p = core;
    if (!p)
        return;
    metric_add(&cache_bytes, -(int64_t)p->bytes_told);
    convcache_free(p->convs);
    free(p);
}

static void *pconv_open(const struct core_open *o)
{
    const struct persister_settings *s = o->settings;
    struct pconv *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->part = o->part;
    p->bodies = s->bodies;
    p->convs = convcache_new(P_CELL, (size_t)s->cache_bytes);
    if (!p->convs) {
        free(p);
        return NULL;
    }
    return p;
}

static enum core_rc stop(const struct pconv *p, const struct record *r, const char *why)
{
    log_error("conversation record cannot be applied", log_int("part", p->part), log_int("offset", r->offset),
              traceid_log(dead_trace(r->topic, r->value)), log_str("why", why));
    return CORE_STOP;
}

static enum core_rc decode(const struct pconv *p, const struct record *r, struct convrec *rec)
{
    int rc = convrec_decode(r->value, r->time_ms, rec);
    if (rc == -EBADMSG)
        return CORE_POISON;
    if (rc)
        return stop(p, r, "record version is newer than this program: upgrade it");
    if (!conv_rules_known(rec->event.rules))
        return stop(p, r, "rules version is not known to this program: upgrade it");
    return CORE_OK;
}

/* Can the body be opened? */
static enum core_rc look(const struct pconv *p, const struct record *r, const struct convrec *rec)
{
    switch (p->bodies ? bodykeys_look(p->bodies, rec) : BODY_OK) {
    case BODY_LATER:
        return CORE_LATER;
    case BODY_LOCKED:
        return stop(p, r, "the sender's key is sealed under a master key that is not in the ring");
    default:
        return CORE_OK;
    }
}

/* As it was said, or empty. */
static enum core_rc open_body(const struct pconv *p, const struct record *r, struct convrec *rec,
                              struct fx *fx)
{
    struct convrec_body clear;
    if (!p->bodies)
        return CORE_OK;
    uint8_t *room = rec->body.key_id ? fx_alloc(fx, rec->body.sealed.n) : NULL;
    enum bodykeys_rc rc = bodykeys_open(p->bodies, rec, room, &clear);
    if (rc != BODY_OK && rc != BODY_ERASED)
        return stop(p, r, "the sender's key is gone that was here a moment ago");
    rec->body = clear;
    return CORE_OK;
}

static enum core_rc pconv_plan(void *core, const struct record *r, struct want *want)
{
    struct pconv *p = core;
    struct convrec rec;
    enum core_rc rc = decode(p, r, &rec);
    if (rc == CORE_OK)
        rc = look(p, r, &rec);
    return rc ? rc : convcache_plan(p->convs, &rec.event, want);
}

static void pconv_load(void *core, uint8_t table, struct slice key, struct slice row)
{
    struct pconv *p = core;
    if (table == P_CELL)
        convcache_load(p->convs, key, row);
}

static void history_row(struct pconv *p, struct fx *fx, const struct convrec *rec,
                        const struct conv_outcome *out, const struct record *r, const struct conv *after)
{
    uint32_t flags = conv_type(after) == CONV_GROUP ? conv_flags(after) : 0;
    struct slice row = message_row_pack(fx, rec, out, r, flags);
    fx_append(fx, message_row_wide(row) ? P_EVENT : P_MESSAGE, row);
    if (out->seq % SEARCH_BLOCK == 0) {
        uint8_t key[KEY_BLOCK];
        block_key(rec->event.conv, out->seq / SEARCH_BLOCK - 1, key);
        fx_put(fx, P_BLOCK, (struct slice){key, sizeof key}, (struct slice){"", 1});
    }
    metric_add(&rows, 1);
    p->n_rows++;
}

static enum core_rc pconv_step(void *core, const struct record *r, int64_t now_ms, struct fx *fx)
{
    struct pconv *p = core;
    struct convrec rec;
    struct conv_outcome out;
    struct model_before before;
    (void)now_ms;
    enum core_rc rc = decode(p, r, &rec);
    if (rc || (rc = open_body(p, r, &rec, fx)))
        return rc;
    model_look(convcache_find(p->convs, rec.event.conv), &rec.event, &before);
    rc = convcache_apply(p->convs, &rec.event, &out);
    if (rc)
        return stop(p, r, convcache_error(p->convs));
    if (out.verdict != CONV_ACCEPTED && out.verdict != CONV_NOTED) {
        metric_add(&skipped, 1);
        return CORE_OK;
    }
    const struct conv *after = convcache_last(p->convs);
    if (out.verdict == CONV_ACCEPTED)
        history_row(p, fx, &rec, &out, r, after);
    else
        metric_add(&noted, 1);
    model_write(fx, &rec, &out, r->offset, after, &before);
    return CORE_OK;
}

static void pconv_end(void *core, int64_t now_ms, struct fx *fx)
{
    struct pconv *p = core;
    (void)now_ms;
    convcache_end(p->convs, fx);
    if (p->n_rows)
        metric_observe(&batch_rows, p->n_rows);
    p->n_rows = 0;
    size_t bytes = convcache_bytes(p->convs);
    metric_add(&cache_bytes, (int64_t)bytes - (int64_t)p->bytes_told);
    p->bytes_told = bytes;
}

const struct core_ops persister_conv = {
    .open = pconv_open,
    .plan = pconv_plan,
    .load = pconv_load,
    .step = pconv_step,
    .end = pconv_end,
    .close = pconv_close,
};
