/* deploy.h: what every process of a deployment shares: where Kafka, PostgreSQL and Redis are, and the topics.
 *
 * A process lists DEPLOY_TABLE among its settings tables, calls deploy_init() first thing, and deploy_wait() before it
 * touches Kafka: that waits, visibly, until all topics are there, and ends the process when one has another number
 * of partitions than the profile says (records would go to the wrong owner). Loop thread only. */
#ifndef PARLEY_IM_DEPLOY_H
#define PARLEY_IM_DEPLOY_H

#include "common/base/conf.h"
#include "common/base/daemon.h"
#include "common/base/kconf.h"
#include "common/base/shell.h"
#include "common/im/topics.h"

struct deploy_settings {
    const char *bootstrap;                      /* kafka.bootstrap */
    struct conf_list kafka_properties;          /* kafka.properties: "name=value" */
    int64_t kafka_statistics;                   /* kafka.statistics, ms */
    const char *postgres;                       /* postgres.conninfo */
    const char *redis;                          /* redis.url */
    const char *topics_file, *profile, *prefix; /* topics.* */
};

#define DEPLOY_DEFS 8
extern const struct conf_def deploy_defs[DEPLOY_DEFS];
/* DEPLOY_TABLE(struct settings, deploy): the struct deploy_settings in it */
#define DEPLOY_TABLE(S, field) CONF_TABLE(deploy_defs, S, field)

/* Every section of the deployment's file, for struct daemon's `sections`. */
extern const char *const deploy_sections[];

struct deploy {
    const struct deploy_settings *settings;
    const char *process; /* "fanout" */
    char instance[96];   /* "parley-fanout-<host>-<pid>": client.id, and who we are in logs and leases */
    struct kconf kafka;
    struct topics *topics;
    struct ktopic *ktopics; /* the same table for the shell */
    size_t n_ktopics;
    /* private */
    json_t *properties;
    struct deploy_wait *wait;
};

/* Reads the topic table. 0, or negative errno after having logged why. `settings` is borrowed. */
int MUST_CHECK deploy_init(struct deploy *, const struct deploy_settings *, const char *process);
void deploy_release(struct deploy *);

/* Calls ok(ctx) once, on the loop, when the topics are there and as they should be; until then run->ready says what is
 * missing. At a contradiction: logs it and daemon_fail(). */
int MUST_CHECK deploy_wait(struct deploy *, struct daemon_run *, void (*ok)(void *ctx), void *ctx);

/* For struct shell_decl: im.dlq records; its ctx must be the struct deploy's owner's, so it is given here. */
struct slice deploy_dead_letter(const struct deploy *, const struct shell_dead *, struct fx *);

#endif
