/* parley-router: judges logins and turns what clients send into records of the right topic.
 *
 * reads    im.inbound (group parley-router); im.lease as a view; at a recovery im.user, im.vault, im.presence
 * writes   im.conversation, im.signal, im.user, im.vault, im.presence, im.offline, im.deliver.<slot>, im.dlq
 * keeps    one row per account in Redis; makes them again from im.user, im.vault and im.presence
 * commits  when its output is acked and the rows are in Redis */
#include "common/im/worker.h"
#include "router/core.h"
#include "router/recover.h"

#include <errno.h>
#include <stdlib.h>

struct settings {
    struct router_settings core;
    struct deploy_settings deploy;
    struct bodyview_settings bodies;
};

static const struct conf_def router_defs[] = {
    CONF_SIZE("router.cache", struct router_settings, cache_bytes, "32MiB", 1 << 20, 1LL << 36,
              "Accounts kept in memory, per partition; further ones are read from Redis."),
    CONF_BOOL("router.one_per_class", struct router_settings, one_per_class, "false",
              "A login ends the sessions of the user's other devices of the same class."),
    CONF_BOOL("router.strangers_refused", struct router_settings, strangers_refused, "false",
              "Only friends may write to each other."),
    CONF_MS("router.recall_limit", struct router_settings, recall_limit_ms, "2m", 0, 365LL * 86400000,
            "How long the author may recall a message; 0: without limit."),
    CONF_INT("router.group_cap", struct router_settings, group_cap, "10000", 2, 100000,
             "Members of a group."),
    CONF_INT("router.receipt_cap", struct router_settings, receipt_cap, "100", 0, 10000,
             "Members of a group up to which they are told who has read what."),
    CONF_BOOL("router.seal", struct router_settings, seal, "true",
              "What users say is sealed under a key of their own, so that it can be erased for good."),
};

struct process {
    struct worker worker;
    struct worker_conf conf;
    struct recover recover;
    struct router_settings core;
    struct secrets *secrets;
};

static const uint16_t inputs[] = {T_INBOUND};
static const uint16_t outputs[] = {T_CONVERSATION, T_SIGNAL, T_USER, T_VAULT, T_PRESENCE, T_OFFLINE};

static int init(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    struct process *p = run->state = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->recover.worker = &p->worker;
    p->secrets = bodyview_secrets(&s->bodies);
    if (!p->secrets)
        return -EINVAL;
    p->core = s->core;
    p->core.secrets = p->secrets;
    p->conf = (struct worker_conf){
        .name = "router",
        .group = GROUP_ROUTER,
        .inputs = inputs,
        .n_inputs = ARRAY_LEN(inputs),
        .outputs = outputs,
        .n_outputs = ARRAY_LEN(outputs),
        .ops = &router_core,
        .rebuild = recover_decl(&p->recover),
        .ctx = p,
        .batches = 8,
        .put_ms = 5,
    };
    return worker_init(&p->worker, run, &p->conf, &s->deploy, &p->core);
}

static void drain(struct daemon_run *run)
{
    worker_drain(&((struct process *)run->state)->worker);
}

static void fini(struct daemon_run *run)
{
    struct process *p = run->state;
    if (!p)
        return;
    worker_release(&p->worker);
    recover_release(&p->recover);
    secrets_free(p->secrets);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct conf_table tables[] = {CONF_TABLE(router_defs, struct settings, core),
                                               BODYVIEW_TABLE(struct settings, bodies),
                                               DEPLOY_TABLE(struct settings, deploy)};
    return daemon_main(
        argc, argv,
        &(struct daemon){
            .name = "router",
            .summary = "judges logins and turns what clients send into records of the right topic",
            .examples = "  parley-router --config parley.json   # as many as there are partitions\n",
            .http = "127.0.0.1:9102",
            .tables = tables,
            .n_tables = ARRAY_LEN(tables),
            .settings_size = sizeof(struct settings),
            .sections = deploy_sections,
            .init = init,
            .drain = drain,
            .fini = fini,
        });
}
