/* parley-persister: keeps history, accounts and the state of conversations in PostgreSQL.
 *
 * reads    im.conversation; im.user and im.vault (group parley-persister); im.vault as a view, for the body keys
 * writes   im.dlq
 * keeps    rows, cells and marks in PostgreSQL, one transaction a batch
 * commits  when that transaction is */
#include "common/base/db.h"
#include "common/base/log.h"
#include "common/im/bodyview.h"
#include "common/im/deploy.h"
#include "common/im/schema.h"
#include "common/im/schema_wait.h"
#include "persister/core.h"
#include "persister/indexer.h"
#include "persister/tables.h"

#include <errno.h>
#include <stdlib.h>

#define FETCH_BYTES 65536
#define FETCH_MS    20

struct settings {
    struct persister_settings core;
    struct deploy_settings deploy;
    struct bodyview_settings bodies;
    int64_t batch_rows, search_share;
};

static const struct conf_def persister_defs[] = {
    CONF_SIZE("persister.cache", struct persister_settings, cache_bytes, "64MiB", 1 << 20, 1LL << 36,
              "Conversations kept in memory, per partition; further ones are read from PostgreSQL."),
};
static const struct conf_def batch_defs[] = {
    CONF_INT("persister.batch_rows", struct settings, batch_rows, "500", 1, 10000,
             "Records a transaction may hold."),
    CONF_INT(
        "persister.search_share", struct settings, search_share, "20", 0, 100,
        "Percent of a processor that keeping words for search may take; 0: none are kept, and a search reads "
        "the messages themselves."),
};

struct process {
    struct daemon_run *run;
    struct deploy deploy;
    struct db *db;
    struct store *store;
    struct persister_settings core; /* as configured, and with the keys */
    struct secrets *secrets;
    struct bodyview *bodies;
    struct indexer *indexer; /* NULL: off */
    struct timer schema_timer;
    bool keys_there, schema_there;
    struct shell_decl decls[2];
    struct shell *shells[2];
    int stopping;
};

static const uint16_t conv_inputs[] = {T_CONVERSATION};
static const uint16_t user_inputs[] = {T_USER, T_VAULT};
static const uint16_t outputs[] = {T_DLQ};

/* ---- both there: start ---- */

static void start(struct process *p)
{
    if (!p->keys_there || !p->schema_there || p->shells[0] || p->stopping)
        return;
    for (size_t i = 0; i < ARRAY_LEN(p->shells); i++) {
        p->shells[i] = shell_new(p->run->loop, &p->decls[i]);
        if (!p->shells[i]) {
            daemon_fail(p->run);
            return;
        }
    }
}

static void keys_ready(void *ctx)
{
    struct process *p = ctx;
    p->core.bodies = bodyview_keys(p->bodies);
    p->keys_there = true;
    start(p);
}

static void topics_ready(void *ctx)
{
    struct process *p = ctx;
    p->bodies = bodyview_new(p->run, &p->deploy, p->secrets, keys_ready, p);
    if (!p->bodies)
        daemon_fail(p->run);
}

static void schema_answer(void *ctx, const struct db_result *r)
{
    struct process *p = ctx;
    enum schema_state state = schema_take(p->run, r);
    if (state == SCHEMA_LATER) {
        loop_timer_start(p->run->loop, &p->schema_timer, SCHEMA_RETRY_MS);
    } else if (state == SCHEMA_THERE) {
        p->schema_there = true;
        indexer_start(p->indexer);
        start(p);
    } /* down: asked again when it is up */
}

static void ask_schema(struct process *p)
{
    const struct db_call call = {.stmt = &schema_ask};
    if (db_run(p->db, &call, 1, schema_answer, p) == -EAGAIN)
        loop_timer_start(p->run->loop, &p->schema_timer, SCHEMA_RETRY_MS);
}

static void schema_again(struct timer *timer)
{
    ask_schema(container_of(timer, struct process, schema_timer));
}

static void postgres_up(void *ctx)
{
    struct process *p = ctx;
    ready_ok(p->run->ready, "postgres");
    ask_schema(p);
}

static void postgres_down(void *ctx, const char *reason)
{
    ready_wait(((struct process *)ctx)->run->ready, "postgres", reason);
}

/* ---- declaration ---- */

static struct slice dead_letter(void *ctx, const struct shell_dead *dead, struct fx *fx)
{
    return deploy_dead_letter(&((struct process *)ctx)->deploy, dead, fx);
}

/* The database is new, or older than what was committed: all of it is derived, so the log is read again. */
static void recover(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    (void)ctx;
    log_warn("rows are missing in PostgreSQL: reading the log from its beginning", log_int("part", gap->part),
             log_int("committed", gap->committed[0]));
    shell_recovery_from_start(r);
}

static void fatal(void *ctx, const char *reason)
{
    log_error("a Kafka client is dead", log_str("why", reason));
    daemon_fail(((struct process *)ctx)->run);
}

static void declare(struct process *p, const struct settings *s)
{
    const struct shell_decl common = {
        .group = topics_group(p->deploy.topics, GROUP_PERSISTER),
        .kafka = p->deploy.kafka,
        .topics = p->deploy.ktopics,
        .n_topics = p->deploy.n_ktopics,
        .outputs = outputs,
        .n_outputs = ARRAY_LEN(outputs),
        .settings = &p->core,
        .store = p->store,
        .ready = p->run->ready,
        .dlq_topic = T_DLQ,
        .dead_letter = dead_letter,
        .recover = recover,
        .fatal = fatal,
        .ctx = p,
        .batch_records = (uint32_t)s->batch_rows,
        .fetch_min_bytes = FETCH_BYTES, /* nobody waits for a row: few large transactions */
        .fetch_wait_ms = FETCH_MS,
    };
    struct shell_decl *conv = &p->decls[0], *users = &p->decls[1];
    *conv = *users = common;
    conv->name = "persister";
    conv->store_name = SCHEMA_STORE_CONV;
    conv->inputs = conv_inputs;
    conv->n_inputs = ARRAY_LEN(conv_inputs);
    conv->ops = &persister_conv;
    users->name = "persister-users";
    users->store_name = SCHEMA_STORE_USERS;
    users->inputs = user_inputs;
    users->n_inputs = ARRAY_LEN(user_inputs);
    users->ops = &persister_users;
}

static int init(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    struct process *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->run = run;
    run->state = p;
    timer_init(&p->schema_timer, schema_again);
    p->core = s->core;
    p->secrets = bodyview_secrets(&s->bodies);
    if (!p->secrets)
        return -EINVAL;
    int rc = deploy_init(&p->deploy, &s->deploy, "persister");
    if (rc)
        return rc;
    ready_wait(run->ready, "postgres", "connecting");
    ready_wait(run->ready, "persister", "not begun yet"); /* the shells' own words: no moment without any */
    ready_wait(run->ready, "persister-users", "not begun yet");
    const struct db_conf db = {
        .conninfo = s->deploy.postgres, .ctx = p, .up = postgres_up, .down = postgres_down};
    p->db = db_new(run->loop, &db);
    p->store = p->db ? store_pg_new(run->loop, p->db, persister_tables, PERSISTER_TABLES) : NULL;
    if (!p->store) {
        log_error("postgres.conninfo cannot be used");
        return -EINVAL;
    }
    if (s->search_share && !(p->indexer = indexer_new(run->loop, s->deploy.postgres, s->search_share)))
        return -ENOMEM;
    declare(p, s);
    return deploy_wait(&p->deploy, run, topics_ready, p);
}

static void stopped(void *ctx)
{
    struct process *p = ctx;
    if (--p->stopping == 0)
        daemon_drained(p->run);
}

static void drain(struct daemon_run *run)
{
    struct process *p = run->state;
    p->stopping = 1;
    for (size_t i = 0; i < ARRAY_LEN(p->shells); i++) {
        if (p->shells[i]) {
            p->stopping++;
            shell_stop(p->shells[i], stopped, p);
        }
    }
    stopped(p);
}

static void fini(struct daemon_run *run)
{
    struct process *p = run->state;
    if (!p)
        return;
    for (size_t i = 0; i < ARRAY_LEN(p->shells); i++)
        shell_free(p->shells[i]);
    bodyview_free(p->bodies);
    secrets_free(p->secrets);
    indexer_free(p->indexer);
    store_free(p->store);
    db_free(p->db);
    loop_timer_stop(run->loop, &p->schema_timer);
    deploy_release(&p->deploy);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct conf_table tables[] = {CONF_TABLE(persister_defs, struct settings, core),
                                               BODYVIEW_TABLE(struct settings, bodies),
                                               {.defs = batch_defs, .n = ARRAY_LEN(batch_defs)},
                                               DEPLOY_TABLE(struct settings, deploy)};
    return daemon_main(argc, argv,
                       &(struct daemon){
                           .name = "persister",
                           .summary = "keeps history and accounts in PostgreSQL",
                           .examples = "  parleyctl migrate                       # once: make the tables\n"
                                       "  parley-persister --config parley.json   # then this\n",
                           .http = "127.0.0.1:9104",
                           .tables = tables,
                           .n_tables = ARRAY_LEN(tables),
                           .settings_size = sizeof(struct settings),
                           .sections = deploy_sections,
                           .init = init,
                           .drain = drain,
                           .fini = fini,
                       });
}
