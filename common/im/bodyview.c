#include "common/im/bodyview.h"

#include "common/base/kadmin.h"
#include "common/base/kview.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/pool.h"

#include <errno.h>
#include <stdlib.h>

#define ASK_MS     2000 /* for a broker to say where the end is */
#define RETRY_MS   200
#define FETCH_MS   500 /* the vault is quiet: an idle fetch may take its time */
#define WAKE_BYTES 1

METRIC_GAUGE(keys_known, "parley_bodies_keys", "Body keys in memory.");
METRIC_COUNTER(waits, "parley_bodies_waits_total", "Body keys that a record needed before they were here.");

const struct conf_def bodyview_defs[BODYVIEW_DEFS] = {
    CONF_SECRET("secrets.master_key_file", struct bodyview_settings, master_key, "master.key",
                "The deployment's keys, one a line: 32 bytes in hex, closed to others; `parleyctl init` "
                "makes the first. "
                "The last one, or the one marked with *, seals; all of them open."),
};

struct secrets *bodyview_secrets(const struct bodyview_settings *s)
{
    char why[256];
    struct secrets *out = secrets_load(s->master_key.path, true, why, sizeof why); /* the edge judges keys */
    if (!out)
        log_error("the deployment's key cannot be used", log_str("why", why));
    return out;
}

struct bodyview {
    struct daemon_run *run;
    const struct deploy *deploy;
    struct bodykeys *keys;
    struct kview *log;
    void (*ready)(void *ctx);
    void *ctx;
    /* Where is the end? Asked in a thread, made at the first miss. */
    struct pool *pool;
    struct kadmin *admin;
    struct pool_job job;
    struct timer timer;
    bool asking, known; /* known: `ends` are those of after the miss `upto` */
    uint64_t upto;
    int rc;
    int64_t *ends; /* the thread's while asking */
    size_t told;
};

static const struct topic *vault(const struct bodyview *v)
{
    return topics_get(v->deploy->topics, T_VAULT);
}

/* ---- the end, as it is now ---- */
static void ask(struct pool_job *job)
{
    struct bodyview *v = container_of(job, struct bodyview, job);
    const struct topic *t = vault(v);
    int64_t low;
    v->rc = 0;
    for (int32_t p = 0; p < t->parts && v->rc == 0; p++)
        v->rc = kadmin_watermarks(v->admin, t->name, p, &low, &v->ends[p]);
}

static void look(struct bodyview *v)
{
    bool passed = v->known;
    for (int32_t p = 0; passed && p < vault(v)->parts; p++)
        passed = kview_position(v->log, p) >= v->ends[p];
    if (!passed)
        return;
    v->known = false;
    size_t n = bodykeys_settle(v->keys, v->upto);
    if (n)
        log_warn("body keys are nowhere in im.vault: what was sealed with them is erased",
                 log_int("keys", (int64_t)n));
    if (bodykeys_waiting(v->keys))
        loop_timer_start(v->run->loop, &v->timer, 0);
}

static void asked(struct pool_job *job)
{
    struct bodyview *v = container_of(job, struct bodyview, job);
    v->asking = false;
    if (job->cancelled)
        return;
    v->known = v->rc == 0;
    if (!v->rc)
        look(v);
    if (v->rc || v->known)
        loop_timer_start(v->run->loop, &v->timer, RETRY_MS);
}

static void begin_asking(struct timer *timer)
{
    struct bodyview *v = container_of(timer, struct bodyview, timer);
    if (v->known)
        look(v);
    if (v->known)
        loop_timer_start(v->run->loop, &v->timer, RETRY_MS);
    if (v->asking || v->known || !bodykeys_waiting(v->keys))
        return;
    if (!v->admin)
        v->admin = kadmin_new(&v->deploy->kafka, ASK_MS);
    if (!v->pool && pool_new(&v->pool, v->run->loop, 1, 1))
        v->pool = NULL;
    v->upto = bodykeys_missed(v->keys);
    v->asking = v->admin && v->pool && pool_submit(v->pool, &v->job) == 0;
    if (!v->asking)
        loop_timer_start(v->run->loop, &v->timer, RETRY_MS);
}

/* Most often the key is on its way already: it is asked a moment later. */
static void missed(void *ctx)
{
    struct bodyview *v = ctx;
    metric_add(&waits, 1);
    if (!v->asking && !v->known && !timer_running(&v->timer))
        loop_timer_start(v->run->loop, &v->timer, RETRY_MS);
}

/* ---- the log ---- */
static void on_message(void *ctx, const struct record *r)
{
    struct bodyview *v = ctx;
    int rc = bodykeys_feed(v->keys, r->key, r->value);
    if (rc == -EBADMSG) {
        log_warn("a record of im.vault cannot be read", log_int("part", r->part),
                 log_int("offset", r->offset));
    } else if (rc) {
        log_error("im.vault cannot be followed", log_int("part", r->part), log_int("offset", r->offset),
                  log_err(rc));
        daemon_fail(v->run);
    }
    size_t n = bodykeys_count(v->keys);
    metric_add(&keys_known, (int64_t)n - (int64_t)v->told);
    v->told = n;
    if (v->known)
        look(v);
}

static void caught_up(void *ctx)
{
    struct bodyview *v = ctx;
    ready_ok(v->run->ready, "keys");
    if (v->ready)
        v->ready(v->ctx);
}

static void on_error(void *ctx, bool fatal, const char *reason)
{
    struct bodyview *v = ctx;
    if (!fatal)
        return;
    log_error("the Kafka client of im.vault is dead", log_str("why", reason));
    daemon_fail(v->run);
}

struct bodyview *bodyview_new(struct daemon_run *run, const struct deploy *d, const struct secrets *secrets,
                              void (*ready)(void *ctx), void *ctx)
{
    struct bodyview *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    *v = (struct bodyview){.run = run, .deploy = d, .ready = ready, .ctx = ctx};
    v->job = (struct pool_job){.work = ask, .done = asked};
    timer_init(&v->timer, begin_asking);
    v->keys = bodykeys_new(secrets);
    v->ends = calloc((size_t)vault(v)->parts, sizeof *v->ends);
    const struct kview_conf conf = {.kafka = d->kafka,
                                    .topic = T_VAULT,
                                    .name = vault(v)->name,
                                    .partitions = vault(v)->parts,
                                    .fetch_min_bytes = WAKE_BYTES,
                                    .fetch_wait_ms = FETCH_MS,
                                    .ctx = v,
                                    .message = on_message,
                                    .caught_up = caught_up,
                                    .error = on_error};
    ready_wait(run->ready, "keys", "reading the body keys");
    v->log = v->keys && v->ends ? kview_new(run->loop, &conf) : NULL;
    if (v->log) {
        bodykeys_on_miss(v->keys, missed, v);
        return v;
    }
    log_error("cannot follow im.vault");
    bodyview_free(v);
    return NULL;
}

void bodyview_free(struct bodyview *v)
{
    if (!v)
        return;
    pool_free(v->pool); /* its answer may start the timer */
    loop_timer_stop(v->run->loop, &v->timer);
    kadmin_free(v->admin);
    kview_free(v->log);
    metric_add(&keys_known, -(int64_t)v->told);
    bodykeys_free(v->keys);
    free(v->ends);
    free(v);
}

struct bodykeys *bodyview_keys(struct bodyview *v)
{
    return v->keys;
}
