/* init.c: a master key and a parley.json for a new deployment. */
#include "client/parleyctl/ctl.h"

#include "common/im/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static json_t *defaults(const struct ctl *c)
{
    const struct deploy_settings *s = &c->settings.deploy;
    return json_pack("{s{ss} s{ss} s{ss} s{ss ss} s{ss} s{ss} s{ss}}", "kafka", "bootstrap", s->bootstrap,
                     "postgres", "conninfo", s->postgres, "redis", "url", s->redis, "topics", "profile",
                     s->profile, "prefix", s->prefix, "secrets", "master_key_file", "master.key", "edge",
                     "listen", "127.0.0.1:7000", "log", "level", "info");
}

static int write_new(const char *path, json_t *j)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        return -errno;
    int rc = json_dumpf(j, f, JSON_INDENT(2)) || fputc('\n', f) == EOF ? -EIO : 0;
    if (fclose(f) && !rc)
        rc = -errno;
    return rc;
}

static int nothing_there(const char *path)
{
    if (access(path, F_OK) != 0)
        return 0;
    ctl_complain("%s is there already; nothing was changed", path);
    return CTL_FAILED;
}

static const char *folder = ".";

static int take(int option, const char *arg)
{
    (void)option;
    folder = arg;
    return 0;
}

static int run(struct ctl *c, int argc, char **argv)
{
    char key[4096], file[4096];
    const char *dir = folder;
    (void)argv;
    if (argc != 1)
        return ctl_usage("init [--dir FOLDER]");
    snprintf(key, sizeof key, "%s/master.key", dir);
    snprintf(file, sizeof file, "%s/parley.json", dir);
    if (nothing_there(file) || nothing_there(key))
        return CTL_FAILED;
    if (ctl_defaults(c))
        return CTL_USAGE;
    if (c->dry_run) {
        ctl_say(c, "would make %s and %s", key, file);
        return CTL_OK;
    }
    if (mkdir(dir, 0700) && errno != EEXIST) {
        ctl_complain("cannot make %s: %s", dir, strerror(errno));
        return CTL_FAILED;
    }
    json_t *j = defaults(c);
    int rc = secrets_create(key);
    if (rc) {
        ctl_complain("cannot make %s: %s", key, strerror(-rc));
    } else {
        rc = j ? write_new(file, j) : -ENOMEM;
        if (rc)
            ctl_complain("cannot make %s: %s", file, strerror(-rc));
    }
    json_decref(j);
    if (rc)
        return CTL_FAILED;
    ctl_say(c, "made %s (keep it safe: without it nobody can log in) and %s", key, file);
    if (c->json)
        ctl_put(json_pack("{ss ss}", "config", file, "master_key", key));
    return CTL_OK;
}

static const struct option options[] = {{"dir", required_argument, NULL, CTL_OWN}, {0}};

const struct ctl_command ctl_init = {
    .name = "init",
    .about = "a new deployment: master.key and parley.json (0600)",
    .help = "Examples\n"
            "  parleyctl init --dir /etc/parley   a master key and parley.json, for you only\n"
            "  parleyctl init --dry-run           what it would make here\n"
            "\n"
            "Options\n"
            "  --dir FOLDER   where to; default: here. Nothing that is there is touched\n",
    .options = options,
    .take = take,
    .run = run,
};
