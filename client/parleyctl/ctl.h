/* ctl.h: what every parleyctl command has: settings, Kafka, how to speak. Each command returns an exit code.
 *
 * A command is one `const struct ctl_command ctl_NAME` in a file of its own and a line in main.c. Data goes to stdout,
 * everything else to stderr. */
#ifndef PARLEY_CTL_CTL_H
#define PARLEY_CTL_CTL_H

#include "common/base/conf.h"
#include "common/base/kadmin.h"
#include "common/im/deploy.h"

#include <getopt.h>

enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct ctl_settings {
    struct deploy_settings deploy;
    const char *master_key; /* path, as written */
};

struct ctl {
    /* from the command line */
    const char *config, *profile;
    bool json, dry_run, quiet, yes;
    int timeout_ms; /* 0: not given */
    /* after ctl_load() */
    struct conf *conf;
    struct ctl_settings settings;
    /* after ctl_kafka() */
    struct deploy deploy;
    struct kadmin *admin;
};

/* `help`: examples, arguments, options, exit codes other than the usual ones; whole lines of at most 80 columns.
 * `options`: its own, beside the common ones of main.c, each with a `val` of CTL_OWN or more; ends with {0}; may be NULL.
 * take() gets one of them with its argument: 0, or CTL_USAGE after having said why.
 * run() gets what is left: argv[0] is the command's name, of two words the second. */
#define CTL_OWN 1000
struct ctl_command {
    const char *name, *about; /* "lag", "rebuild history"; about: a few words, for the list of commands */
    const char *help;
    const struct option *options;
    int (*take)(int option, const char *arg);
    int (*run)(struct ctl *, int argc, char **argv);
};

/* Reads the configuration; the command line's profile wins. 0, or an exit code after having said why. */
int ctl_load(struct ctl *);
int ctl_defaults(struct ctl *); /* the same without file and environment */
/* … and the topic table, and reaches Kafka. */
int ctl_kafka(struct ctl *);
/* The same, for what runs while servers are starting: asks again for `wait_s` seconds until so many brokers are there,
 * and says once what it waits for. */
int ctl_kafka_within(struct ctl *, int64_t wait_s, int brokers);
#define CTL_WAIT_S 60
void ctl_release(struct ctl *);
/* A path of the configuration, which is relative to its folder. */
void ctl_path(const struct ctl *, const char *path, char *out, size_t n);

void ctl_say(const struct ctl *, const char *fmt, ...)
    PRINTF_LIKE(2, 3); /* progress, on stderr, not when quiet */
void ctl_complain(const char *fmt, ...) PRINTF_LIKE(1, 2);
int ctl_usage(const char *line);
void ctl_put(json_t *); /* one line on stdout; takes the reference */

/* A whole number of at least `least`: 0, or CTL_USAGE after having said why. */
int ctl_number(const char *text, const char *option, int64_t least, int64_t *out);
/* Asks on the terminal before something that cannot be taken back; --yes answers for the operator. Without a terminal
 * and without --yes it is no, and said so. */
bool ctl_sure(const struct ctl *, const char *question);

extern const struct ctl_command ctl_init, ctl_topics, ctl_migrate, ctl_user, ctl_tail, ctl_lag, ctl_doctor,
    ctl_ready;
extern const struct ctl_command ctl_rebuild_history;
extern const struct ctl_command ctl_rebuild_queues, ctl_rebuild_accounts, ctl_rebuild_checkpoints;
extern const struct ctl_command ctl_fold, ctl_export, ctl_import;
extern const struct ctl_command ctl_trace, ctl_dlq_list, ctl_dlq_show, ctl_dlq_retry, ctl_dlq_drop;
extern const struct ctl_command ctl_webhooks, ctl_erase, ctl_vault, ctl_send;

/* ---- for topics, lag, doctor ---- */
/* True, after a pause: this passes by itself, ask once more. *tries begins at 0. */
bool ctl_again(int rc, int *tries);
/* Committed offsets of a group for a topic, partition by partition (room for t->parts). */
int ctl_offsets(struct ctl *, uint32_t group, const struct topic *, int64_t *out);
/* -ENOENT: no such topic. */
int ctl_partitions(struct ctl *, const struct topic *, int32_t *out);
/* What of topics, their settings and first commits is not as it should be. 0, or an error that was said. */
typedef void ctl_wrong_fn(void *ctx, const char *topic, const char *what, const char *fix);
int ctl_topics_wrong(struct ctl *, ctl_wrong_fn *, void *ctx, size_t *n);

#endif
