/* parley-webhooks: tells HTTP endpoints what happens in conversations.
 *
 * reads    im.conversation, for each endpoint by itself (groups parley-webhooks.<name>.<begin>); im.webhook and im.vault
 *          as views
 * writes   im.dlq (what an endpoint refuses); POSTs
 * keeps    the reducer's cells and the mark of each endpoint in Redis; made again from PostgreSQL or the log
 * commits  when the endpoint took everything below the position */
#include "common/base/arena.h"
#include "common/base/arena_protobuf.h"
#include "common/base/kv.h"
#include "common/base/kview.h"
#include "common/base/log.h"
#include "common/im/bodyview.h"
#include "webhooks/hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct settings {
    struct webhook_settings hooks;
    struct deploy_settings deploy;
    struct bodyview_settings bodies;
};

struct process {
    struct daemon_run *run;
    struct deploy deploy;
    struct endpoints endpoints;
    struct hook hooks[ENDPOINTS_MAX];
    struct hook_env env;
    struct kproducer *producer;
    struct kview *view;
    struct secrets *secrets;
    struct bodyview *bodies;
    int to_come; /* views that are not read to their end yet */
    struct arena *scratch;
    size_t ending;
    char store_prefix[80];
};

static const uint16_t outputs[] = {T_DLQ};

static void redis_up(void *ctx)
{
    ready_ok(((struct process *)ctx)->run->ready, "redis");
}

static void redis_down(void *ctx, const char *reason)
{
    ready_wait(((struct process *)ctx)->run->ready, "redis", reason);
}

/* ---- what the operator says ---- */

static struct hook *hook_named(struct process *p, const char *name)
{
    for (size_t i = 0; i < p->endpoints.n; i++)
        if (strcmp(p->endpoints.v[i].name, name) == 0)
            return &p->hooks[i];
    return NULL;
}

static void on_word(void *ctx, const struct record *r)
{
    struct process *p = ctx;
    struct arena_protobuf pb;
    Im__WebhookRecord *w;
    if (!r->value.p)
        return;
    arena_reset(p->scratch);
    int rc = codec_webhook(arena_protobuf_allocator(&pb, p->scratch, 4096), r->value, &w);
    if (rc) {
        log_warn("a record of im.webhook cannot be read", log_int("offset", r->offset));
        return;
    }
    struct hook *h = hook_named(p, w->name);
    if (!h)
        return;
    h->begin = w->begin;
    h->paused = w->paused;
    if (p->to_come == 0)
        hook_follow(h);
}

static void caught_up(void *ctx)
{
    struct process *p = ctx;
    if (--p->to_come > 0)
        return;
    ready_ok(p->run->ready, "webhooks");
    p->env.bodies = bodyview_keys(p->bodies);
    for (size_t i = 0; i < p->endpoints.n; i++) {
        struct hook *h = &p->hooks[i];
        if (h->begin == 0)
            log_warn("endpoint has not begun: run parleyctl webhooks replay NAME --from now",
                     log_str("endpoint", h->endpoint->name));
        hook_follow(h);
    }
}

static void view_error(void *ctx, bool is_fatal, const char *reason)
{
    if (!is_fatal)
        return;
    log_error("a view's Kafka client is dead", log_str("why", reason));
    daemon_fail(((struct process *)ctx)->run);
}

static void producer_fatal(void *ctx, int code, const char *reason)
{
    (void)code;
    log_error("the producer is dead", log_str("why", reason));
    daemon_fail(((struct process *)ctx)->run);
}

static void topics_ready(void *ctx)
{
    struct process *p = ctx;
    const struct deploy *d = &p->deploy;
    const struct kproducer_conf producer = {.kafka = d->kafka,
                                            .topics = d->ktopics,
                                            .n_topics = d->n_ktopics,
                                            .warm = outputs,
                                            .n_warm = ARRAY_LEN(outputs),
                                            .ctx = p,
                                            .fatal = producer_fatal};
    const struct kview_conf view = {.kafka = d->kafka,
                                    .topic = T_WEBHOOK,
                                    .name = topics_name(d->topics, T_WEBHOOK),
                                    .partitions = topics_get(d->topics, T_WEBHOOK)->parts,
                                    .ctx = p,
                                    .message = on_word,
                                    .caught_up = caught_up,
                                    .error = view_error};
    p->env.dead = p->producer = kproducer_new(p->run->loop, &producer);
    p->to_come = 2;
    p->view = p->producer ? kview_new(p->run->loop, &view) : NULL;
    p->bodies = p->view ? bodyview_new(p->run, d, p->secrets, caught_up, p) : NULL;
    if (!p->bodies)
        daemon_fail(p->run);
}

/* ---- life ---- */

static int read_endpoints(struct process *p, const struct settings *s)
{
    char why[200] = "";
    int rc = endpoints_read(&p->endpoints, &s->hooks.endpoints, why, sizeof why);
    if (rc)
        log_error("webhooks.endpoints cannot be used", log_str("why", why));
    if (!rc && p->endpoints.n == 0)
        log_info("no endpoints: webhooks.endpoints is empty");
    for (size_t i = 0; !rc && i < p->endpoints.n; i++)
        rc = hook_init(&p->hooks[i], &p->env, &p->endpoints.v[i]);
    return rc;
}

static int init(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    struct process *p = run->state = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->run = run;
    int rc = deploy_init(&p->deploy, &s->deploy, "webhooks");
    if (rc)
        return rc;
    p->env = (struct hook_env){
        .run = run, .deploy = &p->deploy, .settings = &s->hooks, .store_prefix = p->store_prefix};
    rc = read_endpoints(p, s);
    if (rc)
        return rc;
    p->secrets = bodyview_secrets(&s->bodies);
    if (!p->secrets)
        return -EINVAL;
    ready_wait(run->ready, "redis", "connecting");
    ready_wait(run->ready, "webhooks", "reading what the operator said");
    const struct kv_conf kv = {.url = s->deploy.redis, .ctx = p, .up = redis_up, .down = redis_down};
    (void)snprintf(p->store_prefix, sizeof p->store_prefix, "%sparley", s->deploy.prefix);
    p->scratch = arena_new(4096);
    p->env.kv = kv_new(run->loop, &kv);
    p->env.store = p->env.kv ? store_redis_new(run->loop, p->env.kv, p->store_prefix) : NULL;
    if (!p->env.store || !p->scratch) {
        log_error("redis.url cannot be used");
        return -EINVAL;
    }
    return deploy_wait(&p->deploy, run, topics_ready, p);
}

static void reloaded(struct daemon_run *run)
{
    struct process *p = run->state;
    for (size_t i = 0; i < p->endpoints.n; i++)
        hook_reload(&p->hooks[i]);
}

static void ended(void *ctx)
{
    struct process *p = ctx;
    if (--p->ending == 0)
        daemon_drained(p->run);
}

static void drain(struct daemon_run *run)
{
    struct process *p = run->state;
    p->ending = p->endpoints.n + 1;
    for (size_t i = 0; i < p->endpoints.n; i++)
        hook_end(&p->hooks[i], ended, p);
    ended(p);
}

static void fini(struct daemon_run *run)
{
    struct process *p = run->state;
    if (!p)
        return;
    kview_free(p->view);
    for (size_t i = 0; i < p->endpoints.n; i++)
        hook_release(&p->hooks[i]);
    kproducer_free(p->producer, 1000);
    bodyview_free(p->bodies);
    secrets_free(p->secrets);
    kv_free(p->env.kv);
    store_free(p->env.store);
    endpoints_release(&p->endpoints);
    arena_free(p->scratch);
    deploy_release(&p->deploy);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct conf_table tables[] = {CONF_TABLE(webhook_defs, struct settings, hooks),
                                               BODYVIEW_TABLE(struct settings, bodies),
                                               DEPLOY_TABLE(struct settings, deploy)};
    return daemon_main(
        argc, argv,
        &(struct daemon){
            .name = "webhooks",
            .summary = "tells HTTP endpoints what happens in conversations",
            .examples =
                "  parley-webhooks --config parley.json          # endpoints: webhooks.endpoints there\n"
                "  parleyctl webhooks replay crm --from now      # each begins where it is told to\n",
            .http = "127.0.0.1:9108",
            .tables = tables,
            .n_tables = ARRAY_LEN(tables),
            .settings_size = sizeof(struct settings),
            .sections = deploy_sections,
            .init = init,
            .drain = drain,
            .fini = fini,
            .reloaded = reloaded,
        });
}
