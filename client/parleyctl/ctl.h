/* ctl.h: what every parleyctl command has: settings, Kafka, how to speak. Each command returns an exit code. */
#ifndef PARLEY_CTL_CTL_H
#define PARLEY_CTL_CTL_H

#include "common/base/conf.h"
#include "common/base/kadmin.h"
#include "common/im/deploy.h"

enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct ctl_settings {
    struct deploy_settings deploy;
    const char *master_key; /* path, as written */
};

struct ctl {
    /* from the command line */
    const char *config, *profile, *dir, *from, *server, *password_file;
    bool json, dry_run, quiet, reset_missing, until_end;
    int replication; /* 0: what fits the profile */
    long count;      /* 0: no end */
    long device;     /* 0: all */
    int timeout_ms;
    /* after ctl_load() */
    struct conf *conf;
    struct ctl_settings settings;
    /* after ctl_kafka() */
    struct deploy deploy;
    struct kadmin *admin;
};

/* Reads the configuration; the command line's profile wins. 0, or an exit code after having said why. */
int ctl_load(struct ctl *);
int ctl_defaults(struct ctl *); /* the same without file and environment */
/* … and the topic table, and reaches Kafka. */
int ctl_kafka(struct ctl *);
void ctl_release(struct ctl *);
/* A path of the configuration, which is relative to its folder. */
void ctl_path(const struct ctl *, const char *path, char *out, size_t n);

void ctl_say(const struct ctl *, const char *fmt, ...)
    PRINTF_LIKE(2, 3); /* progress, on stderr, not when quiet */
void ctl_complain(const char *fmt, ...) PRINTF_LIKE(1, 2);
int ctl_usage(const char *line);
void ctl_put(json_t *); /* one line on stdout; takes the reference */

int command_init(struct ctl *, int argc, char **argv);
int command_topics(struct ctl *, int argc, char **argv);
int command_migrate(struct ctl *, int argc, char **argv);
int command_user(struct ctl *, int argc, char **argv);
int command_tail(struct ctl *, int argc, char **argv);
int command_lag(struct ctl *, int argc, char **argv);
int command_doctor(struct ctl *, int argc, char **argv);

/* ---- for topics, lag, doctor ---- */
/* True, after a pause: this passes by itself, ask once more. *tries begins at 0. */
bool ctl_again(int rc, int *tries);
/* Committed offsets of a group for a topic, partition by partition (room for t->parts). */
int ctl_offsets(struct ctl *, uint32_t group, const struct topic *, int64_t *out);
/* -ENOENT: no such topic. */
int ctl_partitions(struct ctl *, const struct topic *, int32_t *out);

#endif
