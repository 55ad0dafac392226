/* per_minute: messages per conversation and minute, from im.conversation into PostgreSQL, exactly once.
 *
 * A core (common/base/core.h) on the shell (common/base/shell.h): rows and offset are one transaction, so a crash
 * anywhere counts nothing twice and leaves nothing out. A send that the log holds twice (a router that was restarted
 * repeats itself) is one: msg_id names it. Copy this file, change step() and the tables. README.md says how to run it. */
#include "common/base/kadmin.h"
#include "common/base/log.h"
#include "common/base/rowcache.h"
#include "common/base/store_pg.h"
#include "common/im/convrec.h"
#include "common/im/deploy.h"
#include "common/im/wire.h"

#include <errno.h>
#include <stdlib.h>

#define GROUP     "per-minute"
#define KEY_COUNT (ID_SIZE + 8)

enum { T_SEEN = 1, T_COUNT = 2 }; /* msg_id → 1 byte; conversation ‖ minute → messages, 8 bytes big-endian */

struct settings {
    struct deploy_settings deploy;
};
struct count {
    struct row row; /* first, for rowcache.h */
    uint64_t n;     /* SEEN: 1, it was counted */
};

/* ---- what is decided: no I/O here ---- */

static void free_count(struct row *r)
{
    free(r); /* the row is the first thing in it */
}

static void *open_core(const struct core_open *o)
{
    struct rowcache *c = calloc(1, sizeof *c);
    (void)o;
    if (c)
        rowcache_init(c, 16 << 20, free_count);
    return c;
}

/* The keys of the two rows of a record; false: it is not counted. */
static bool keys_of(const struct record *r, struct id16 *msg, uint8_t count[KEY_COUNT])
{
    struct convrec rec;
    if (convrec_decode(r->value, r->time_ms, &rec) || rec.event.kind != IM__CONV_KIND__CONV_MESSAGE)
        return false;
    *msg = rec.msg_id;
    memcpy(count, rec.event.conv.b, ID_SIZE);
    wire_put_be(count + ID_SIZE, (uint64_t)r->time_ms / 60000, 8);
    return true;
}

static enum core_rc plan(void *core, const struct record *r, struct want *want)
{
    struct id16 msg;
    uint8_t key[KEY_COUNT];
    if (!keys_of(r, &msg, key))
        return CORE_OK;
    if (!rowcache_get(core, T_SEEN, (struct slice){msg.b, ID_SIZE}))
        want_add(want, T_SEEN, (struct slice){msg.b, ID_SIZE});
    if (!rowcache_get(core, T_COUNT, (struct slice){key, KEY_COUNT}))
        want_add(want, T_COUNT, (struct slice){key, KEY_COUNT});
    return CORE_OK;
}

static void load(void *core, uint8_t table, struct slice key, struct slice row) /* row.n == 0: not there */
{
    struct count *c = calloc(1, sizeof *c);
    struct wire w = wire_of(row);
    if (!c)
        abort();
    c->n = row.n ? wire_be(&w, (unsigned)row.n) : 0;
    rowcache_add(core, table, key, &c->row, sizeof *c);
}

static enum core_rc step(void *core, const struct record *r, int64_t now_ms, struct fx *fx)
{
    struct id16 msg;
    uint8_t key[KEY_COUNT], n[8];
    (void)now_ms;
    if (!keys_of(r, &msg, key))
        return CORE_OK;
    struct count *seen = (struct count *)rowcache_get(core, T_SEEN, (struct slice){msg.b, ID_SIZE});
    struct count *count = (struct count *)rowcache_get(core, T_COUNT, (struct slice){key, KEY_COUNT});
    if (seen->n)
        return CORE_OK;
    seen->n = 1;
    wire_put_be(n, ++count->n, 8);
    fx_put(fx, T_SEEN, (struct slice){msg.b, ID_SIZE}, (struct slice){"\1", 1});
    fx_put(fx, T_COUNT, (struct slice){key, KEY_COUNT}, (struct slice){n, sizeof n});
    return CORE_OK;
}

static void end(void *core, int64_t now_ms, struct fx *fx)
{
    (void)now_ms;
    (void)fx;
    rowcache_turn(core); /* rows may leave memory between batches only */
}

static void close_core(void *core)
{
    rowcache_release(core);
    free(core);
}

static const struct core_ops core = {
    .open = open_core, .plan = plan, .load = load, .step = step, .end = end, .close = close_core};

/* ---- where it is kept; schema.sql has the tables ---- */

#define NUMBER(bytes) "('x' || encode(" bytes ", 'hex'))::bit(64)::bigint"
static const struct store_pg_table tables[] = {
    {.table = T_SEEN,
     .name = "seen",
     .n_columns = 2,
     .upsert =
         "INSERT INTO per_minute_seen (part, msg_id) SELECT $2, k FROM unnest($3::bytea[], $4::bytea[]) "
         "x(k, r)",
     .load = "SELECT msg_id, '\\x01'::bytea FROM per_minute_seen WHERE $2 >= 0 AND msg_id = ANY($3::bytea[])",
     .clear = "DELETE FROM per_minute_seen WHERE part = $2 AND $1 <> ''"},
    {.table = T_COUNT,
     .name = "count",
     .n_columns = 2,
     .upsert = "INSERT INTO per_minute (part, conv, minute, messages) SELECT $2, substr(k, 1, 16), " NUMBER(
         "substr(k, 17, 8)") ", " NUMBER("r") " FROM unnest($3::bytea[], $4::bytea[]) x(k, r) ON CONFLICT "
                                              "(conv, minute) DO UPDATE SET messages = excluded.messages",
     .load = "SELECT k, int8send(messages) FROM per_minute, unnest($3::bytea[]) k WHERE $2 >= 0 AND conv = "
             "substr(k, 1, 16) AND minute = " NUMBER("substr(k, 17, 8)"),
     .clear = "DELETE FROM per_minute WHERE part = $2 AND $1 <> ''"},
};

/* ---- the process ---- */

struct process {
    struct daemon_run *run;
    struct deploy deploy;
    struct db *db;
    struct store *store;
    struct shell *shell;
    char group[96];
};
static const uint16_t inputs[] = {T_CONVERSATION};

/* The tables are new, or older than what was committed: the log is read again. */
static void recover(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    (void)ctx;
    (void)gap;
    shell_recovery_from_start(r);
}

/* A group that never was begins at 0; from then on a missing commit halts it, loudly. */
static int begin(const struct process *p)
{
    const struct topic *t = topics_get(p->deploy.topics, T_CONVERSATION);
    struct kadmin *admin = kadmin_new(&p->deploy.kafka, 10000);
    int64_t *at = calloc((size_t)t->parts, sizeof *at);
    int rc = admin && at ? kadmin_group_offsets(admin, p->group, t->name, at, t->parts) : -ENOMEM;
    bool any = false;
    for (int32_t i = 0; !rc && i < t->parts; i++)
        any |= at[i] >= 0;
    if (!rc && !any) {
        memset(at, 0, (size_t)t->parts * sizeof *at);
        rc = kadmin_commit_offsets(admin, p->group, t->name, at, t->parts);
    }
    if (rc)
        log_error("the group's first commit failed",
                  log_str("why", admin ? kadmin_error(admin) : "no memory"));
    free(at);
    kadmin_free(admin);
    return rc;
}

static void topics_ready(void *ctx)
{
    struct process *p = ctx;
    const struct shell_decl decl = {.name = GROUP,
                                    .group = p->group,
                                    .store_name = GROUP,
                                    .kafka = p->deploy.kafka,
                                    .topics = p->deploy.ktopics,
                                    .n_topics = p->deploy.n_ktopics,
                                    .inputs = inputs,
                                    .n_inputs = ARRAY_LEN(inputs),
                                    .ops = &core,
                                    .store = p->store,
                                    .ready = p->run->ready,
                                    .dlq_topic = SHELL_NO_DLQ,
                                    .recover = recover,
                                    .ctx = p};
    p->shell = begin(p) ? NULL : shell_new(p->run->loop, &decl);
    if (!p->shell)
        daemon_fail(p->run);
}

static int init(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    struct process *p = run->state = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->run = run;
    int rc = deploy_init(&p->deploy, &s->deploy, GROUP);
    if (rc)
        return rc;
    (void)snprintf(p->group, sizeof p->group, "%s" GROUP, s->deploy.prefix);
    p->db = db_new(run->loop, &(struct db_conf){.conninfo = s->deploy.postgres});
    p->store = p->db ? store_pg_new(run->loop, p->db, tables, ARRAY_LEN(tables)) : NULL;
    return p->store ? deploy_wait(&p->deploy, run, topics_ready, p) : -EINVAL;
}

static void stopped(void *ctx)
{
    daemon_drained(((struct process *)ctx)->run);
}

static void drain(struct daemon_run *run)
{
    struct process *p = run->state;
    if (p->shell)
        shell_stop(p->shell, stopped, p);
    else
        daemon_drained(run);
}

static void fini(struct daemon_run *run)
{
    struct process *p = run->state;
    if (!p)
        return;
    shell_free(p->shell);
    store_free(p->store);
    db_free(p->db);
    deploy_release(&p->deploy);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct conf_table conf[] = {DEPLOY_TABLE(struct settings, deploy)};
    return daemon_main(argc, argv,
                       &(struct daemon){.name = "per_minute",
                                        .summary = "counts messages per conversation and minute",
                                        .examples = "  per_minute --config parley.json\n",
                                        .tables = conf,
                                        .n_tables = ARRAY_LEN(conf),
                                        .settings_size = sizeof(struct settings),
                                        .sections = deploy_sections,
                                        .init = init,
                                        .drain = drain,
                                        .fini = fini});
}
