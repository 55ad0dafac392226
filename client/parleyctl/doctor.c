/* doctor.c: can this machine reach what a deployment needs, and is it as it should be? Cause and fix for each no. */
#include "client/parleyctl/doctor.h"

#include "common/im/secrets.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define FILES_WANTED 65536
#define CLOCK_WARN   500
#define CLOCK_FAIL   5000

static bool may_write;

void doctor_say(struct doctor *d, const char *what, enum doctor_state st, const char *fix, const char *fmt,
                ...)
{
    static const char *const names[] = {"ok", "WARN", "FAIL"};
    char detail[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    d->failed += st == DOCTOR_FAIL;
    d->warned += st == DOCTOR_WARN;
    if (d->c->json)
        ctl_put(json_pack("{ss sb ss ss ss}", "check", what, "ok", st == DOCTOR_OK, "state", names[st],
                          "detail", detail, "fix", st == DOCTOR_OK ? "" : fix));
    else if (st == DOCTOR_OK)
        printf("ok    %-14s %s\n", what, detail);
    else
        printf("%s  %-14s %s\n                     fix: %s\n", names[st], what, detail, fix);
}

void doctor_clock(struct doctor *d, const char *what, int64_t ours, int64_t theirs)
{
    int64_t off = theirs - ours, much = off < 0 ? -off : off;
    doctor_say(d, what,
               much >= CLOCK_FAIL   ? DOCTOR_FAIL
               : much >= CLOCK_WARN ? DOCTOR_WARN
                                    : DOCTOR_OK,
               "let all machines follow one time server (chrony, systemd-timesyncd)",
               "its clock is %" PRId64 " ms %s this machine's", much, off < 0 ? "behind" : "ahead of");
}

void doctor_disk(struct doctor *d, const char *what, const char *path)
{
    struct statvfs v;
    if (!*path || statvfs(path, &v) || !v.f_blocks)
        return; /* elsewhere */
    double left = 100.0 * (double)v.f_bavail / (double)v.f_blocks;
    doctor_say(d, what,
               left < 3    ? DOCTOR_FAIL
               : left < 10 ? DOCTOR_WARN
                           : DOCTOR_OK,
               "make room, or shorten retention_ms of the delivery topics", "%.0f %% free, %.1f GiB, at %s",
               left, (double)v.f_bavail * (double)v.f_frsize / (1 << 30), path);
}

static void key_file(struct doctor *d)
{
    char path[4096], why[300] = "";
    struct stat st;
    ctl_path(d->c, d->c->settings.master_key, path, sizeof path);
    struct secrets *s = secrets_load(path, true, why, sizeof why);
    if (!s)
        doctor_say(d, "master key", DOCTOR_FAIL,
                   "run `parleyctl init` in a new folder, or set secrets.master_key_file", "%s", why);
    else if (stat(path, &st) || (st.st_mode & 077))
        doctor_say(d, "master key", DOCTOR_FAIL, "chmod 600, and see who read it", "%s may be read by others",
                   path);
    else
        doctor_say(d, "master key", DOCTOR_OK, "", "%s, for its owner only", path);
    secrets_free(s);
}

static void limits(struct doctor *d)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r))
        return;
    doctor_say(d, "descriptors", r.rlim_max < FILES_WANTED ? DOCTOR_WARN : DOCTOR_OK,
               "raise the limit of the edges' service (LimitNOFILE=, ulimit -Hn): a connection takes one",
               "%" PRIu64 ", at most %" PRIu64 " from here", (uint64_t)r.rlim_cur, (uint64_t)r.rlim_max);
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct doctor d = {.c = c, .write = may_write};
    (void)argv;
    if (argc != 1)
        return ctl_usage("doctor [--clock] [--json]");
    if (ctl_load(c))
        return CTL_FAILED;
    doctor_say(&d, "settings", DOCTOR_OK, "", "%s", c->config ? c->config : "defaults and environment");
    key_file(&d);
    limits(&d);
    doctor_kafka(&d);
    doctor_postgres(&d);
    doctor_redis(&d);
    return d.failed ? CTL_FAILED : CTL_OK;
}

static int take(int option, const char *arg)
{
    (void)option, (void)arg;
    return (may_write = true, 0);
}

static const struct option options[] = {{"clock", no_argument, NULL, CTL_OWN}, {0}};

const struct ctl_command ctl_doctor = {
    .name = "doctor",
    .about = "what is wrong with the deployment, and what helps",
    .help = "Examples\n"
            "  parleyctl doctor          what is wrong here, and what helps\n"
            "  parleyctl doctor --json | jq 'select(.state != \"ok\")'\n"
            "\n"
            "Looks at settings, master key, limits; brokers, topics and their settings, first\n"
            "commits, retention against consumers, dead letters; PostgreSQL: schema, fsync,\n"
            "clock, disk; Redis: persistence, policy, disk. What this machine cannot see (a\n"
            "disk elsewhere) is left out.\n"
            "\n"
            "Options\n"
            "  --clock            also append a mark to im.dlq, to read the broker's clock\n"
            "\n"
            "Exit code 1 when a check failed; warnings are not failures.\n",
    .options = options,
    .take = take,
    .run = run,
};
