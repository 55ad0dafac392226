/* lag.c: how far each group is behind, in records and in time, and what its store says beside its commits. */
#include "client/parleyctl/rstore.h"
#include "client/parleyctl/scan.h"
#include "client/parleyctl/when.h"

#include "common/base/clock.h"
#include "common/im/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

static struct {
    bool parts;
    int64_t max_records, max_ms; /* -1: no bound */
} asked = {.max_records = -1, .max_ms = -1};

struct row {
    uint16_t topic;
    int32_t part;
    int64_t committed, end, behind, behind_ms; /* -1: none, not known */
    int64_t mark;                              /* next offset in the store; -1: has none, or not known */
};

/* Whose rows are where, and which of its offsets are a topic's. */
struct place {
    enum topic_group group;
    bool postgres;
    const char *store; /* NULL: named as the group */
    uint16_t topics[2];
    int n;
};
static const struct place places[] = {
    {GROUP_ROUTER, false, NULL, {T_INBOUND}, 1},
    {GROUP_FANOUT, false, NULL, {T_CONVERSATION}, 1},
    {GROUP_OFFLINE, false, NULL, {T_OFFLINE, T_CURSOR}, 2},
    {GROUP_PERSISTER, true, SCHEMA_STORE_CONV, {T_CONVERSATION}, 1},
    {GROUP_PERSISTER, true, SCHEMA_STORE_USERS, {T_USER, T_VAULT}, 2},
};

struct lag {
    struct ctl *c;
    struct scan *scan;
    PGconn *pg;
    struct rstore redis;
    bool redis_up;
    struct row *rows; /* of one group */
    size_t n;
    size_t over, missing;
};

/* ---- the log ---- */

static int add_rows(struct lag *l, uint32_t group, uint16_t topic)
{
    const struct topic *t = topics_get(l->c->deploy.topics, topic);
    int64_t *offsets = calloc((size_t)t->parts, sizeof *offsets), low;
    struct row *rows = realloc(l->rows, (l->n + (size_t)t->parts) * sizeof *rows);
    if (!offsets || !rows)
        abort();
    l->rows = rows;
    int rc = ctl_offsets(l->c, group, t, offsets);
    if (rc)
        ctl_complain("%s, %s: %s", topics_group(l->c->deploy.topics, group), t->name,
                     kadmin_error(l->c->admin));
    for (int32_t p = 0; !rc && p < t->parts; p++) {
        struct row *r = &l->rows[l->n++];
        *r = (struct row){.topic = topic, .part = p, .committed = offsets[p], .mark = -1};
        rc = scan_ends(l->scan, topic, p, &low, &r->end);
        int64_t at = r->committed < low ? low : r->committed;
        r->behind = r->end > at ? r->end - at : 0;
        r->behind_ms = r->behind ? -1 : 0;
    }
    free(offsets);
    return rc;
}

static enum scan_go first_waiting(void *ctx, const struct record *rec)
{
    struct lag *l = ctx;
    int64_t ms = clock_wall_ms() - rec->time_ms;
    for (size_t i = 0; i < l->n; i++)
        if (l->rows[i].topic == rec->topic && l->rows[i].part == rec->part)
            l->rows[i].behind_ms = ms > 0 ? ms : 0;
    return SCAN_NEXT;
}

/* How old is the first record that is not done? */
static int times(struct lag *l)
{
    struct scan_range *r = calloc(l->n ? l->n : 1, sizeof *r);
    size_t n = 0;
    for (size_t i = 0; r && i < l->n; i++)
        if (l->rows[i].behind)
            r[n++] = (struct scan_range){l->rows[i].topic, l->rows[i].part,
                                         l->rows[i].committed < 0 ? 0 : l->rows[i].committed, l->rows[i].end};
    int rc = r ? scan_read(l->scan, r, n, NULL, first_waiting, l) : -ENOMEM;
    free(r);
    return rc;
}

/* ---- the stores ---- */

static void stores_open(struct lag *l)
{
    const char *const names[] = {"dbname", "connect_timeout", NULL};
    const char *const values[] = {l->c->settings.deploy.postgres, "3", NULL};
    l->pg = PQconnectdbParams(names, values, 1);
    if (PQstatus(l->pg) != CONNECTION_OK) {
        ctl_complain("PostgreSQL does not answer: its marks are left out");
        PQfinish(l->pg);
        l->pg = NULL;
    }
    l->redis_up = rstore_open(l->c, &l->redis) == 0;
}

static int64_t postgres_mark(const struct lag *l, const char *store, int32_t part, int at)
{
    char no[16], index[16];
    snprintf(no, sizeof no, "%" PRId32, part);
    snprintf(index, sizeof index, "%d", at + 1);
    PGresult *r =
        l->pg ? PQexecParams(l->pg, "SELECT next[$3::int] FROM parley_marks WHERE store = $1 AND part = $2",
                             3, NULL, (const char *const[]){store, no, index}, NULL, NULL, 0)
              : NULL;
    int64_t v = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 && !PQgetisnull(r, 0, 0)
                    ? strtoll(PQgetvalue(r, 0, 0), NULL, 10)
                    : -1;
    PQclear(r);
    return v;
}

static int64_t redis_mark(struct lag *l, const char *group, int32_t part, int at)
{
    struct store_mark m = {0};
    rstore_choose(&l->redis, group, part);
    if (!l->redis_up || rstore_mark(&l->redis, RSTORE_LIVE, &m) || !m.present)
        return -1;
    return m.next[at];
}

static const char *marks(struct lag *l, uint32_t group)
{
    const char *where = NULL;
    for (size_t k = 0; k < ARRAY_LEN(places); k++) {
        const struct place *p = &places[k];
        if ((uint32_t)p->group != group)
            continue;
        where = p->postgres ? "postgres" : "redis";
        for (size_t i = 0; i < l->n; i++)
            for (int at = 0; at < p->n; at++)
                if (l->rows[i].topic == p->topics[at])
                    l->rows[i].mark = p->postgres ? postgres_mark(l, p->store, l->rows[i].part, at)
                                                  : redis_mark(l, topics_group(l->c->deploy.topics, group),
                                                               l->rows[i].part, at);
    }
    return where;
}

/* ---- telling ---- */

static bool over(const struct row *r)
{
    return (asked.max_records >= 0 && r->behind > asked.max_records) ||
           (asked.max_ms >= 0 && r->behind_ms > asked.max_ms);
}

static void line(const char *group, const char *topic, const struct row *r, const char *where, bool one)
{
    char span[24] = "", mark[48] = "", part[16] = "";
    if (r->behind)
        when_span(r->behind_ms, span);
    if (one)
        snprintf(part, sizeof part, "/%" PRId32, r->part);
    if (where && r->mark >= 0)
        snprintf(mark, sizeof mark, "%s at %" PRId64, where, r->mark);
    else if (where)
        snprintf(mark, sizeof mark, "%s: no mark", where);
    printf("%-24s %-24s%-4s %12" PRId64 " %12" PRId64 " %10" PRId64 " %9s  %s%s\n", group, topic, part,
           r->committed, r->end, r->behind, span, mark,
           r->committed < 0 ? "  no commit!"
           : over(r)        ? "  too far behind"
                            : "");
}

static void told_json(const char *group, const char *topic, const struct row *r, const char *where)
{
    json_t *j = json_pack("{ss ss si sI sI sI sI sb}", "group", group, "topic", topic, "partition",
                          (int)r->part, "committed", (json_int_t)r->committed, "end", (json_int_t)r->end,
                          "behind", (json_int_t)r->behind, "behind_ms", (json_int_t)r->behind_ms,
                          "missing_commit", r->committed < 0);
    if (where)
        json_object_set_new(j, "store", json_string(where));
    if (r->mark >= 0)
        json_object_set_new(j, "mark", json_integer(r->mark));
    if (over(r))
        json_object_set_new(j, "over", json_true());
    ctl_put(j);
}

/* One line for all partitions of a topic. */
static void told_sum(const char *group, const char *topic, const struct row *rows, size_t n,
                     const char *where)
{
    struct row sum = {.mark = 0};
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        sum.committed = r->committed < 0 || sum.committed < 0 ? -1 : sum.committed + r->committed;
        sum.mark = r->mark < 0 || sum.mark < 0 ? -1 : sum.mark + r->mark;
        sum.end += r->end;
        sum.behind += r->behind;
        if (r->behind_ms > sum.behind_ms)
            sum.behind_ms = r->behind_ms;
    }
    line(group, topic, &sum, where, false);
}

static void told(struct lag *l, uint32_t group, bool all, const char *where)
{
    const char *name = topics_group(l->c->deploy.topics, group);
    for (size_t i = 0, n; i < l->n; i += n) {
        const char *topic = topics_name(l->c->deploy.topics, l->rows[i].topic);
        bool any = group < GROUP_SLOT0 || all;
        for (n = 0; i + n < l->n && l->rows[i + n].topic == l->rows[i].topic; n++) {
            const struct row *r = &l->rows[i + n];
            l->over += over(r);
            l->missing += r->committed < 0;
            any |= r->behind || r->committed < 0;
        }
        for (size_t k = 0; k < n && any; k++)
            if (l->c->json)
                told_json(name, topic, &l->rows[i + k], where);
            else if (asked.parts)
                line(name, topic, &l->rows[i + k], where, true);
        if (any && !l->c->json && !asked.parts)
            told_sum(name, topic, &l->rows[i], n, where);
    }
}

/* Processes that a deployment need not have, and that never ran in this one. */
static bool absent(const struct lag *l, uint32_t g)
{
    bool any = g != GROUP_AUDITOR && g != GROUP_WEBHOOKS;
    for (size_t i = 0; i < l->n; i++)
        any |= l->rows[i].committed != 0;
    return !any;
}

static int group(struct lag *l, uint32_t g, bool all)
{
    const struct topics *ts = l->c->deploy.topics;
    l->n = 0;
    for (size_t i = 0; i < topics_count(ts); i++)
        if (topics_reads(ts, g, (uint16_t)i) && add_rows(l, g, (uint16_t)i))
            return CTL_FAILED;
    if (absent(l, g))
        return CTL_OK;
    if (times(l))
        return CTL_FAILED;
    told(l, g, all, marks(l, g));
    return CTL_OK;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct lag l = {.c = c};
    bool all = argc == 2 && !strcmp(argv[1], "all");
    if (argc > 2 || (argc == 2 && !all))
        return ctl_usage("lag [all] [--parts] [--max RECORDS|30s|5m] [--json]");
    int rc = ctl_kafka(c);
    l.scan = rc ? NULL : scan_new(c);
    if (!l.scan)
        return rc ? rc : CTL_FAILED;
    stores_open(&l);
    if (!c->json)
        printf("%-24s %-28s %12s %12s %10s %9s  %s\n", "group", "topic", "committed", "end", "behind", "for",
               "store");
    for (uint32_t g = 0; !rc && g < topics_groups(c->deploy.topics); g++)
        rc = group(&l, g, all || c->json);
    if (!rc && l.missing)
        ctl_complain("%zu commits are missing: parleyctl topics check says what to do", l.missing);
    if (!rc && l.over)
        ctl_complain("%zu partitions are further behind than --max", l.over);
    PQfinish(l.pg);
    if (l.redis_up)
        rstore_close(&l.redis);
    scan_free(l.scan);
    free(l.rows);
    return rc ? rc : l.missing || l.over ? CTL_FAILED : CTL_OK;
}

/* Records, or a time with its unit. */
static int take_max(const char *arg)
{
    int64_t then;
    size_t n = strlen(arg);
    if (n && strchr("smhd", arg[n - 1]) && when_parse(arg, &then) == 0) {
        asked.max_ms = clock_wall_ms() - then;
        return 0;
    }
    return ctl_number(arg, "--max", 0, &asked.max_records);
}

static int take(int option, const char *arg)
{
    if (option != CTL_OWN)
        return take_max(arg);
    return (asked.parts = true, 0);
}

static const struct option options[] = {
    {"parts", no_argument, NULL, CTL_OWN}, {"max", required_argument, NULL, CTL_OWN + 1}, {0}};

const struct ctl_command ctl_lag = {
    .name = "lag",
    .about = "how far each group is behind, in records and in time",
    .help = "Examples\n"
            "  parleyctl lag                  how far each group is behind\n"
            "  parleyctl lag all --parts      each partition; slots with nothing waiting too\n"
            "  parleyctl lag --max 30s -q || echo late\n"
            "  parleyctl lag --json | jq 'select(.behind > 0)'\n"
            "\n"
            "Time behind is the age of the first record that is not committed. Beside it stands\n"
            "up to where the group's store (PostgreSQL or Redis) is: processes go on from there,\n"
            "not from the commit, which may lag a moment.\n"
            "\n"
            "Options\n"
            "  --parts            a line for each partition; --json always has them\n"
            "  --max N            exit 1 when any partition is more records behind, or with a\n"
            "                     unit (30s, 5m, 1h) longer\n"
            "\n"
            "Exit code 1 also when a commit is missing.\n",
    .options = options,
    .take = take,
    .run = run,
};
