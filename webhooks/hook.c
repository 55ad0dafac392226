#include "webhooks/hook.h"

#include "common/base/kv.h"
#include "common/base/log.h"
#include "common/base/rand.h"
#include "webhooks/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define BATCH_RECORDS 256
#define BATCHES       16

static const uint16_t inputs[] = {T_CONVERSATION};

/* ---- for the shell ---- */

static int deliver(void *ctx, struct slice key, struct slice value, struct ksend *k)
{
    return sender_deliver(((struct hook *)ctx)->sender, key, value, k);
}

static void closed(void *ctx, int32_t part)
{
    sender_drop(((struct hook *)ctx)->sender, part);
}

static void recover(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    const struct hook *h = ctx;
    log_info("endpoint has no cells", log_str("endpoint", h->endpoint->name), log_int("part", gap->part));
    restore_begin(h->env->run->loop, h->env->deploy->settings->postgres, r, gap);
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

static void fatal(void *ctx, const char *reason)
{
    log_error("a Kafka client is dead", log_str("why", reason));
    daemon_fail(((struct hook *)ctx)->env->run);
}

static struct shell_decl declare(struct hook *h)
{
    const struct deploy *d = h->env->deploy;
    return (struct shell_decl){
        .name = h->name,
        .group = h->group,
        .store_name = h->store,
        .kafka = d->kafka,
        .topics = d->ktopics,
        .n_topics = d->n_ktopics,
        .inputs = inputs,
        .n_inputs = ARRAY_LEN(inputs),
        .ops = &hook_core,
        .settings = &h->core,
        .shared = h->env->bodies,
        .store = h->env->store,
        .ready = h->env->run->ready,
        .dlq_topic = SHELL_NO_DLQ,
        .deliver = deliver,
        .recover = recover,
        .recover_room = recover_room,
        .recover_cancel = recover_cancel,
        .closed = closed,
        .fatal = fatal,
        .ctx = h,
        .batch_records = BATCH_RECORDS,
        .batches = BATCHES,
    };
}

static struct sender *make_sender(struct hook *h)
{
    const struct webhook_settings *s = h->env->settings;
    const struct sender_conf conf = {
        .loop = h->env->run->loop,
        .endpoint = h->endpoint,
        .outbox = {.parallel = (uint32_t)s->parallel,
                   .retry_ms = s->retry_ms,
                   .retry_max_ms = s->retry_max_ms,
                   .refusals = (uint32_t)s->refusals,
                   .failures = (uint32_t)s->failures,
                   .open_ms = s->open_ms,
                   .open_max_ms = s->open_max_ms,
                   .wait_max_ms = s->wait_max_ms,
                   .seed = rand_u64()},
        .poster = {.connect_ms = s->connect_ms,
                   .timeout_ms = s->timeout_ms,
                   .private_addresses = s->private_addresses,
                   .plain_http = s->plain_http,
                   .ca_file = s->ca_file,
                   .proxy = s->proxy},
        .dead = h->env->dead,
        .bodies = h->env->bodies,
        .instance = h->env->deploy->instance,
    };
    return sender_new(&conf, &h->sign);
}

/* What an earlier begin left in Redis. */
static void sweep(struct hook *h)
{
    char mark[200], cells[200];
    int32_t parts = topics_get(h->env->deploy->topics, T_CONVERSATION)->parts;
    for (int32_t p = 0; p < parts && h->begin > 1; p++) {
        (void)snprintf(mark, sizeof mark, "%s:{webhooks.%s.%" PRIu32 ":%" PRId32 "}:m", h->env->store_prefix,
                       h->endpoint->name, h->begin - 1, p);
        (void)snprintf(cells, sizeof cells, "%s:{webhooks.%s.%" PRIu32 ":%" PRId32 "}:t%d",
                       h->env->store_prefix, h->endpoint->name, h->begin - 1, p, H_CELL);
        (void)kv_sendz(h->env->kv, NULL, NULL, "DEL", mark, cells, NULL); /* Redis away: they stay */
    }
}

static void start(struct hook *h)
{
    endpoint_group(topics_group(h->env->deploy->topics, GROUP_WEBHOOKS), h->endpoint->name, h->begin,
                   h->group);
    (void)snprintf(h->store, sizeof h->store, "webhooks.%s.%" PRIu32, h->endpoint->name, h->begin);
    const struct shell_decl decl = declare(h);
    h->sender = make_sender(h);
    h->shell = h->sender ? shell_new(h->env->run->loop, &decl) : NULL;
    if (!h->shell) {
        daemon_fail(h->env->run);
        return;
    }
    h->running = h->begin;
    sender_pause(h->sender, h->paused);
    sweep(h);
    log_info("endpoint begins", log_str("endpoint", h->endpoint->name), log_str("group", h->group));
}

static void close_all(struct hook *h)
{
    shell_free(h->shell); /* calls closed() */
    sender_free(h->sender);
    h->shell = NULL;
    h->sender = NULL;
    h->running = 0;
    h->stopping = false;
    if (h->env)
        ready_ok(h->env->run->ready, h->name);
}

static void stopped(void *ctx)
{
    struct hook *h = ctx;
    close_all(h);
    if (h->ended)
        h->ended(h->ctx);
    else
        hook_follow(h);
}

static void stop(struct hook *h)
{
    if (h->stopping)
        return;
    h->stopping = true;
    shell_stop(h->shell, stopped, h);
}

/* ---- life ---- */

int hook_init(struct hook *h, const struct hook_env *env, const struct endpoint *endpoint)
{
    char why[160] = "";
    *h = (struct hook){.env = env, .endpoint = endpoint};
    h->core = (struct hook_settings){endpoint, env->settings->cache_bytes};
    (void)snprintf(h->name, sizeof h->name, "webhooks-%s", endpoint->name);
    if (strncmp(endpoint->url, "http:", 5) == 0 && !env->settings->plain_http) {
        log_error("the endpoint's url has no TLS: use https://, or set webhooks.plain_http",
                  log_str("endpoint", endpoint->name));
        return -EINVAL;
    }
    int rc = sign_load(&h->sign, endpoint->secret_file, why, sizeof why);
    if (rc)
        log_error("the endpoint's secret cannot be used", log_str("endpoint", endpoint->name),
                  log_str("file", endpoint->secret_file), log_str("why", why));
    return rc;
}

void hook_reload(struct hook *h)
{
    struct sign sign;
    char why[160] = "";
    if (sign_load(&sign, h->endpoint->secret_file, why, sizeof why)) {
        log_error("the endpoint's secret cannot be used; the old one stays",
                  log_str("endpoint", h->endpoint->name), log_str("why", why));
        return;
    }
    h->sign = sign;
    sign_wipe(&sign);
    if (h->sender)
        sender_sign(h->sender, &h->sign);
}

void hook_follow(struct hook *h)
{
    uint32_t want = h->ended ? 0 : h->begin;
    if (h->running == want) {
        if (h->running)
            sender_pause(h->sender, h->paused);
        return;
    }
    if (h->running)
        stop(h);
    else
        start(h);
}

void hook_end(struct hook *h, void (*ended)(void *ctx), void *ctx)
{
    h->ended = ended;
    h->ctx = ctx;
    if (h->running)
        stop(h);
    else
        ended(ctx);
}

void hook_release(struct hook *h)
{
    close_all(h);
    sign_wipe(&h->sign);
}
