#include "client/parleyctl/topics_describe.h"

#include "client/parleyctl/scan.h"
#include "client/parleyctl/when.h"

#include "common/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>

struct part {
    int64_t low, high, first_ms; /* -1: not known */
};

static enum scan_go first(void *ctx, const struct record *r)
{
    ((struct part *)ctx)[r->part].first_ms = r->time_ms;
    return SCAN_NEXT;
}

static void told(struct ctl *c, const struct topic *t, const struct part *parts)
{
    for (int32_t p = 0; p < t->parts; p++) {
        const struct part *x = &parts[p];
        char since[32] = "", age[24] = "";
        if (x->first_ms >= 0) {
            when_text(x->first_ms, since);
            when_span(clock_wall_ms() - x->first_ms, age);
        }
        if (c->json)
            ctl_put(json_pack("{ss si sI sI sI ss}", "topic", t->name, "partition", (int)p, "low",
                              (json_int_t)x->low, "high", (json_int_t)x->high, "records_at_most",
                              (json_int_t)(x->high - x->low), "first_time", since));
        else
            printf("%-28s %5" PRId32 " %12" PRId64 " %12" PRId64 " %12" PRId64 " %10s\n", t->name, p, x->low,
                   x->high, x->high - x->low, age);
    }
}

int topics_describe(struct ctl *c)
{
    struct scan *s = scan_new(c);
    int rc = s ? CTL_OK : CTL_FAILED;
    if (!rc && !c->json)
        printf("%-28s %5s %12s %12s %12s %10s\n", "topic", "part", "first", "next", "at most", "first is");
    for (size_t i = 0; !rc && i < topics_count(c->deploy.topics); i++) {
        const struct topic *t = topics_get(c->deploy.topics, (uint16_t)i);
        struct part *parts = calloc((size_t)t->parts, sizeof *parts);
        struct scan_range *r = calloc((size_t)t->parts, sizeof *r);
        if (!parts || !r)
            abort();
        for (int32_t p = 0; !rc && p < t->parts; p++) {
            if (scan_ends(s, (uint16_t)i, p, &parts[p].low, &parts[p].high))
                rc = CTL_FAILED;
            parts[p].first_ms = -1;
            r[p] = (struct scan_range){(uint16_t)i, p, parts[p].low, parts[p].high};
        }
        if (!rc && scan_read(s, r, (size_t)t->parts, NULL, first, parts))
            rc = CTL_FAILED;
        if (!rc)
            told(c, t, parts);
        free(parts);
        free(r);
    }
    scan_free(s);
    return rc;
}
