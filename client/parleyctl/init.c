/* init.c: a master key and a parley.json for a new deployment. */
#include "client/parleyctl/ctl.h"

#include "common/base/hex.h"
#include "common/base/rand.h"
#include "common/im/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWORD_MAX 200

static json_t *defaults(const struct ctl *c)
{
    const struct deploy_settings *s = &c->settings.deploy;
    return json_pack("{s{ss} s{ss} s{ss} s{ss ss} s{ss} s{ss} s{ss}}", "kafka", "bootstrap", s->bootstrap,
                     "postgres", "conninfo", s->postgres, "redis", "url", s->redis, "topics", "profile",
                     s->profile, "prefix", s->prefix, "secrets", "master_key_file", "master.key", "edge",
                     "listen", "127.0.0.1:7000", "log", "level", "info");
}

/* All of it or nothing, also when this is killed. `again`: what is there is replaced. */
static int write_text(const char *path, const char *text, bool again)
{
    char next[4096 + 8];
    snprintf(next, sizeof next, "%s.new", path);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    size_t n = strlen(text);
    ssize_t written = write(fd, text, n);
    int rc = written == (ssize_t)n && fsync(fd) == 0 ? 0 : written < 0 ? -errno : -EIO;
    close(fd);
    if (!rc && (again ? rename(next, path) : link(next, path)))
        rc = -errno;
    if (rc || !again)
        unlink(next);
    return rc;
}

static int write_json(const char *path, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL, *line = NULL;
    int rc = text && asprintf(&line, "%s\n", text) >= 0 ? write_text(path, line, false) : -ENOMEM;
    free(line);
    free(text);
    return rc;
}

/* A password of our own making, or the first line of what is there; as libpq wants it in a passfile. */
static int password(const char *path, bool there, char out[PASSWORD_MAX])
{
    uint8_t raw[24];
    FILE *f;
    if (!there) {
        rand_bytes(raw, sizeof raw);
        hex_encode(out, raw, sizeof raw);
        secret_wipe(raw, sizeof raw);
        return write_text(path, out, false);
    }
    if (!(f = fopen(path, "re")))
        return -errno;
    bool any = fgets(out, PASSWORD_MAX, f);
    fclose(f);
    out[any ? strcspn(out, "\r\n") : 0] = '\0';
    return !*out || strpbrk(out, ":\\") ? -EINVAL : 0;
}

static int write_pgpass(const char *path, const char *with)
{
    char line[PASSWORD_MAX + 16];
    snprintf(line, sizeof line, "*:*:*:*:%s\n", with);
    int rc = write_text(path, line, true);
    secret_wipe(line, sizeof line);
    return rc;
}

static int nothing_there(const char *path)
{
    if (access(path, F_OK) != 0)
        return 0;
    ctl_complain("%s is there already; nothing was changed", path);
    return CTL_FAILED;
}

static const char *folder = ".", *pg_password;
static bool missing;

static int take(int option, const char *arg)
{
    if (option == CTL_OWN)
        folder = arg;
    else if (option == CTL_OWN + 1)
        pg_password = arg;
    else
        missing = true;
    return 0;
}

/* One file: 0 when it is there now. */
static int done(struct ctl *c, const char *path, int rc)
{
    if (!rc)
        ctl_say(c, "made %s", path);
    else if (rc == -EINVAL)
        ctl_complain("%s: the password is empty, too long, or has a colon or a backslash", path);
    else
        ctl_complain("cannot make %s: %s", path, strerror(-rc));
    return rc;
}

static int make(struct ctl *c, const char *key, const char *file, const char *pass)
{
    char with[PASSWORD_MAX] = "";
    int rc = 0;
    if (!missing || access(key, F_OK) != 0)
        rc = done(c, key, secrets_create(key));
    if (!rc && (!missing || access(file, F_OK) != 0)) {
        json_t *j = defaults(c);
        rc = done(c, file, write_json(file, j));
        json_decref(j);
    }
    if (!rc && pg_password) {
        bool there = access(pg_password, F_OK) == 0;
        rc = password(pg_password, there, with);
        if (rc || !there)
            rc = done(c, pg_password, rc);
        if (!rc && (rc = write_pgpass(pass, with)))
            done(c, pass, rc);
    }
    secret_wipe(with, sizeof with);
    return rc ? CTL_FAILED : CTL_OK;
}

static int run(struct ctl *c, int argc, char **argv)
{
    char key[4096], file[4096], pass[4096];
    const char *dir = folder;
    (void)argv;
    if (argc != 1)
        return ctl_usage("init [--dir FOLDER] [--missing] [--postgres-password FILE]");
    snprintf(key, sizeof key, "%s/master.key", dir);
    snprintf(file, sizeof file, "%s/parley.json", dir);
    snprintf(pass, sizeof pass, "%s/pgpass", dir);
    if (!missing && (nothing_there(file) || nothing_there(key)))
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
    int rc = make(c, key, file, pass);
    if (rc)
        return rc;
    ctl_say(c, "keep %s safe: without it nobody can log in", key);
    if (c->json)
        ctl_put(json_pack("{ss ss}", "config", file, "master_key", key));
    return CTL_OK;
}

static const struct option options[] = {{"dir", required_argument, NULL, CTL_OWN},
                                        {"postgres-password", required_argument, NULL, CTL_OWN + 1},
                                        {"missing", no_argument, NULL, CTL_OWN + 2},
                                        {0}};

const struct ctl_command ctl_init = {
    .name = "init",
    .about = "a new deployment: master.key and parley.json (0600)",
    .help = "Examples\n"
            "  parleyctl init --dir /etc/parley   a master key and parley.json, for you only\n"
            "  parleyctl init --dry-run           what it would make here\n"
            "  parleyctl init --missing --dir /deploy --postgres-password /secrets/pg_password\n"
            "                                     as containers do at each start\n"
            "\n"
            "Options\n"
            "  --dir FOLDER   where to; default: here. Nothing that is there is touched\n"
            "  --missing      make what is missing, and be content when nothing is\n"
            "  --postgres-password FILE   a password of PostgreSQL, made when the file is\n"
            "                 missing; FOLDER/pgpass has it for libpq (passfile=), always anew\n",
    .options = options,
    .take = take,
    .run = run,
};
