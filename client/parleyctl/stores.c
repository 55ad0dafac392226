/* stores.c: the way of a partition, and what is told of it. */
#include "client/parleyctl/stores.h"

#include "common/base/clock.h"
#include "common/base/hex.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define PATIENT_MS 30000
#define LOOK_MS    100
#define IDLE_LOOKS 10

static struct {
    bool verify, swap;
} asked;

const struct option stores_options[] = {
    {"verify", no_argument, NULL, CTL_OWN}, {"swap", no_argument, NULL, CTL_OWN + 1}, {0}};

int stores_take(int option, const char *arg)
{
    (void)arg;
    *(option == CTL_OWN ? &asked.verify : &asked.swap) = true;
    return 0;
}

/* ---- for the kinds ---- */
int stores_emit(struct stores_side *s, const uint8_t *key, size_t n, uint8_t flag, struct slice row)
{
    int rc = keysort_add(s->rows, (struct slice){key, n}, flag, row);
    if (rc)
        ctl_complain("cannot sort the rows: %s", strerror(-rc));
    return rc ? CTL_FAILED : 0;
}

/* ---- a partition ---- */
static int64_t patience(const struct ctl *c)
{
    return clock_mono_ms() + (c->timeout_ms > 0 ? c->timeout_ms : PATIENT_MS);
}

/* The live rows as they are now, when they can be compared. */
static int copy_live(struct stores_work *w, struct store_mark *mark)
{
    for (int64_t until = patience(w->c);; poll(NULL, 0, LOOK_MS)) {
        int rc = rstore_copy(&w->redis, w->kind->tables, mark);
        if (rc)
            return rc;
        memcpy(w->next, mark->next, sizeof w->next);
        if (mark->present && (!w->kind->unfit || !w->kind->unfit(w)))
            return 0;
        if (clock_mono_ms() > until) {
            ctl_complain("%s, partition %" PRId32
                         ": the live rows %s\n  Does its process run? See its /readyz.",
                         w->kind->word, w->part, mark->present ? "are being recovered" : "have no mark");
            return CTL_FAILED;
        }
    }
}

/* Without comparing: up to where the live rows go, else up to what the group has committed. */
static int find_next(struct stores_work *w, struct store_mark *mark)
{
    if (w->verify)
        return copy_live(w, mark);
    int rc = rstore_mark(&w->redis, RSTORE_LIVE, mark);
    memcpy(w->next, mark->present ? mark->next : w->committed, sizeof w->next);
    return rc;
}

static int find_ends(struct stores_work *w)
{
    const struct stores_kind *k = w->kind;
    int64_t high;
    w->done = w->rows = 0;
    w->truncated = w->compacted = false;
    for (size_t i = 0; i < k->n_inputs; i++) {
        if (scan_ends(w->scan, k->inputs[i], w->part, &w->low[i], &high))
            return CTL_FAILED;
        if (w->next[i] > high || (w->next[i] < w->low[i] && w->low[i] < high)) {
            ctl_complain("%s: the mark is at %" PRId64 ", the log goes from %" PRId64 " to %" PRId64,
                         topics_name(w->c->deploy.topics, k->inputs[i]), w->next[i], w->low[i], high);
            return CTL_FAILED;
        }
    }
    w->truncated = k->trims && w->low[0] > 0;
    return 0;
}

static int gather(struct stores_work *w, enum rstore_side side, struct keysort *rows)
{
    struct stores_side s = {.work = w, .rows = rows, .live = side != RSTORE_SHADOW};
    int rc = rows ? 0 : CTL_FAILED;
    for (uint8_t t = 0; t < STORE_TABLES && !rc; t++)
        if (w->kind->compared & 1u << t)
            rc = rstore_scan(&w->redis, side, t, w->kind->canon, &s);
    return rc;
}

static int compare(struct stores_work *w, struct stores_result *res)
{
    struct keysort *live = keysort_new(0), *shadow = keysort_new(0);
    int rc = gather(w, RSTORE_COPY, live);
    if (!rc)
        rc = gather(w, RSTORE_SHADOW, shadow);
    if (!rc)
        rc = stores_compare(w, live, shadow, res);
    keysort_free(live);
    keysort_free(shadow);
    return rc;
}

static void tell(const struct stores_work *w, const struct stores_result *r, double per_s)
{
    char live[33], shadow[33];
    const struct ctl *c = w->c;
    hex_encode(live, r->live, 16);
    hex_encode(shadow, r->shadow, 16);
    if (c->json) {
        json_t *next = json_array();
        for (size_t i = 0; i < w->kind->n_inputs; i++)
            json_array_append_new(next, json_integer(w->next[i]));
        json_t *j = json_pack("{ss si so sI sI sf sb}", "rebuilt", w->kind->word, "partition", (int)w->part,
                              "next", next, "records", (json_int_t)w->done, "put", (json_int_t)w->rows,
                              "records_per_s", per_s, "rest_in_history", (int)w->truncated);
        if (w->verify)
            json_object_update_new(j, json_pack("{sI sI ss ss sb ss}", "rows", (json_int_t)r->rows,
                                                "left_out", (json_int_t)r->loose, "live", live, "shadow",
                                                shadow, "equal", (int)r->equal, "first", r->first));
        ctl_put(j);
        return;
    }
    printf("%s %" PRId32 ": %" PRIu64 " records up to offset %" PRId64 ", %.0f/s%s\n", w->kind->word, w->part,
           w->done, w->next[0], per_s,
           w->truncated ? "; retention has taken the first ones: the rest is in history" : "");
    if (!w->verify)
        return;
    printf("  live   %s\n  shadow %s  %s, %" PRIu64 " rows", live, shadow, r->equal ? "equal" : "DIFFERENT",
           r->rows);
    if (r->loose)
        printf(", %" PRIu64 " queues past their cap left out", r->loose);
    printf("\n");
    if (!r->equal)
        printf("  first difference: %s\n", r->first);
}

/* The shadow stands afterwards. */
static int rebuild_part(struct stores_work *w, struct stores_result *res)
{
    struct store_mark mark;
    const struct topics *ts = w->c->deploy.topics;
    int64_t committed[4096];
    rstore_choose(&w->redis, topics_group(ts, w->kind->group), w->part);
    for (size_t i = 0; i < w->kind->n_inputs; i++) {
        const struct topic *t = topics_get(ts, w->kind->inputs[i]);
        if (t->parts > 4096 || ctl_offsets(w->c, w->kind->group, t, committed)) {
            ctl_complain("%s: %s", t->name, kadmin_error(w->c->admin));
            return CTL_FAILED;
        }
        w->committed[i] = committed[w->part] > 0 ? committed[w->part] : 0;
    }
    int rc = rstore_drop(&w->redis, RSTORE_SHADOW);
    if (!rc)
        rc = find_next(w, &mark);
    if (!rc)
        rc = find_ends(w);
    int64_t begin = clock_mono_ms();
    if (!rc)
        rc = w->kind->fold(w);
    int64_t ms = clock_mono_ms() - begin;
    double per_s = (double)w->done * 1000 / (double)(ms ? ms : 1);
    *res = (struct stores_result){.equal = true};
    if (!rc && w->verify)
        rc = compare(w, res);
    if (w->verify)
        rstore_drop(&w->redis, RSTORE_COPY);
    if (!rc)
        tell(w, res, per_s);
    return rc;
}

/* ---- the swap ---- */
/* Nothing has come that its process would have to look at. */
static bool idle(struct stores_work *w, const struct store_mark *now)
{
    int64_t low, high;
    for (size_t i = 0; i < w->kind->n_inputs; i++)
        if (scan_ends(w->scan, w->kind->inputs[i], w->part, &low, &high) || high > now->quiet[i])
            return false;
    return true;
}

/* Has its process opened it anew, and is it where the live one was? */
static bool taken_up(struct stores_work *w, const struct store_mark *swapped)
{
    struct store_mark now;
    int quiet = 0;
    for (int64_t until = patience(w->c);; poll(NULL, 0, LOOK_MS)) {
        bool there =
            !rstore_mark(&w->redis, RSTORE_LIVE, &now) && now.generation > swapped->generation && now.present;
        for (size_t i = 0; i < w->kind->n_inputs; i++)
            there &= now.next[i] >= swapped->quiet[i];
        quiet = idle(w, swapped) ? quiet + 1 : 0;
        if (there || quiet > IDLE_LOOKS || clock_mono_ms() > until)
            return there;
    }
}

/* Where a partition's shadow stands, and what its group had committed then. */
struct stood {
    int64_t next[STORE_TOPICS], committed[STORE_TOPICS];
};

static int swap_part(struct stores_work *w, const struct stood *at)
{
    struct store_mark now;
    int rc = rstore_swap(&w->redis, at->next, at->committed, !w->verify, &now);
    if (rc == -EAGAIN)
        ctl_complain("%s, partition %" PRId32
                     ": the live rows lost something meanwhile and are being recovered: "
                     "not swapped. Once more",
                     w->kind->word, w->part);
    if (rc)
        return CTL_FAILED;
    bool up = taken_up(w, &now);
    if (w->c->json)
        ctl_put(json_pack("{ss si sI sb}", "swapped", w->kind->word, "partition", (int)w->part, "generation",
                          (json_int_t)now.generation, "taken_up", (int)up));
    else
        printf("%s %" PRId32 ": swapped; %s\n", w->kind->word, w->part,
               up ? "its process goes on from it" : "its process notices at the next record that comes");
    return 0;
}

static int swap_all(struct stores_work *w, int32_t parts, const struct stood *stood, bool equal)
{
    char question[256];
    snprintf(question, sizeof question, "%s Replace %s by what the log gives?",
             !w->verify ? "Not compared."
             : equal    ? "Both are equal."
                        : "They differ.",
             w->kind->what);
    if (w->c->dry_run)
        ctl_say(w->c, "would swap %" PRId32 " partitions", parts);
    else if (!ctl_sure(w->c, question))
        return CTL_FAILED;
    int rc = 0;
    for (w->part = 0; w->part < parts && !rc && !w->c->dry_run; w->part++) {
        rstore_choose(&w->redis, topics_group(w->c->deploy.topics, w->kind->group), w->part);
        rc = swap_part(w, &stood[w->part]);
    }
    return rc;
}

static int rebuild_all(struct stores_work *w, int32_t parts, struct stood *stood)
{
    struct stores_result res;
    bool equal = true;
    int rc = 0;
    for (w->part = 0; w->part < parts && !rc; w->part++) {
        rc = rebuild_part(w, &res);
        equal &= res.equal;
        memcpy(stood[w->part].next, w->next, sizeof w->next);
        memcpy(stood[w->part].committed, w->committed, sizeof w->committed);
    }
    if (!rc && w->swap)
        rc = swap_all(w, parts, stood, equal);
    for (w->part = 0; w->part < parts; w->part++) {
        rstore_choose(&w->redis, topics_group(w->c->deploy.topics, w->kind->group), w->part);
        rstore_drop(&w->redis, RSTORE_SHADOW);
    }
    if (rc || !w->verify)
        return rc;
    if (!w->c->json)
        printf("%s: %s\n", w->kind->word, equal ? "live and log agree" : "live and log DIFFER");
    return equal || (w->swap && !w->c->dry_run) ? CTL_OK : CTL_FAILED;
}

int stores_run(struct ctl *c, const struct stores_kind *kind, int argc)
{
    struct stores_work w = {.c = c, .kind = kind, .verify = asked.verify, .swap = asked.swap};
    struct stood *stood = NULL;
    if (argc != 1) {
        fprintf(stderr, "usage: parleyctl rebuild %s [--verify] [--swap]\n", kind->word);
        return CTL_USAGE;
    }
    int rc = ctl_kafka(c);
    if (!rc)
        rc = rstore_open(c, &w.redis);
    if (rc)
        return rc;
    w.scan = scan_new(c);
    int32_t parts = topics_get(c->deploy.topics, kind->inputs[0])->parts;
    stood = calloc((size_t)parts, sizeof *stood);
    if (!stood)
        abort();
    rc = !w.scan ? CTL_FAILED : kind->begin ? kind->begin(&w) : 0;
    if (!rc)
        rc = rebuild_all(&w, parts, stood);
    if (kind->end)
        kind->end(&w);
    free(stood);
    scan_free(w.scan);
    rstore_close(&w.redis);
    return rc;
}
