/* rebuild_verify.c: are the live schema and the one made from the log the same, at the same offsets? */
#include "client/parleyctl/progress.h"
#include "client/parleyctl/rebuild_compare.h"
#include "client/parleyctl/rebuild_history.h"
#include "common/base/clock.h"
#include "common/base/hex.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 60000
#define LOOK_MS 200

static struct compare_table of_conversations[] = {
    {.name = "messages", .keys = {"conv", "seq"}, .types = "b8"},
    {.name = "conversations", .keys = {"conv"}, .types = "b"},
    {.name = "memberships", .keys = {"conv", "user_id"}, .types = "bb"},
    {.name = "asks", .keys = {"conv", "user_id"}, .types = "bb"},
    {.name = "cells", .keys = {"key"}, .types = "b"},
    /* Words come behind the messages: on the live side some may not be there yet. */
    {.name = "search_blocks",
     .keys = {"conv", "block"},
     .types = "b8",
     .columns = "part, done, words",
     .settled = 2 + 20 + 12 + 8 + 4},
};
static struct compare_table of_users[] = {
    {.name = "accounts", .keys = {"user_id"}, .types = "b"},
    {.name = "devices", .keys = {"user_id", "device"}, .types = "b4"},
    {.name = "verifiers", .keys = {"user_id"}, .types = "b"},
    {.name = "erasures", .keys = {"user_id"}, .types = "b"},
    {.name = "prefs", .keys = {"user_id", "conv"}, .types = "bb"},
};

struct verify {
    struct rebuild *b;
    PGconn *live; /* holds the snapshot */
    char snapshot[64];
    struct progress bar;
    struct compare compares[2];
    uint64_t rows_before, rows_now; /* of the compare before this one, of both */
    uint64_t rows_all;              /* about */
    bool users;
};

/* ---- both sides at the same offsets ---- */

static bool live_is_there(const struct rebuild_tasks *live, const struct rebuild_tasks *shadow,
                          size_t *behind)
{
    for (size_t i = 0; i < live->n; i++)
        for (size_t k = 0; k < rebuild_topics(&live->v[i]); k++)
            if (live->v[i].next[k] < shadow->v[i].next[k]) {
                *behind = i;
                return false;
            }
    return true;
}

static int take_snapshot(struct verify *v, struct rebuild_tasks *live, bool *present)
{
    if (rpg_do(v->live, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        return CTL_FAILED;
    int rc = rebuild_marks(v->live, v->b->s.live_q, live, present);
    return !rc && rpg_text(v->live, v->snapshot, sizeof v->snapshot, "SELECT pg_export_snapshot()")
               ? CTL_FAILED
               : rc;
}

/* Nothing here can go back, so live has to be as far as the shadow. */
static int await_live(struct verify *v, struct rebuild_tasks *live)
{
    struct ctl *c = v->b->c;
    int64_t until = clock_mono_ms() + (c->timeout_ms > 0 ? c->timeout_ms : WAIT_MS);
    bool said = false, present;
    for (size_t behind = 0;;) {
        int rc = take_snapshot(v, live, &present);
        if (rc)
            return rc;
        if (live_is_there(live, &v->b->tasks, &behind))
            return CTL_OK;
        const struct rebuild_task *t = &live->v[behind];
        if (clock_mono_ms() > until) {
            ctl_complain("%s is behind %s: %s partition %" PRId32 " is at %" PRId64 ", not yet at %" PRId64
                         ".\n  Does a persister run? Nothing was compared",
                         v->b->s.live, v->b->s.shadow, rebuild_store(t), t->part, t->next[0],
                         v->b->tasks.v[behind].next[0]);
            return CTL_FAILED;
        }
        if (!said)
            ctl_say(c, "waiting until %s is as far as %s", v->b->s.live, v->b->s.shadow);
        said = true;
        if (rpg_do(v->live, "ROLLBACK"))
            return CTL_FAILED;
        poll(NULL, 0, LOOK_MS);
    }
}

static int catch_up(struct verify *v)
{
    struct rebuild *b = v->b;
    struct rebuild_tasks live = {0};
    if (rebuild_tasks_init(&live, b->c))
        return CTL_FAILED;
    int rc = await_live(v, &live);
    for (size_t i = 0; !rc && i < live.n; i++)
        for (size_t k = 0; k < REBUILD_TOPICS; k++)
            b->tasks.v[i].to[k] = live.v[i].next[k];
    rebuild_tasks_release(&live);
    if (!rc)
        rc = rebuild_advance(b, b->s.shadow_info, b->s.shadow_q, true);
    if (!rc)
        rc = rebuild_complete(&b->s, b->c, &b->tasks, b->jobs, b->words);
    return rc;
}

/* ---- what differs ---- */

static json_t *row_of(struct verify *v, const struct compare_table *t, int side)
{
    char where[600], *text = NULL;
    if (!t->first[side])
        return json_null();
    compare_where(t, t->first[side], where, sizeof where);
    PGresult *r = rpg_ask(side == LIVE ? v->live : v->b->s.db, "SELECT to_jsonb(t) FROM %s.%s t WHERE %s",
                          side == LIVE ? v->b->s.live_q : v->b->s.shadow_q, t->name, where);
    if (r && PQntuples(r) > 0)
        text = PQgetvalue(r, 0, 0);
    json_t *j = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    PQclear(r);
    return j ? j : json_null();
}

/* Where in the log the row comes from, as far as the row says. */
static json_t *origin_of(struct verify *v, const json_t *row)
{
    static const struct {
        const char *part, *offset;
        uint16_t topic;
    } columns[] = {{"conv_part", "conv_offset", T_CONVERSATION},
                   {"source_part", "source_offset", T_INBOUND},
                   {"part", "source_offset", T_INBOUND}};
    const struct topics *topics = v->b->c->deploy.topics;
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        const json_t *part = json_object_get(row, columns[i].part),
                     *offset = json_object_get(row, columns[i].offset);
        if (part && offset)
            return json_pack("{ss sI sI}", "topic", topics_name(topics, columns[i].topic), "partition",
                             json_integer_value(part), "offset", json_integer_value(offset));
    }
    return json_pack("{ss sI}", "topic", topics_name(topics, v->users ? T_USER : T_CONVERSATION), "partition",
                     json_integer_value(json_object_get(row, "part")));
}

static json_t *columns_that_differ(const json_t *a, const json_t *b)
{
    json_t *names = json_array();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        if (!json_equal(value, json_object_get(b, key)))
            json_array_append_new(names, json_string(key));
    }
    return names;
}

static json_t *first_of(struct verify *v, const struct compare_table *t)
{
    const char *row = t->first[LIVE] ? t->first[LIVE] : t->first[REBUILT];
    char where[600];
    if (!row)
        return NULL;
    compare_where(t, row, where, sizeof where);
    json_t *live = row_of(v, t, LIVE), *rebuilt = row_of(v, t, REBUILT);
    return json_pack("{ss so so so so}", "where", where, "from",
                     origin_of(v, json_is_null(live) ? rebuilt : live), "columns",
                     json_is_null(live) || json_is_null(rebuilt) ? json_array()
                                                                 : columns_that_differ(live, rebuilt),
                     "live", live, "rebuilt", rebuilt);
}

static void print_row(const char *side, const json_t *row)
{
    char *text = json_is_null(row) ? NULL : json_dumps(row, JSON_COMPACT);
    printf("  %-8s %s\n", side, text ? text : "no such row");
    free(text);
}

static void print_first(const json_t *f)
{
    const json_t *from = json_object_get(f, "from"), *offset = json_object_get(from, "offset");
    char *columns = json_dumps(json_object_get(f, "columns"), JSON_COMPACT);
    printf("  first row that differs: %s\n  from %s partition %" JSON_INTEGER_FORMAT,
           json_string_value(json_object_get(f, "where")), json_string_value(json_object_get(from, "topic")),
           json_integer_value(json_object_get(from, "partition")));
    if (offset)
        printf(" offset %" JSON_INTEGER_FORMAT, json_integer_value(offset));
    if (columns && strcmp(columns, "[]") != 0)
        printf("  columns %s", columns);
    putchar('\n');
    free(columns);
    print_row("live", json_object_get(f, "live"));
    print_row("rebuilt", json_object_get(f, "rebuilt"));
}

/* ---- telling ---- */

static void tell_table(struct verify *v, const struct compare_table *t)
{
    json_t *first = t->differ ? first_of(v, t) : NULL;
    if (v->b->c->json) {
        json_t *j =
            json_pack("{ss sI sI ss ss sb sI sI}", "table", t->name, "rows_live", (json_int_t)t->rows[LIVE],
                      "rows_rebuilt", (json_int_t)t->rows[REBUILT], "hash_live", t->hash[LIVE],
                      "hash_rebuilt", t->hash[REBUILT], "equal", t->differ == 0, "differ",
                      (json_int_t)t->differ, "unsettled", (json_int_t)t->unsettled);
        if (first)
            json_object_set(j, "first", first);
        ctl_put(j);
    } else {
        printf("%-14s %12" PRIu64 " %s\n%-14s %12" PRIu64 " %s  %s\n", t->name, t->rows[LIVE], t->hash[LIVE],
               "", t->rows[REBUILT], t->hash[REBUILT], t->differ ? "DIFFERENT" : "equal");
        if (t->unsettled)
            printf("  words of %" PRIu64 " blocks are not there yet on one side: not compared\n",
                   t->unsettled);
        if (t->differ)
            printf("  %" PRIu64 " rows differ\n", t->differ);
        if (first)
            print_first(first);
    }
    json_decref(first);
}

static void tell_id(void *ctx, struct id16 id, const char *live, const char *rebuilt)
{
    struct verify *v = ctx;
    char hex[ID_HEX];
    const char *what = v->users ? "user" : "conversation";
    if (v->b->c->json)
        ctl_put(json_pack("{ss ss ss sb}", what, id_hex(id, hex), "hash_live", live, "hash_rebuilt", rebuilt,
                          "equal", !strcmp(live, rebuilt)));
    else
        printf("%-12s %s %s %s  %s\n", what, id_hex(id, hex), live, rebuilt,
               strcmp(live, rebuilt) ? "DIFFERENT" : "equal");
}

static uint64_t tell(struct verify *v)
{
    uint64_t differ = 0;
    if (!v->b->c->json)
        printf("%-14s %12s %s\n", "table", "rows", "hash: live, rebuilt");
    for (size_t i = 0; i < ARRAY_LEN(v->compares); i++) {
        const struct compare *c = &v->compares[i];
        v->users = i == 1;
        for (size_t t = 0; t < c->n; t++) {
            tell_table(v, &c->tables[t]);
            differ += c->tables[t].differ;
        }
    }
    const struct compare *convs = &v->compares[0], *users = &v->compares[1];
    if (v->b->c->json)
        ctl_put(json_pack("{ss sb sI sI sI sI}", "verify", "history", "equal", differ == 0, "conversations",
                          (json_int_t)convs->ids, "conversations_differ", (json_int_t)convs->ids_differ,
                          "users", (json_int_t)users->ids, "users_differ", (json_int_t)users->ids_differ));
    else
        printf("%" PRIu64 " conversations, %" PRIu64 " different; %" PRIu64 " users, %" PRIu64
               " different: %s\n",
               convs->ids, convs->ids_differ, users->ids, users->ids_differ,
               differ ? "DIFFERENT" : "the same");
    return differ;
}

/* ---- the whole ---- */

static void show(void *ctx, uint64_t rows)
{
    struct verify *v = ctx;
    v->rows_now = v->rows_before + rows;
    progress_show(&v->bar, v->rows_now, v->rows_all);
}

static int compare_both(struct verify *v)
{
    struct rebuild_schemas *s = &v->b->s;
    struct compare_table *tables[] = {of_conversations, of_users};
    const size_t n[] = {ARRAY_LEN(of_conversations), ARRAY_LEN(of_users)};
    int rc = 0;
    int64_t about =
        rpg_number(s->db, 0,
                   "SELECT 2 * sum(greatest(reltuples, 0))::int8 FROM pg_class WHERE relkind = 'r' AND "
                   "relnamespace = to_regnamespace('%s')",
                   s->shadow_q);
    v->rows_all = about > 0 ? (uint64_t)about : 0;
    progress_begin(&v->bar, "comparing", "rows", 0, v->b->c->quiet || v->b->conversations);
    for (size_t i = 0; i < ARRAY_LEN(v->compares) && !rc; i++) {
        v->users = i == 1;
        v->compares[i] = (struct compare){.tables = tables[i],
                                          .n = n[i],
                                          .conninfo = {s->live_info, s->shadow_info},
                                          .schema_q = {s->live_q, s->shadow_q},
                                          .snapshot = v->snapshot,
                                          .id = v->b->conversations ? tell_id : NULL,
                                          .progress = show,
                                          .ctx = v};
        rc = compare_run(&v->compares[i]);
        v->rows_before = v->rows_now;
    }
    progress_end(&v->bar, 0);
    return rc ? CTL_FAILED : CTL_OK;
}

static int conclude(struct verify *v)
{
    uint64_t differ = tell(v);
    char when[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    if (!differ && gmtime_r(&now, &tm))
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int rc = rebuild_note(&v->b->s, "verified", when);
    return differ ? CTL_FAILED : rc;
}

int rebuild_verify(struct rebuild *b)
{
    struct verify v = {.b = b};
    if (!rebuild_schema_there(&b->s, b->s.live)) {
        ctl_complain("there is nothing to compare with: %s has no tables of Parley", b->s.live);
        return CTL_FAILED;
    }
    v.live = rpg_open(b->s.live_info);
    int rc =
        v.live && !rpg_do(v.live, "SET idle_in_transaction_session_timeout = 0") ? catch_up(&v) : CTL_FAILED;
    if (!rc)
        rc = compare_both(&v);
    if (!rc)
        rc = conclude(&v);
    for (size_t i = 0; i < ARRAY_LEN(v.compares); i++)
        compare_release(&v.compares[i]);
    PQfinish(v.live);
    return rc;
}
