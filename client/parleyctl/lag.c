/* lag.c: how far each group is behind. */
#include "client/parleyctl/ctl.h"

#include <inttypes.h>
#include <stdlib.h>

struct row {
    int64_t behind, high, done;
    bool missing; /* no commit */
};

static int measure(struct ctl *c, uint32_t group, const struct topic *t, struct row *r)
{
    int64_t *offsets = calloc((size_t)t->parts, sizeof *offsets), low, high;
    int rc = offsets ? ctl_offsets(c, group, t, offsets) : -1;
    *r = (struct row){0};
    for (int32_t p = 0; !rc && p < t->parts; p++) {
        rc = kadmin_watermarks(c->admin, t->name, p, &low, &high);
        int64_t at = offsets[p] < low ? low : offsets[p];
        r->missing |= offsets[p] < 0;
        r->high += high;
        r->done += at;
        r->behind += high > at ? high - at : 0;
    }
    free(offsets);
    return rc;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct row r;
    bool slots_too = argc == 2;
    (void)argv;
    if (argc > 2)
        return ctl_usage("lag [all]   (all: slots without anything waiting too)");
    int rc = ctl_kafka(c);
    if (rc)
        return rc;
    const struct topics *ts = c->deploy.topics;
    if (!c->json)
        printf("%-28s %-28s %10s %12s\n", "group", "topic", "behind", "end");
    for (uint32_t g = 0; g < topics_groups(ts); g++)
        for (size_t i = 0; i < topics_count(ts); i++) {
            const struct topic *t = topics_get(ts, (uint16_t)i);
            const char *group = topics_group(ts, g);
            if (!topics_reads(ts, g, (uint16_t)i))
                continue;
            if (measure(c, g, t, &r)) {
                ctl_complain("%s, %s: %s", group, t->name, kadmin_error(c->admin));
                return CTL_FAILED;
            }
            if (c->json)
                ctl_put(json_pack("{ss ss sI sI sb}", "group", group, "topic", t->name, "behind",
                                  (json_int_t)r.behind, "end", (json_int_t)r.high, "missing_commit",
                                  (int)r.missing));
            else if (g < GROUP_SLOT0 || slots_too || r.behind || r.missing)
                printf("%-28s %-28s %10" PRId64 " %12" PRId64 "%s\n", group, t->name, r.behind, r.high,
                       r.missing ? "  no commit!" : "");
        }
    return CTL_OK;
}

const struct ctl_command ctl_lag = {
    .name = "lag",
    .about = "committed against written, per group",
    .help = "Examples\n"
            "  parleyctl lag                  how far each group is behind\n"
            "  parleyctl lag all              slots with nothing waiting too\n"
            "  parleyctl lag --json | jq .behind\n",
    .run = run,
};
