#include "client/parleyctl/ctl.h"

#include "common/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KAFKA_MS    5000
#define AGAIN_TRIES 60
#define AGAIN_MS    250

extern char **environ;

static const struct conf_def defs[] = {
    CONF_STR("secrets.master_key_file", struct ctl_settings, master_key, "master.key",
             "The deployment's key."),
};
static const struct conf_table tables[] = {DEPLOY_TABLE(struct ctl_settings, deploy),
                                           {.defs = defs, .n = ARRAY_LEN(defs)}};
static const struct conf_spec spec = {tables, ARRAY_LEN(tables), sizeof(struct ctl_settings),
                                      deploy_sections};

void ctl_say(const struct ctl *c, const char *fmt, ...)
{
    va_list ap;
    if (c->quiet)
        return;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void ctl_complain(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fputs("parleyctl: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int ctl_number(const char *text, const char *option, int64_t least, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (!errno && !*end && end != text && *out >= least)
        return 0;
    ctl_complain("%s needs a whole number from %" PRId64 " on, not \"%s\"", option, least, text);
    return CTL_USAGE;
}

bool ctl_sure(const struct ctl *c, const char *question)
{
    char answer[16] = "";
    if (c->yes || c->dry_run)
        return true;
    if (!isatty(STDIN_FILENO)) {
        ctl_complain("%s\n  There is no terminal to answer on: say --yes.", question);
        return false;
    }
    fflush(stdout);
    fprintf(stderr, "%s [y/N] ", question);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

int ctl_usage(const char *line)
{
    fprintf(stderr, "usage: parleyctl %s\nparleyctl --help tells more.\n", line);
    return CTL_USAGE;
}

void ctl_put(json_t *j)
{
    if (j)
        json_dumpf(j, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(j);
}

/* As the processes look for it. */
static const char *find_config(const struct ctl *c)
{
    const char *env = getenv("PARLEY_CONFIG");
    if (c->config)
        return c->config;
    if (env && *env)
        return env;
    static const char *const places[] = {"parley.json", "/etc/parley/parley.json"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

static int load(struct ctl *c, char *const *env)
{
    int rc = conf_load(&c->conf, &spec, c->config, env, stderr);
    if (rc) {
        if (rc != -EINVAL)
            ctl_complain("cannot read %s: %s", c->config ? c->config : "the configuration", strerror(-rc));
        return CTL_USAGE;
    }
    c->settings = *(const struct ctl_settings *)conf_settings(c->conf);
    if (c->profile)
        c->settings.deploy.profile = c->profile;
    return 0;
}

int ctl_load(struct ctl *c)
{
    c->config = find_config(c);
    return load(c, environ);
}

int ctl_defaults(struct ctl *c)
{
    c->config = NULL;
    return load(c, (char *const[]){NULL});
}

/* Until that many brokers are there, or the time is over. */
static int await_brokers(struct ctl *c, int want, int64_t wait_s, int *have)
{
    int64_t end = clock_mono_ms() + wait_s * 1000;
    for (bool told = false;; told = true) {
        int rc = kadmin_brokers(c->admin, have);
        if (!rc && *have >= want)
            return 0;
        if (wait_s > 0 && !told && rc)
            ctl_say(c, "waiting for Kafka at %s, %" PRId64 " s at most: %s", c->settings.deploy.bootstrap,
                    wait_s, kadmin_error(c->admin));
        else if (wait_s > 0 && !told)
            ctl_say(c, "waiting for %d brokers, %" PRId64 " s at most: %d are there", want, wait_s, *have);
        if (clock_mono_ms() >= end)
            return rc ? rc : -EAGAIN;
        poll(NULL, 0, AGAIN_MS);
    }
}

int ctl_kafka_within(struct ctl *c, int64_t wait_s, int brokers)
{
    int have = 0, rc = c->conf ? 0 : ctl_load(c);
    if (rc || c->admin)
        return rc;
    if (deploy_init(&c->deploy, &c->settings.deploy, "ctl"))
        return CTL_USAGE;
    c->admin = kadmin_new(&c->deploy.kafka, c->timeout_ms > 0 ? c->timeout_ms : KAFKA_MS);
    if (c->admin && !await_brokers(c, brokers, wait_s, &have))
        return 0;
    if (have)
        ctl_complain("%d brokers are needed, %d are there", brokers, have);
    else
        ctl_complain(
            "Kafka does not answer at %s: %s\n  Is it running? kafka.bootstrap, or PARLEY_KAFKA, says "
            "where.",
            c->settings.deploy.bootstrap, c->admin ? kadmin_error(c->admin) : "no memory");
    return CTL_FAILED;
}

int ctl_kafka(struct ctl *c)
{
    return ctl_kafka_within(c, 0, 1);
}

void ctl_release(struct ctl *c)
{
    kadmin_free(c->admin);
    if (c->deploy.topics)
        deploy_release(&c->deploy);
    conf_free(c->conf);
}

void ctl_path(const struct ctl *c, const char *path, char *out, size_t n)
{
    const char *slash = c->config ? strrchr(c->config, '/') : NULL;
    if (*path == '/' || !slash)
        snprintf(out, n, "%s", path);
    else
        snprintf(out, n, "%.*s/%s", (int)(slash - c->config), c->config, path);
}

/* A broker that has just started still loads its groups; a topic that is new has no leader for a moment. */
bool ctl_again(int rc, int *tries)
{
    if (rc != -EAGAIN && rc != -ETIMEDOUT)
        return false;
    if (++*tries > AGAIN_TRIES)
        return false;
    poll(NULL, 0, AGAIN_MS);
    return true;
}

int ctl_offsets(struct ctl *c, uint32_t group, const struct topic *t, int64_t *out)
{
    int rc, tries = 0;
    do {
        rc = kadmin_group_offsets(c->admin, topics_group(c->deploy.topics, group), t->name, out, t->parts);
    } while (ctl_again(rc, &tries));
    return rc;
}

int ctl_partitions(struct ctl *c, const struct topic *t, int32_t *out)
{
    int rc, tries = 0;
    do {
        rc = kadmin_partitions(c->admin, t->name, out);
    } while (ctl_again(rc, &tries));
    return rc;
}
