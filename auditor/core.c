#include "auditor/core.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/convcache.h"
#include "common/im/convrec.h"
#include "common/im/dead.h"
#include "common/im/traceid.h"

#include <errno.h>
#include <stdlib.h>

METRIC_COUNTER(audited, "parley_auditor_records_total", "Records of im.conversation judged.", "verdict");

struct auditor {
    struct convcache *convs;
    const struct auditor_shared *shared;
    int32_t part;
    bool begun;
};

static void auditor_close(void *core)
{
    struct auditor *a = core;
    if (!a)
        return;
    books_shut(a->shared->books, a->part);
    convcache_free(a->convs);
    free(a);
}

static void *auditor_open(const struct core_open *o)
{
    const struct auditor_settings *s = o->settings;
    struct auditor *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->part = o->part;
    a->shared = o->shared;
    a->convs = convcache_new(A_CELL, (size_t)s->cache_bytes);
    if (!a->convs) {
        free(a);
        return NULL;
    }
    books_open(a->shared->books, a->part, o->next[0]);
    return a;
}

static enum core_rc stop(const struct auditor *a, const struct record *r, const char *why)
{
    log_error("conversation record cannot be judged", log_int("part", a->part), log_int("offset", r->offset),
              traceid_log(dead_trace(r->topic, r->value)), log_str("why", why));
    return CORE_STOP;
}

/* CORE_POISON: not a record for anybody. */
static enum core_rc decode(const struct auditor *a, const struct record *r, struct convrec *rec)
{
    int rc = convrec_decode(r->value, r->time_ms, rec);
    if (rc == -EBADMSG)
        return CORE_POISON;
    if (rc)
        return stop(a, r, "record version is newer than this program: upgrade it");
    if (!conv_rules_known(rec->event.rules))
        return stop(a, r, "rules version is not known to this program: upgrade it");
    return CORE_OK;
}

static enum core_rc auditor_plan(void *core, const struct record *r, struct want *want)
{
    struct auditor *a = core;
    struct convrec rec;
    enum core_rc rc = decode(a, r, &rec);
    if (rc == CORE_POISON)
        return CORE_OK;
    if (rc)
        return rc;
    rc = convcache_plan(a->convs, &rec.event, want);
    if (rc == CORE_STOP)
        return stop(a, r, convcache_error(a->convs));
    const struct conv *c = convcache_find(a->convs, rec.event.conv);
    if (rec.event.kind == IM__CONV_KIND__CONV_RECEIPT || !c || conv_type(c) != CONV_GROUP)
        return rc;
    enum core_rc roster = convcache_plan_roster(a->convs, rec.event.conv, want);
    return rc == CORE_MORE || roster == CORE_MORE ? CORE_MORE : CORE_OK;
}

static void auditor_load(void *core, uint8_t table, struct slice key, struct slice row)
{
    struct auditor *a = core;
    if (table == A_CELL)
        convcache_load(a->convs, key, row);
}

static void count(const struct conv_outcome *o)
{
    static const char *const names[] = {[CONV_ACCEPTED] = "accepted",
                                        [CONV_DUPLICATE] = "duplicate",
                                        [CONV_REFUSED] = "refused",
                                        [CONV_NOTED] = "noted"};
    metric_add(metric_with(&audited, names[o->verdict]), 1);
}

static enum core_rc auditor_step(void *core, const struct record *r, int64_t now_ms, struct fx *fx)
{
    struct auditor *a = core;
    struct convrec rec;
    struct conv_outcome out, again;
    (void)now_ms;
    (void)fx;
    if (!a->begun && a->shared->first)
        a->shared->first(a->shared->ctx, a->part, r->time_ms);
    a->begun = true;
    enum core_rc rc = decode(a, r, &rec);
    if (rc == CORE_POISON) {
        books_pass(a->shared->books, a->part, r->offset);
        metric_add(metric_with(&audited, "unreadable"), 1);
        return CORE_OK;
    }
    if (rc)
        return rc;
    const struct conv *c = convcache_find(a->convs, rec.event.conv);
    uint64_t head = c ? conv_head(c) : 0;
    rc = convcache_apply(a->convs, &rec.event, &out);
    if (rc)
        return stop(a, r, convcache_error(a->convs));
    count(&out);
    c = convcache_last(a->convs);
    struct conv_cell missing[CONV_NEEDS_MAX];
    if (out.verdict == CONV_ACCEPTED && conv_type(c) == CONV_GROUP && conv_needs_roster(c, missing))
        return stop(a, r, "the members were not loaded");
    bool for_ever =
        out.verdict == CONV_REFUSED && conv_type(c) != CONV_NOTHING && conv_recall(c, &rec.event, &again);
    books_fold(a->shared->books, &(struct books_folded){r, &rec, &out, c, head, for_ever});
    return CORE_OK;
}

static void auditor_end(void *core, int64_t now_ms, struct fx *fx)
{
    struct auditor *a = core;
    (void)now_ms;
    convcache_end(a->convs, fx);
}

const struct core_ops auditor_core = {
    .open = auditor_open,
    .plan = auditor_plan,
    .load = auditor_load,
    .step = auditor_step,
    .end = auditor_end,
    .close = auditor_close,
};
