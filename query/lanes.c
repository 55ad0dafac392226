#include "query/lanes.h"

#include "common/base/log.h"
#include "common/im/schema_wait.h"

#include <errno.h>
#include <stdlib.h>

#define CALL_MS 8000

#define SETUP                                                                                         \
    "SET default_transaction_read_only = on; SET default_transaction_isolation = 'repeatable read'; " \
    "SET statement_timeout = '5s'; SET jit = off"
/* Every question is answered by keys, in the order of an index, whatever the tables hold: planning anew each time costs
 * more than running, and no guess of the planner's may turn a page into a scan. */
static const char by_keys[] = SETUP "; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; "
                                    "SET enable_bitmapscan = off; SET enable_sort = off";
static const char as_it_likes[] = SETUP; /* searches */

struct lane {
    struct lanes *all;
    struct db *db;
    unsigned busy;
};

struct lanes {
    struct daemon_run *run;
    struct lane *lane;
    unsigned n, up;
    bool schema_there, asking;
    struct timer schema_timer;
    void (*room)(void *ctx);
    void *ctx;
};

struct under_way { /* counts a call of a lane */
    struct lane *lane;
    db_fn *fn;
    void *ctx;
};

static void ask_schema(struct lanes *l);

static void schema_answer(void *ctx, const struct db_result *r)
{
    struct lanes *l = ctx;
    l->asking = false;
    enum schema_state state = schema_take(l->run, r);
    if (state == SCHEMA_LATER) {
        loop_timer_start(l->run->loop, &l->schema_timer, SCHEMA_RETRY_MS);
    } else if (state == SCHEMA_THERE) {
        l->schema_there = true;
        l->room(l->ctx);
    } /* down: asked again when it is up */
}

static void ask_schema(struct lanes *l)
{
    const struct db_call call = {.stmt = &schema_ask};
    for (unsigned i = 0; i < l->n && !l->asking && !l->schema_there; i++)
        l->asking = db_run(l->lane[i].db, &call, 1, schema_answer, l) == 0;
}

static void schema_again(struct timer *t)
{
    ask_schema(container_of(t, struct lanes, schema_timer));
}

static void on_up(void *ctx)
{
    struct lane *lane = ctx;
    struct lanes *l = lane->all;
    if (l->up++ == 0)
        ready_ok(l->run->ready, "postgres");
    ask_schema(l);
    l->room(l->ctx);
}

static void on_down(void *ctx, const char *reason)
{
    struct lanes *l = ((struct lane *)ctx)->all;
    unsigned up = 0;
    for (unsigned i = 0; i < l->n; i++)
        up += l->lane[i].db && db_up(l->lane[i].db);
    l->up = up;
    if (up == 0)
        ready_wait(l->run->ready, "postgres", reason);
}

struct lanes *lanes_new(struct daemon_run *run, const char *conninfo, unsigned connections,
                        void (*room)(void *ctx), void *ctx)
{
    struct lanes *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    *l = (struct lanes){.run = run, .room = room, .ctx = ctx};
    timer_init(&l->schema_timer, schema_again);
    l->lane = calloc(connections, sizeof *l->lane);
    ready_wait(run->ready, "postgres", "connecting");
    ready_wait(run->ready, "schema", "not seen yet");
    for (; l->lane && l->n < connections; l->n++) {
        struct lane *lane = &l->lane[l->n];
        lane->all = l;
        const struct db_conf conf = {.conninfo = conninfo,
                                     .setup =
                                         connections > 1 && l->n == connections - 1 ? as_it_likes : by_keys,
                                     .max_calls = 64, /* statements being prepared count too */
                                     .timeout_ms = CALL_MS,
                                     .ctx = lane,
                                     .up = on_up,
                                     .down = on_down};
        lane->db = db_new(run->loop, &conf);
        if (!lane->db)
            break;
    }
    if (l->n == 0 || l->n < connections) {
        log_error("postgres.conninfo cannot be used");
        lanes_free(l);
        return NULL;
    }
    return l;
}

void lanes_free(struct lanes *l)
{
    if (!l)
        return;
    for (unsigned i = 0; i < l->n; i++)
        db_free(l->lane[i].db);
    loop_timer_stop(l->run->loop, &l->schema_timer);
    free(l->lane);
    free(l);
}

static void on_result(void *ctx, const struct db_result *r)
{
    struct under_way *u = ctx;
    struct lanes *l = u->lane->all;
    u->lane->busy--;
    u->fn(u->ctx, r);
    free(u);
    l->room(l->ctx);
}

/* The last connection is for what is slow, when there is more than one. */
static struct lane *choose(struct lanes *l, bool slow)
{
    unsigned first = slow && l->n > 1 ? l->n - 1 : 0, end = slow || l->n == 1 ? l->n : l->n - 1;
    struct lane *best = NULL;
    for (unsigned i = first; i < end; i++)
        if (db_up(l->lane[i].db) && l->lane[i].busy < LANES_CALLS && (!best || l->lane[i].busy < best->busy))
            best = &l->lane[i];
    return best;
}

int lanes_run(struct lanes *l, bool slow, const struct ask *a, db_fn *fn, void *ctx)
{
    struct lane *lane = l->schema_there ? choose(l, slow) : NULL;
    struct under_way *u = lane ? malloc(sizeof *u) : NULL;
    if (!u)
        return -EAGAIN;
    *u = (struct under_way){lane, fn, ctx};
    if (db_run(lane->db, a->calls, a->n, on_result, u)) {
        free(u);
        return -EAGAIN;
    }
    lane->busy++;
    return 0;
}
