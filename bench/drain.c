/* drain.c: how fast the persister works off a backlog: from its first commit after this began until it has all that
 * im.conversation holds. Then every record of the backlog must be a row: as many, and dense in each conversation. */
#include "bench/args.h"
#include "bench/bench.h"
#include "bench/ends.h"
#include "bench/pg.h"
#include "bench/procs.h"
#include "bench/result.h"

#include "common/base/macros.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define POLL_US 5000

static const char marks[] =
    "SELECT coalesce(sum(next[1]), 0)::int8 FROM parley_marks WHERE store LIKE '%conversation'";
/* Rows of the backlog, and how far their numbers are from dense and distinct. */
static const char remember[] =
    "CREATE TEMP TABLE before AS SELECT part, next[1] AS next FROM parley_marks WHERE store "
    "LIKE '%conversation'";
static const char count[] = "SELECT count(*) FROM messages m, before b WHERE m.conv_part = b.part AND "
                            "m.conv_offset >= b.next";
static const char holes[] = "SELECT coalesce(sum(hi - lo + 1 - n) + sum(n - nc), 0)::int8 FROM (SELECT "
                            "min(seq) lo, max(seq) hi, count(*) n, "
                            "count(DISTINCT (sender, device, client_seq)) nc FROM messages m, before b WHERE "
                            "m.conv_part = b.part AND "
                            "m.conv_offset >= b.next GROUP BY conv) t";

struct drain {
    const char *postgres, *kafka;
    uint64_t quit_ms;
    struct arg_list processes;
    struct procs procs;
    struct ends ends;
    int64_t base, first, last, first_ns, last_ns;
    const char *failure;
};

static void watch(struct drain *d, PGconn *db)
{
    int64_t now = now_ns(), changed = now, target = (int64_t)d->ends.conversation;
    d->first = d->last = d->base;
    while (d->last < target && now - changed < (int64_t)d->quit_ms * 1000000) {
        int64_t at = pg_number(db, marks);
        now = now_ns();
        if (at != d->last) {
            changed = d->last_ns = now;
            if (d->first == d->base) {
                d->first = at;
                d->first_ns = now;
                procs_init(&d->procs, &d->processes);
                procs_begin(&d->procs);
            }
            d->last = at;
        }
        usleep(POLL_US);
    }
    procs_end(&d->procs);
    if (d->last < target)
        d->failure = "the persister stopped before the end of the log";
}

static void check(struct drain *d, PGconn *db, int64_t rows)
{
    if (rows != d->last - d->base)
        d->failure = "there are not as many rows as records";
    else if (pg_number(db, holes))
        d->failure = "rows are missing, doubled or not numbered densely";
}

int command_drain(int argc, char **argv)
{
    static struct drain d = {.quit_ms = 30000};
    d.kafka = getenv("PARLEY_KAFKA");
    const struct arg args[] = {
        {"postgres", ARG_TEXT, &d.postgres, "conninfo (env: $PARLEY_POSTGRES)"},
        {"kafka", ARG_TEXT, &d.kafka, "host:port of a broker ($PARLEY_KAFKA)"},
        {"quit-ms", ARG_NUMBER, &d.quit_ms, "without progress: it failed (30000)"},
        {"process", ARG_LIST, &d.processes, "name=pid: count its CPU time; once for each"},
    };
    int rc = args_parse("parley-bench drain: rows a second while the persister works off a backlog.", args,
                        ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    d.postgres = args_postgres(d.postgres);
    if (!d.postgres || !d.kafka || ends_read(d.kafka, &d.ends))
        return 2;
    PGconn *db = pg_open(d.postgres);
    pg_run(db, remember);
    d.base = pg_number(db, marks);
    fprintf(stderr, "backlog %" PRId64 "\n", (int64_t)d.ends.conversation - d.base);
    watch(&d, db);
    int64_t rows = pg_number(db, count);
    if (!d.failure)
        check(&d, db, rows);
    PQfinish(db);
    double s = (double)(d.last_ns - d.first_ns) / 1e9;
    json_t *o = result_new("drain", 0);
    if (d.failure)
        json_object_set_new(o, "failure", json_string(d.failure));
    json_object_set_new(o, "backlog", json_integer(d.last - d.base));
    json_object_set_new(o, "rows", json_integer(rows));
    json_object_set_new(o, "seconds", json_real(s));
    json_object_set_new(o, "rows_per_s", json_real(s > 0 ? (double)(d.last - d.first) / s : 0));
    json_object_set_new(o, "cpu_us_per_row", procs_json(&d.procs, (uint64_t)(d.last - d.first)));
    return result_print(o, !d.failure);
}
