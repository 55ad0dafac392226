#include "auditor/report.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/traceid.h"

#include <stdlib.h>
#include <xxhash.h>

METRIC_COUNTER(violations, "parley_auditor_violations_total", "Promises found broken, each once.", "kind");
METRIC_COUNTER(unjudged, "parley_auditor_unjudged_total",
               "What was left unjudged: the auditor fell behind, or came too late to see it all.", "what");

static const char *const names[FOUND_KINDS] = {
    [FOUND_GAP] = "gap",
    [FOUND_DUPLICATE] = "duplicate",
    [FOUND_VERDICT_CHANGED] = "verdict_changed",
    [FOUND_UNDELIVERED] = "undelivered",
    [FOUND_LEAK] = "leak",
    [FOUND_PHANTOM] = "phantom",
    [FOUND_DELIVERED_DIFFERS] = "delivered_differs",
    [FOUND_HISTORY_MISSING] = "history_missing",
    [FOUND_HISTORY_DIFFERS] = "history_differs",
    [FOUND_HISTORY_EXTRA] = "history_extra",
    [FOUND_RETENTION] = "retention",
};

struct report {
    void (*fn)(void *ctx, const struct finding *);
    void *ctx;
    size_t n;
    uint64_t seen[REPORT_REMEMBERED];
};

const char *finding_name(enum finding_kind kind)
{
    return names[kind];
}

struct report *report_new(void (*fn)(void *ctx, const struct finding *), void *ctx)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->fn = fn;
    r->ctx = ctx;
    for (int k = 0; k < FOUND_KINDS; k++)
        (void)metric_with(&violations, names[k]); /* there from the start, at 0 */
    return r;
}

void report_free(struct report *r)
{
    free(r);
}

/* What it is about, not where it was seen: a resent record has another offset. */
static uint64_t digest(const struct finding *f)
{
    bool about = !id_is_zero(f->conv);
    struct {
        struct id16 conv, user;
        uint64_t seq;
        int64_t offset;
        int32_t part, kind;
    } key = {f->conv,         f->user, f->seq, about && f->seq ? 0 : f->offset, about && f->seq ? 0 : f->part,
             (int32_t)f->kind};
    return XXH3_64bits_withSeed(&key, sizeof key, about ? 0 : XXH3_64bits(f->topic, strlen(f->topic)));
}

static bool seen(struct report *r, uint64_t id)
{
    size_t n = r->n < REPORT_REMEMBERED ? r->n : REPORT_REMEMBERED;
    for (size_t i = 0; i < n; i++)
        if (r->seen[i] == id)
            return true;
    r->seen[r->n++ % REPORT_REMEMBERED] = id;
    return false;
}

void report_add(struct report *r, const struct finding *f)
{
    if (seen(r, digest(f)))
        return;
    if (r->fn) {
        r->fn(r->ctx, f);
        return;
    }
    bool about = !id_is_zero(f->conv);
    metric_add(metric_with(&violations, names[f->kind]), 1);
    log_error("a promise is broken", log_str("kind", names[f->kind]), log_str("topic", f->topic),
              log_int("part", f->part), log_int("offset", f->offset),
              log_hex("conversation", f->conv.b, about ? ID_SIZE : 0), log_uint("seq", f->seq),
              log_hex("user", f->user.b, id_is_zero(f->user) ? 0 : ID_SIZE), traceid_log(f->trace),
              log_str("why", f->what));
}

void report_unjudged(const char *what, int64_t n)
{
    if (n > 0)
        metric_add(metric_with(&unjudged, what), n);
}
