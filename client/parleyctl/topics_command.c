/* topics_command.c: makes and checks the deployment's topics, and the first commit of every group. */
#include "client/parleyctl/ctl.h"
#include "client/parleyctl/topics_describe.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define APPEAR_TRIES 600
#define APPEAR_MS    100

static bool reset_missing;
static int64_t replication; /* 0: what fits the profile */
static int64_t wait_s = CTL_WAIT_S;

struct work {
    struct ctl *c;
    size_t made, committed, wrong;
    int replication;
    ctl_wrong_fn *each; /* instead of saying it */
    void *ctx;
};

#define CONFIGS 9
struct numbers { /* as text */
    char retention[32], lag[32];
};

static size_t configs(const struct work *w, const struct topic *t, struct numbers *text,
                      struct kadmin_config out[CONFIGS])
{
    size_t n = 0;
    snprintf(text->retention, sizeof text->retention, "%" PRId64, t->retention_ms);
    snprintf(text->lag, sizeof text->lag, "%" PRId64, t->compact_within_ms);
    out[n++] = (struct kadmin_config){"cleanup.policy", t->compact ? "compact" : "delete"};
    out[n++] = (struct kadmin_config){"retention.ms", text->retention};
    out[n++] = (struct kadmin_config){"retention.bytes", "-1"};
    out[n++] = (struct kadmin_config){"max.message.bytes", KCONF_BATCH_MAX};
    out[n++] = (struct kadmin_config){"message.timestamp.type", "LogAppendTime"};
    if (t->compact_within_ms) { /* an old segment is compacted as soon as a little of it is replaced */
        out[n++] = (struct kadmin_config){"max.compaction.lag.ms", text->lag};
        out[n++] = (struct kadmin_config){"min.cleanable.dirty.ratio", "0.1"};
    }
    if (w->replication >= 3) {
        out[n++] = (struct kadmin_config){"min.insync.replicas", "2"};
        out[n++] = (struct kadmin_config){"unclean.leader.election.enable", "false"};
    }
    return n;
}

static void wrong(struct work *w, const char *name, const char *what, const char *help)
{
    w->wrong++;
    if (w->each)
        w->each(w->ctx, name, what, help);
    else if (w->c->json)
        ctl_put(json_pack("{ss ss ss}", "topic", name, "problem", what, "fix", help));
    else
        ctl_complain("%s: %s\n  %s", name, what, help);
}

/* What a topic that is there should be like. */
static void check_settings(struct work *w, const struct topic *t)
{
    char value[64], what[200];
    struct numbers want;
    struct kadmin_config c[CONFIGS];
    size_t n = configs(w, t, &want, c);
    for (size_t i = 0; i < n; i++) {
        if (kadmin_topic_config(w->c->admin, t->name, c[i].name, value, sizeof value) ||
            !strcmp(value, c[i].value))
            continue;
        snprintf(what, sizeof what, "%s is %s, not %s", c[i].name, value, c[i].value);
        wrong(w, t->name, what, "change it with kafka-configs.sh --alter, or make the topic anew");
    }
}

static bool right_count(struct work *w, const struct topic *t, int32_t have)
{
    char what[200];
    if (have == t->parts)
        return true;
    snprintf(what, sizeof what, "has %" PRId32 " partitions, the profile %s says %" PRId32, have,
             topics_profile(w->c->deploy.topics), t->parts);
    wrong(w, t->name, what,
          "keys would move to other partitions: this deployment was made with another profile "
          "(topics.profile), or use "
          "another topics.prefix");
    return false;
}

static int make(struct work *w, const struct topic *t, bool *fresh)
{
    struct numbers text;
    struct kadmin_config c[CONFIGS];
    int32_t have = 0;
    int rc = ctl_partitions(w->c, t, &have);
    *fresh = rc == -ENOENT;
    if (!*fresh)
        return rc ? rc : right_count(w, t, have) ? 0 : -EEXIST;
    if (w->c->dry_run) {
        ctl_say(w->c, "would make %s with %" PRId32 " partitions", t->name, t->parts);
        w->made++;
        return 0;
    }
    int tries = 0;
    do {
        rc = kadmin_create_topic(w->c->admin, t->name, t->parts, w->replication, c, configs(w, t, &text, c));
    } while (ctl_again(rc, &tries));
    if (rc && rc != -EEXIST && rc != -ENOENT) /* -ENOENT: made, and not known everywhere yet */
        return rc;
    w->made++;
    for (int i = 0; i < APPEAR_TRIES; i++) { /* until the brokers know it */
        rc = ctl_partitions(w->c, t, &have);
        if (!rc)
            break;
        poll(NULL, 0, APPEAR_MS);
    }
    return rc ? rc : right_count(w, t, have) ? 0 : -EEXIST;
}

/* Offset 0 where the group has no commit; from then on a missing one is an accident that stops its process. */
static int commit_first(struct work *w, uint32_t group, const struct topic *t, bool fresh, bool check_only)
{
    struct ctl *c = w->c;
    const char *name = topics_group(c->deploy.topics, group);
    int64_t *offsets = calloc((size_t)t->parts, sizeof *offsets), low, high;
    char what[300];
    bool any = false;
    bool absent = fresh && c->dry_run;
    for (int32_t p = 0; offsets && p < t->parts; p++)
        offsets[p] = -1;
    int rc = !offsets ? -ENOMEM : absent ? 0 : ctl_offsets(c, group, t, offsets);
    for (int32_t p = 0; !rc && p < t->parts; p++) {
        bool missing = offsets[p] < 0;
        offsets[p] = missing ? 0 : -1;
        if (!missing)
            continue;
        int tries = 0;
        do {
            rc = fresh ? 0 : kadmin_watermarks(c->admin, t->name, p, &low, &high);
        } while (ctl_again(rc, &tries));
        bool used = !fresh && !rc && high > 0;
        if (!rc && (check_only || (used && !reset_missing))) {
            snprintf(what, sizeof what, "partition %" PRId32 ": the group %s has no committed offset", p,
                     name);
            wrong(w, t->name, what,
                  used ? "it was lost; starting over is safe but reads everything again: parleyctl topics "
                         "create "
                         "--reset-missing"
                       : "run: parleyctl topics create");
            offsets[p] = -1;
        } else {
            any = true;
        }
    }
    if (!rc && any && !check_only) {
        w->committed++;
        int tries = 0;
        do {
            rc = c->dry_run ? 0 : kadmin_commit_offsets(c->admin, name, t->name, offsets, t->parts);
        } while (ctl_again(rc, &tries));
    }
    if (rc)
        ctl_complain("%s: the first commit of group %s failed: %s", t->name, name,
                     rc == -EBUSY ? "it has members" : kadmin_error(c->admin));
    free(offsets);
    return rc;
}

static int all(struct work *w, bool create)
{
    const struct topics *ts = w->c->deploy.topics;
    for (size_t i = 0; i < topics_count(ts); i++) {
        const struct topic *t = topics_get(ts, (uint16_t)i);
        bool fresh = false;
        int32_t have = 0;
        int rc = create ? make(w, t, &fresh) : ctl_partitions(w->c, t, &have);
        if (!create && rc == -ENOENT) {
            wrong(w, t->name, "does not exist", "run: parleyctl topics create");
            continue;
        }
        if (rc == -EEXIST)
            continue; /* told; nothing of it is touched */
        if (rc) {
            ctl_complain("%s: %s", t->name, kadmin_error(w->c->admin));
            return rc;
        }
        if (!create && !right_count(w, t, have))
            continue;
        if (!fresh)
            check_settings(w, t);
        for (uint32_t g = 0; g < topics_groups(ts); g++)
            if (topics_reads(ts, g, (uint16_t)i) && (rc = commit_first(w, g, t, fresh, !create)))
                return rc;
    }
    return 0;
}

static void choose_replication(struct work *w)
{
    int brokers = 0;
    w->replication = (int)replication;
    if (!w->replication && !strcmp(topics_profile(w->c->deploy.topics), "cluster") &&
        !kadmin_brokers(w->c->admin, &brokers) && brokers >= 3)
        w->replication = 3;
}

int ctl_topics_wrong(struct ctl *c, ctl_wrong_fn *each, void *ctx, size_t *n)
{
    struct work w = {.c = c, .each = each, .ctx = ctx};
    choose_replication(&w);
    int rc = all(&w, false);
    *n = w.wrong;
    return rc;
}

static int list(struct ctl *c)
{
    const struct topics *ts = c->deploy.topics;
    if (!c->json)
        printf("%-28s %5s %10s  %-8s %s\n", "topic", "parts", "keeps", "cleanup", "key");
    for (size_t i = 0; i < topics_count(ts); i++) {
        const struct topic *t = topics_get(ts, (uint16_t)i);
        char keeps[32];
        snprintf(keeps, sizeof keeps, "%" PRId64 " h", t->retention_ms / 3600000);
        if (c->json)
            ctl_put(json_pack("{ss si sI sb ss}", "topic", t->name, "partitions", (int)t->parts,
                              "retention_ms", (json_int_t)t->retention_ms, "compact", (int)t->compact, "key",
                              t->key));
        else
            printf("%-28s %5" PRId32 " %10s  %-8s %s\n", t->name, t->parts,
                   t->retention_ms < 0 ? "for ever" : keeps, t->compact ? "compact" : "delete", t->key);
    }
    return CTL_OK;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct work w = {.c = c};
    if (argc != 2 || (strcmp(argv[1], "create") != 0 && strcmp(argv[1], "check") != 0 &&
                      strcmp(argv[1], "list") != 0 && strcmp(argv[1], "describe") != 0))
        return ctl_usage("topics create|check|list|describe [--profile small|cluster] [--dry-run]");
    if (!strcmp(argv[1], "list")) { /* needs no broker */
        int rc = ctl_load(c);
        return rc ? rc : deploy_init(&c->deploy, &c->settings.deploy, "ctl") ? CTL_USAGE : list(c);
    }
    bool create = !strcmp(argv[1], "create");
    int rc = create ? ctl_kafka_within(c, wait_s, replication ? (int)replication : 1) : ctl_kafka(c);
    if (rc)
        return rc;
    if (!strcmp(argv[1], "describe"))
        return topics_describe(c);
    choose_replication(&w);
    rc = all(&w, create);
    if (rc || w.wrong)
        return CTL_FAILED;
    size_t n = topics_count(c->deploy.topics);
    if (c->json)
        ctl_put(json_pack("{sI sI sI ss}", "topics", (json_int_t)n, "created", (json_int_t)w.made,
                          "first_commits", (json_int_t)w.committed, "profile",
                          topics_profile(c->deploy.topics)));
    else if (create)
        ctl_say(c, "%zu topics: %zu %s, %zu were there; %zu first commits%s", n, w.made,
                c->dry_run ? "would be made" : "made", n - w.made, w.committed,
                c->dry_run ? " would be made" : "");
    else
        ctl_say(c, "%zu topics are as the profile %s says", n, topics_profile(c->deploy.topics));
    return CTL_OK;
}

static int take(int option, const char *arg)
{
    if (option == CTL_OWN + 1)
        return ctl_number(arg, "--replication", 1, &replication);
    if (option == CTL_OWN + 2)
        return ctl_number(arg, "--wait", 0, &wait_s);
    reset_missing = true;
    return 0;
}

static const struct option options[] = {{"reset-missing", no_argument, NULL, CTL_OWN},
                                        {"replication", required_argument, NULL, CTL_OWN + 1},
                                        {"wait", required_argument, NULL, CTL_OWN + 2},
                                        {0}};

const struct ctl_command ctl_topics = {
    .name = "topics",
    .about = "makes, checks and lists Kafka topics from schema/topics.json",
    .help = "Examples\n"
            "  parleyctl topics create               all topics and the first commits; safe to repeat\n"
            "  parleyctl topics create --profile cluster --dry-run\n"
            "  parleyctl topics check                is all as the profile says?\n"
            "  parleyctl topics list --json\n"
            "  parleyctl topics describe             first and next offsets, records, times\n"
            "\n"
            "A partition count is never changed: keys would move.\n"
            "\n"
            "Options\n"
            "  --replication N    create: default the broker's, 3 in a cluster of 3; waits for N brokers\n"
            "  --wait SECONDS     create: for brokers that are starting; default: 60\n"
            "  --reset-missing    create: lost commits of topics with records start over\n",
    .options = options,
    .take = take,
    .run = run,
};
