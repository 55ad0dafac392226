#include "common/im/deploy.h"

#include "common/base/kadmin.h"
#include "common/base/log.h"
#include "common/base/pool.h"
#include "common/im/push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADMIN_MS 2000
#define RETRY_MS 1000

const struct conf_def deploy_defs[DEPLOY_DEFS] = {
    CONF_STR("kafka.bootstrap", struct deploy_settings, bootstrap, "127.0.0.1:9092",
             "Addresses of Kafka brokers, separated by commas.", .env = "PARLEY_KAFKA"),
    CONF_LIST("kafka.properties", struct deploy_settings, kafka_properties, NULL,
              "Further librdkafka properties as name=value; they have the last word.",
              .flags = CONF_SENSITIVE),
    CONF_MS("kafka.statistics", struct deploy_settings, kafka_statistics, "10s", 0, 3600000,
            "How often Kafka clients tell what they count, for the metrics parley_kafka_*; 0: never."),
    CONF_STR("postgres.conninfo", struct deploy_settings, postgres, "postgresql://127.0.0.1:5432/parley",
             "PostgreSQL, as libpq takes it.", .env = "PARLEY_POSTGRES", .flags = CONF_SENSITIVE),
    CONF_STR("redis.url", struct deploy_settings, redis, "redis://127.0.0.1:6379",
             "Redis: redis://[:password@]host:port[/db] or unix:/path.", .env = "PARLEY_REDIS",
             .flags = CONF_SENSITIVE),
    CONF_STR("topics.file", struct deploy_settings, topics_file, NULL,
             "The topic table; unset: the one that came with the program."),
    CONF_STR("topics.profile", struct deploy_settings, profile, "small",
             "How many partitions and slots there are; fixed once topics were created.",
             .choices = "small|cluster"),
    CONF_STR("topics.prefix", struct deploy_settings, prefix, "", "Put before every topic and group name."),
};

const char *const deploy_sections[] = {
    "kafka",  "postgres",  "redis",   "log",          "http",  "topics",   "secrets", "edge",    "router",
    "fanout", "persister", "offline", "conversation", "query", "webhooks", "auditor", "gateway", NULL};

/* Asks in a thread: the loop must answer whoever wants to know what is waited for. */
struct deploy_wait {
    struct deploy *deploy;
    struct daemon_run *run;
    struct kadmin *admin;
    struct pool *pool;
    struct pool_job job;
    size_t at;     /* the topic that was looked at last */
    int rc;        /* what came of it, as of kadmin_partitions() */
    int32_t parts; /* how many partitions it has */
    char why[160];
    bool over; /* looked at all, or one can never be right */
    struct timer timer;
    void (*ok)(void *ctx);
    void *ctx;
};

static int read_properties(struct deploy *d)
{
    const struct conf_list *list = &d->settings->kafka_properties;
    d->properties = json_object();
    if (!d->properties)
        return -ENOMEM;
    for (size_t i = 0; i < list->n; i++) {
        const char *eq = strchr(list->v[i], '=');
        char name[128];
        if (!eq || eq == list->v[i] || (size_t)(eq - list->v[i]) >= sizeof name) {
            log_error("kafka.properties: an entry is not name=value", log_int("entry", (int64_t)i + 1));
            return -EINVAL;
        }
        memcpy(name, list->v[i], (size_t)(eq - list->v[i]));
        name[eq - list->v[i]] = 0;
        if (json_object_set_new(d->properties, name, json_string(eq + 1)))
            return -ENOMEM;
    }
    return 0;
}

static int make_table(struct deploy *d)
{
    char why[256] = "";
    const struct deploy_settings *s = d->settings;
    d->topics = topics_new(s->topics_file, s->profile, s->prefix, why, sizeof why);
    if (!d->topics) {
        log_error("the topic table cannot be used", log_str("why", why));
        return -EINVAL;
    }
    d->n_ktopics = topics_count(d->topics);
    d->ktopics = calloc(d->n_ktopics, sizeof *d->ktopics);
    if (!d->ktopics)
        return -ENOMEM;
    for (size_t i = 0; i < d->n_ktopics; i++) {
        const struct topic *t = topics_get(d->topics, (uint16_t)i);
        d->ktopics[i] = (struct ktopic){.name = t->name, .partitions = t->parts};
    }
    return 0;
}

int deploy_init(struct deploy *d, const struct deploy_settings *settings, const char *process)
{
    char host[64] = "";
    *d = (struct deploy){.settings = settings, .process = process};
    if (gethostname(host, sizeof host - 1))
        snprintf(host, sizeof host, "host");
    snprintf(d->instance, sizeof d->instance, "parley-%s-%.48s-%d", process, host, (int)getpid());
    int rc = read_properties(d);
    if (rc == 0)
        rc = make_table(d);
    d->kafka = (struct kconf){.bootstrap = settings->bootstrap,
                              .client_id = d->instance,
                              .properties = d->properties,
                              .stats_ms = (uint32_t)settings->kafka_statistics};
    if (rc)
        deploy_release(d);
    return rc;
}

static void wait_free(struct deploy_wait *w)
{
    if (!w)
        return;
    loop_timer_stop(w->run->loop, &w->timer);
    w->over = true;
    if (w->pool)
        pool_free(w->pool);
    kadmin_free(w->admin);
    free(w);
}

void deploy_release(struct deploy *d)
{
    wait_free(d->wait);
    d->wait = NULL;
    topics_free(d->topics);
    d->topics = NULL;
    free(d->ktopics);
    d->ktopics = NULL;
    json_decref(d->properties);
    d->properties = NULL;
}

/* ---- topics ---- */

static void ask(struct pool_job *job)
{
    struct deploy_wait *w = container_of(job, struct deploy_wait, job);
    const struct deploy *d = w->deploy;
    w->rc = 0;
    for (w->at = 0; w->at < d->n_ktopics; w->at++) {
        const struct ktopic *t = &d->ktopics[w->at];
        w->rc = kadmin_partitions(w->admin, t->name, &w->parts);
        if (w->rc || w->parts != t->partitions)
            break;
    }
    if (w->rc && w->rc != -ENOENT)
        snprintf(w->why, sizeof w->why, "%s", kadmin_error(w->admin));
}

/* 0: all as they should be; 1: not yet; negative: never will be. */
static int judge(struct deploy_wait *w)
{
    struct ready *ready = w->run->ready;
    char why[160];
    if (w->rc && w->rc != -ENOENT) {
        ready_wait(ready, "kafka", w->why);
        return 1;
    }
    ready_ok(ready, "kafka");
    if (w->at == w->deploy->n_ktopics)
        return 0;
    const struct ktopic *t = &w->deploy->ktopics[w->at];
    if (w->rc) {
        snprintf(why, sizeof why, "%.80s does not exist; run: parleyctl topics create", t->name);
        ready_wait(ready, "topics", why);
        return 1;
    }
    log_error("a topic has another number of partitions than the profile says: keys would change their owner",
              log_str("topic", t->name), log_int("partitions", w->parts), log_int("expected", t->partitions),
              log_str("profile", w->deploy->settings->profile));
    return -EPROTO;
}

static void asked(struct pool_job *job)
{
    struct deploy_wait *w = container_of(job, struct deploy_wait, job);
    if (w->over)
        return; /* being freed */
    int rc = judge(w);
    w->over = rc <= 0;
    w->rc = rc;
    /* A pool cannot be freed by its own job. */
    loop_timer_start(w->run->loop, &w->timer, w->over ? 0 : RETRY_MS);
}

static void look(struct timer *timer)
{
    struct deploy_wait *w = container_of(timer, struct deploy_wait, timer);
    if (!w->over) {
        if (pool_submit(w->pool, &w->job))
            loop_timer_start(w->run->loop, &w->timer, RETRY_MS);
        return;
    }
    struct daemon_run *run = w->run;
    void (*ok)(void *) = w->ok;
    void *ctx = w->ctx;
    int rc = w->rc;
    w->deploy->wait = NULL;
    wait_free(w);
    if (rc < 0) {
        daemon_fail(run);
        return;
    }
    ready_ok(run->ready, "topics");
    ok(ctx);
}

int deploy_wait(struct deploy *d, struct daemon_run *run, void (*ok)(void *ctx), void *ctx)
{
    struct deploy_wait *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct deploy_wait){.deploy = d, .run = run, .ok = ok, .ctx = ctx};
    timer_init(&w->timer, look);
    w->job = (struct pool_job){.work = ask, .done = asked};
    w->admin = kadmin_new(&d->kafka, ADMIN_MS);
    int rc = w->admin ? pool_new(&w->pool, run->loop, 1, 1) : -ENOMEM;
    if (rc < 0) {
        wait_free(w);
        return rc;
    }
    d->wait = w;
    ready_wait(run->ready, "topics", "not looked at yet");
    loop_timer_start(run->loop, &w->timer, 0);
    return 0;
}

struct slice deploy_dead_letter(const struct deploy *d, const struct shell_dead *dead, struct fx *fx)
{
    return push_dlq_value(fx, dead->record, dead->topic, dead->error, d->process, d->instance);
}
