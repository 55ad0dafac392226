/* parley-fanout: gives every message its number and says which edges get it.
 *
 * reads    im.conversation (group parley-fanout); im.lease and im.presence as views
 * writes   im.deliver.<slot>, im.offline, im.dlq
 * keeps    the reducer's cells in Redis; recovers them from PostgreSQL
 * commits  when its output is acked and the cells are in Redis */
#include "common/base/kv.h"
#include "common/base/log.h"
#include "common/im/deploy.h"
#include "common/im/follow.h"
#include "fanout/core.h"
#include "fanout/restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct settings {
    struct fanout_settings core;
    struct deploy_settings deploy;
};

static const struct conf_def fanout_defs[] = {
    CONF_SIZE("fanout.cache", struct fanout_settings, cache_bytes, "64MiB", 1 << 20, 1LL << 36,
              "Conversations kept in memory, per partition; further ones are read from Redis."),
};

struct process {
    struct daemon_run *run;
    struct deploy deploy;
    struct follow follow;
    struct fanout_views views;
    struct kv *kv;
    struct store *store;
    struct shell *shell;
    struct shell_decl decl;
    struct restore_conf restore;
    uint16_t outputs[TOPICS_SLOTS_MAX + 2];
    char store_prefix[80];
};

static const uint16_t inputs[] = {T_CONVERSATION};

static void redis_up(void *ctx)
{
    ready_ok(((struct process *)ctx)->run->ready, "redis");
}

static void redis_down(void *ctx, const char *reason)
{
    ready_wait(((struct process *)ctx)->run->ready, "redis", reason);
}

static void recover(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    restore_begin(&((struct process *)ctx)->restore, r, gap);
}

static void recover_room(void *ctx, struct shell_recovery *r)
{
    (void)ctx;
    restore_room(r);
}

static void recover_cancel(void *ctx, struct shell_recovery *r)
{
    (void)ctx;
    restore_cancel(r);
}

static struct slice dead_letter(void *ctx, const struct shell_dead *dead, struct fx *fx)
{
    return deploy_dead_letter(&((struct process *)ctx)->deploy, dead, fx);
}

static void fatal(void *ctx, const char *reason)
{
    log_error("a Kafka client is dead", log_str("why", reason));
    daemon_fail(((struct process *)ctx)->run);
}

static void views_ready(void *ctx)
{
    struct process *p = ctx;
    p->views = (struct fanout_views){.presence = p->follow.presence, .lease = p->follow.lease};
    p->shell = shell_new(p->run->loop, &p->decl);
    if (!p->shell)
        daemon_fail(p->run);
}

static void topics_ready(void *ctx)
{
    struct process *p = ctx;
    if (follow_init(&p->follow, p->run, &p->deploy, FOLLOW_LEASE | FOLLOW_PRESENCE, views_ready, NULL, p))
        daemon_fail(p->run);
}

static void declare(struct process *p, const struct settings *s)
{
    size_t n = 0;
    p->outputs[n++] = T_OFFLINE;
    p->outputs[n++] = T_DLQ;
    for (uint32_t slot = 0; slot < topics_slots(p->deploy.topics); slot++)
        p->outputs[n++] = topic_of_slot(slot);
    p->restore = (struct restore_conf){.loop = p->run->loop, .conninfo = s->deploy.postgres};
    p->decl = (struct shell_decl){
        .name = "fanout",
        .group = topics_group(p->deploy.topics, GROUP_FANOUT),
        .kafka = p->deploy.kafka,
        .topics = p->deploy.ktopics,
        .n_topics = p->deploy.n_ktopics,
        .inputs = inputs,
        .n_inputs = ARRAY_LEN(inputs),
        .outputs = p->outputs,
        .n_outputs = n,
        .ops = &fanout_core,
        .settings = &s->core,
        .shared = &p->views,
        .store = p->store,
        .batches = 8,
        .put_ms = 5,
        .ready = p->run->ready,
        .dlq_topic = T_DLQ,
        .dead_letter = dead_letter,
        .recover = recover,
        .recover_room = recover_room,
        .recover_cancel = recover_cancel,
        .fatal = fatal,
        .ctx = p,
    };
}

static int init(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    struct process *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->run = run;
    run->state = p;
    int rc = deploy_init(&p->deploy, &s->deploy, "fanout");
    if (rc)
        return rc;
    ready_wait(run->ready, "redis", "connecting");
    ready_wait(run->ready, "fanout", "not begun yet"); /* the shell's own word: no moment without any */
    const struct kv_conf kv = {.url = s->deploy.redis, .ctx = p, .up = redis_up, .down = redis_down};
    snprintf(p->store_prefix, sizeof p->store_prefix, "%sparley", s->deploy.prefix);
    p->kv = kv_new(run->loop, &kv);
    p->store = p->kv ? store_redis_new(run->loop, p->kv, p->store_prefix) : NULL;
    if (!p->store) {
        log_error("redis.url cannot be used");
        return -EINVAL;
    }
    declare(p, s);
    return deploy_wait(&p->deploy, run, topics_ready, p);
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
    follow_release(&p->follow);
    kv_free(p->kv); /* answers what is in flight to the store */
    store_free(p->store);
    deploy_release(&p->deploy);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct conf_table tables[] = {CONF_TABLE(fanout_defs, struct settings, core),
                                               DEPLOY_TABLE(struct settings, deploy)};
    return daemon_main(
        argc, argv,
        &(struct daemon){
            .name = "fanout",
            .summary = "numbers messages and sends them to the edges of their members",
            .examples = "  parley-fanout --config parley.json   # as many as there are partitions\n",
            .http = "127.0.0.1:9103",
            .tables = tables,
            .n_tables = ARRAY_LEN(tables),
            .settings_size = sizeof(struct settings),
            .sections = deploy_sections,
            .init = init,
            .drain = drain,
            .fini = fini,
        });
}
