#include "common/im/worker.h"

#include "common/base/kv.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>

static void redis_up(void *ctx)
{
    ready_ok(((struct worker *)ctx)->run->ready, "redis");
}

static void redis_down(void *ctx, const char *reason)
{
    ready_wait(((struct worker *)ctx)->run->ready, "redis", reason);
}

static void recover(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    struct worker *w = ctx;
    if (w->conf->recover)
        w->conf->recover(w->conf->ctx, r, gap);
    else
        krebuild_begin(&w->rebuild, r, gap);
}

static void recover_room(void *ctx, struct shell_recovery *r)
{
    const struct worker_conf *c = ((struct worker *)ctx)->conf;
    if (c->recover_room)
        c->recover_room(c->ctx, r);
    else
        krebuild_room(r);
}

static void recover_cancel(void *ctx, struct shell_recovery *r)
{
    const struct worker_conf *c = ((struct worker *)ctx)->conf;
    if (c->recover_cancel)
        c->recover_cancel(c->ctx, r);
    else
        krebuild_cancel(r);
}

static void opened(void *ctx, int32_t part)
{
    const struct worker_conf *c = ((struct worker *)ctx)->conf;
    if (c->opened)
        c->opened(c->ctx, part);
}

static void closed(void *ctx, int32_t part)
{
    const struct worker_conf *c = ((struct worker *)ctx)->conf;
    if (c->closed)
        c->closed(c->ctx, part);
}

static struct slice dead_letter(void *ctx, const struct shell_dead *dead, struct fx *fx)
{
    return deploy_dead_letter(&((struct worker *)ctx)->deploy, dead, fx);
}

static void fatal(void *ctx, const char *reason)
{
    log_error("a Kafka client is dead", log_str("why", reason));
    daemon_fail(((struct worker *)ctx)->run);
}

static void declare(struct worker *w, const void *settings)
{
    const struct worker_conf *c = w->conf;
    size_t n = 0;
    for (; n < c->n_outputs && n < WORKER_OUTPUTS - 1; n++)
        w->outputs[n] = c->outputs[n];
    w->outputs[n++] = T_DLQ;
    for (uint32_t slot = 0; slot < topics_slots(w->deploy.topics); slot++)
        w->outputs[n++] = topic_of_slot(slot);
    w->rebuild = c->rebuild;
    w->rebuild.loop = w->run->loop;
    w->rebuild.kafka = w->deploy.kafka;
    w->rebuild.ktopics = w->deploy.ktopics;
    w->rebuild.n_inputs = c->n_inputs;
    w->decl = (struct shell_decl){
        .name = c->name,
        .group = topics_group(w->deploy.topics, c->group),
        .kafka = w->deploy.kafka,
        .topics = w->deploy.ktopics,
        .n_topics = w->deploy.n_ktopics,
        .inputs = c->inputs,
        .n_inputs = c->n_inputs,
        .outputs = w->outputs,
        .n_outputs = n,
        .ops = c->ops,
        .settings = settings,
        .store = w->store,
        .ready = w->run->ready,
        .dlq_topic = T_DLQ,
        .dead_letter = dead_letter,
        .recover = recover,
        .recover_room = recover_room,
        .recover_cancel = recover_cancel,
        .opened = opened,
        .closed = closed,
        .fatal = fatal,
        .ctx = w,
        .batch_records = c->batch_records,
        .batches = c->batches,
        .put_ms = c->put_ms,
    };
}

static void views_ready(void *ctx)
{
    struct worker *w = ctx;
    if (--w->waiting)
        return;
    if (w->conf->started)
        w->conf->started(w->conf->ctx);
    w->decl.shared = w->conf->shared ? w->conf->shared : w->views.lease;
    w->shell = shell_new(w->run->loop, &w->decl);
    if (!w->shell)
        daemon_fail(w->run);
}

static void lease_changed(void *ctx)
{
    struct worker *w = ctx;
    if (w->conf->lease_changed)
        w->conf->lease_changed(w->conf->ctx);
}

static void topics_ready(void *ctx)
{
    struct worker *w = ctx;
    w->waiting = 1 + w->conf->bodies;
    if (w->conf->bodies)
        w->bodies = bodyview_new(w->run, &w->deploy, w->conf->secrets, views_ready, w);
    if (w->conf->bodies && !w->bodies)
        daemon_fail(w->run);
    if (follow_init(&w->views, w->run, &w->deploy, FOLLOW_LEASE | w->conf->follow, views_ready, lease_changed,
                    w))
        daemon_fail(w->run);
}

int worker_init(struct worker *w, struct daemon_run *run, const struct worker_conf *conf,
                const struct deploy_settings *deploy, const void *settings)
{
    w->run = run;
    w->conf = conf;
    int rc = deploy_init(&w->deploy, deploy, conf->name);
    if (rc)
        return rc;
    ready_wait(run->ready, "redis", "connecting");
    ready_wait(run->ready, conf->name, "not begun yet"); /* the shell's own word: no moment without any */
    const struct kv_conf kv = {.url = deploy->redis, .ctx = w, .up = redis_up, .down = redis_down};
    snprintf(w->store_prefix, sizeof w->store_prefix, "%sparley", deploy->prefix);
    w->kv = kv_new(run->loop, &kv);
    w->store = w->kv ? store_redis_new(run->loop, w->kv, w->store_prefix) : NULL;
    if (!w->store) {
        log_error("redis.url cannot be used");
        return -EINVAL;
    }
    declare(w, settings);
    return deploy_wait(&w->deploy, run, topics_ready, w);
}

static void stopped(void *ctx)
{
    daemon_drained(((struct worker *)ctx)->run);
}

void worker_drain(struct worker *w)
{
    if (w->shell)
        shell_stop(w->shell, stopped, w);
    else
        daemon_drained(w->run);
}

void worker_release(struct worker *w)
{
    shell_free(w->shell);
    bodyview_free(w->bodies);
    follow_release(&w->views);
    kv_free(w->kv); /* answers what is in flight to the store */
    store_free(w->store);
    deploy_release(&w->deploy);
}
