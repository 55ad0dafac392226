#include "persister/indexer.h"

#include "common/base/clock.h"
#include "common/base/db.h"
#include "common/base/log.h"
#include "common/base/macros.h"
#include "common/base/metrics.h"

#include <endian.h>
#include <stdlib.h>

#define PIECE    8    /* blocks at a time: some ten milliseconds */
#define PAUSE_MS 50   /* at least */
#define IDLE_MS  2000 /* nothing was to be done */

METRIC_COUNTER(blocks, "parley_persister_search_blocks_total",
               "Blocks of 64 messages given their words for search.");

struct indexer {
    struct loop *loop;
    struct db *db;
    struct timer timer;
    int64_t share, asked_ms;
    bool started, asking;
};

static const struct db_stmt stmt = {"index_blocks", "SELECT parley_index_blocks($1)", 1,
                                    (const Oid[]){DB_OID_INT4}};

static void answered(void *ctx, const struct db_result *r)
{
    struct indexer *x = ctx;
    int64_t n = 0, took = clock_mono_ms() - x->asked_ms, pause = IDLE_MS;
    x->asking = false;
    if (r->status == DB_OK)
        n = db_get_i64(r->results[0], 0, 0);
    else if (r->status == DB_ERROR)
        log_warn("words for search cannot be kept", log_str("reason", r->message));
    metric_add(&blocks, n);
    if (n == PIECE) {
        pause = took * (100 - x->share) / x->share;
        pause = pause < PAUSE_MS ? PAUSE_MS : pause;
    }
    loop_timer_start(x->loop, &x->timer, pause);
}

static void due(struct timer *timer)
{
    struct indexer *x = container_of(timer, struct indexer, timer);
    uint32_t piece = htobe32(PIECE);
    const char *values[] = {(const char *)&piece};
    const int lengths[] = {sizeof piece};
    const struct db_call call = {&stmt, values, lengths};
    x->asked_ms = clock_mono_ms();
    x->asking = db_run(x->db, &call, 1, answered, x) == 0;
    if (!x->asking)
        loop_timer_start(x->loop, &x->timer, IDLE_MS);
}

struct indexer *indexer_new(struct loop *loop, const char *conninfo, int64_t share)
{
    struct indexer *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->loop = loop;
    x->share = share;
    timer_init(&x->timer, due);
    x->db = db_new(loop, &(struct db_conf){.conninfo = conninfo, .ctx = x});
    if (!x->db) {
        free(x);
        return NULL;
    }
    return x;
}

void indexer_start(struct indexer *x)
{
    if (!x || x->started)
        return;
    x->started = true;
    loop_timer_start(x->loop, &x->timer, IDLE_MS);
}

void indexer_free(struct indexer *x)
{
    if (!x)
        return;
    db_free(x->db);
    loop_timer_stop(x->loop, &x->timer);
    free(x);
}
