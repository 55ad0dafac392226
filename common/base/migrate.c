#include "common/base/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_KEY   "728171309" /* any number, the same in every version */
#define FILE_MAX   (1 << 20)
#define SUM_HEX    65
#define NUMBER_MAX 999

struct file {
    int number;
    char name[256];
    char *sql;
    char sum[SUM_HEX];
};

enum migrate_state migrate_judge(int have, int newest)
{
    if (have == newest)
        return MIGRATE_CURRENT;
    if (have == 0)
        return MIGRATE_MISSING;
    return have < newest ? MIGRATE_OLDER : MIGRATE_NEWER;
}

const char *migrate_state_name(enum migrate_state s)
{
    static const char *const names[] = {"current", "missing", "older", "newer"};
    return names[s];
}

static void note(const struct migrate *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct migrate *m, const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (m->note)
        m->note(m->ctx, line);
}

/* ---- files ---- */

/* The number of NNN_name.sql, 0 when the name is not of that form. */
static int number_of(const char *name)
{
    size_t n = strlen(name);
    if (n < 9 || strcmp(name + n - 4, ".sql") != 0 || name[3] != '_')
        return 0;
    int number = 0;
    for (int i = 0; i < 3; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        number = number * 10 + (name[i] - '0');
    }
    return number;
}

static bool has_first(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return false;
    bool found = false;
    for (struct dirent *e; !found && (e = readdir(d));)
        found = number_of(e->d_name) == 1;
    closedir(d);
    return found;
}

int migrate_find(const char *setting, char *out, size_t out_n)
{
    char exe[PATH_MAX], path[PATH_MAX + 64];
    if (setting && *setting) {
        if (strlen(setting) >= out_n)
            return -ENAMETOOLONG;
        snprintf(out, out_n, "%s", setting);
        return has_first(setting) ? 0 : -ENOENT;
    }
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = 0;
    static const char *const places[] = {"/../../schema/sql", "/../../../schema/sql",
                                         "/../share/parley/schema/sql"};
    for (size_t i = 0; i <= sizeof places / sizeof *places; i++) {
        if (i < sizeof places / sizeof *places)
            snprintf(path, sizeof path, "%s%s", exe, places[i]);
        else
            snprintf(path, sizeof path, "schema/sql");
        if (!has_first(path))
            continue;
        if (strlen(path) >= out_n)
            return -ENAMETOOLONG;
        snprintf(out, out_n, "%s", path);
        return 0;
    }
    return -ENOENT;
}

static int file_read(const char *dir, struct file *f)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, f->name) >= sizeof path)
        return -ENAMETOOLONG;
    FILE *in = fopen(path, "re");
    if (!in)
        return -errno;
    f->sql = malloc(FILE_MAX + 1);
    size_t n = f->sql ? fread(f->sql, 1, FILE_MAX + 1, in) : 0;
    bool bad = ferror(in) || n > FILE_MAX || (f->sql && memchr(f->sql, 0, n));
    fclose(in);
    if (!f->sql || bad) {
        free(f->sql);
        f->sql = NULL;
        return -EIO;
    }
    f->sql[n] = 0;
    unsigned char sum[32];
    crypto_generichash(sum, sizeof sum, (const unsigned char *)f->sql, n, NULL, 0);
    sodium_bin2hex(f->sum, sizeof f->sum, sum, sizeof sum);
    return 0;
}

static void files_free(struct file *files, int n)
{
    for (int i = 0; files && i < n; i++)
        free(files[i].sql);
    free(files);
}

/* Numbers 1 … newest, all of them; files[i] has number i + 1. */
static int files_load(const struct migrate *m, struct file **out, struct migrate_result *r)
{
    DIR *d = opendir(m->dir);
    if (!d) {
        int rc = -errno;
        snprintf(r->error, sizeof r->error, "cannot read %s: %s", m->dir, strerror(-rc));
        return rc;
    }
    struct file *files = calloc((size_t)m->newest + 1, sizeof *files);
    int rc = files ? 0 : -ENOMEM;
    for (struct dirent *e; rc == 0 && (e = readdir(d));) {
        int number = number_of(e->d_name);
        if (number < 1 || number > m->newest)
            continue;
        struct file *f = &files[number - 1];
        if (f->number) {
            snprintf(r->error, sizeof r->error, "two migrations have number %d: %s and %s", number, f->name,
                     e->d_name);
            rc = -EBADMSG;
        } else {
            f->number = number;
            snprintf(f->name, sizeof f->name, "%s", e->d_name);
            rc = file_read(m->dir, f);
            if (rc)
                snprintf(r->error, sizeof r->error, "cannot read %s/%s: %s", m->dir, f->name, strerror(-rc));
        }
    }
    closedir(d);
    for (int i = 0; rc == 0 && i < m->newest; i++) {
        if (files[i].number)
            continue;
        snprintf(r->error, sizeof r->error, "migration %03d is missing in %s", i + 1, m->dir);
        rc = -EBADMSG;
    }
    if (rc) {
        files_free(files, m->newest);
        return rc;
    }
    *out = files;
    return 0;
}

/* ---- database ---- */

static int failed(PGconn *c, const char *what, struct migrate_result *r)
{
    const char *why = PQerrorMessage(c);
    snprintf(r->error, sizeof r->error, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
    return -EIO;
}

static int run(PGconn *c, const char *sql, const char *what, struct migrate_result *r)
{
    PGresult *res = PQexec(c, sql);
    ExecStatusType s = PQresultStatus(res);
    PQclear(res);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK ? 0 : failed(c, what, r);
}

static int ask_version(PGconn *c, int *out, struct migrate_result *r)
{
    PGresult *res = PQexec(c, MIGRATE_QUERY);
    int rc = PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1
                 ? 0
                 : failed(c, "asking for the version", r);
    if (rc == 0)
        *out = (int)strtol(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    return rc;
}

static void quiet_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

static int dial(const struct migrate *m, PGconn **out, struct migrate_result *r)
{
    PGconn *c = PQconnectdb(m->conninfo);
    if (PQstatus(c) != CONNECTION_OK) {
        int rc = failed(c, "PostgreSQL", r);
        PQfinish(c);
        return rc;
    }
    PQsetNoticeProcessor(c, quiet_notice, NULL);
    *out = c;
    return 0;
}

/* What was applied must be what the files still say. */
static int compare(PGconn *c, const struct file *files, int have, struct migrate_result *r)
{
    PGresult *res = PQexec(c, "SELECT version, checksum FROM schema_version ORDER BY version");
    int rc = PQresultStatus(res) == PGRES_TUPLES_OK ? 0 : failed(c, "reading schema_version", r);
    if (rc == 0 && PQntuples(res) != have) {
        snprintf(r->error, sizeof r->error, "schema_version has %d rows but says %d", PQntuples(res), have);
        rc = -EBADMSG;
    }
    for (int i = 0; rc == 0 && i < have; i++) {
        if (strtol(PQgetvalue(res, i, 0), NULL, 10) == i + 1 &&
            strcmp(PQgetvalue(res, i, 1), files[i].sum) == 0)
            continue;
        snprintf(r->error, sizeof r->error, "%s was changed after it was applied", files[i].name);
        rc = -EBADMSG;
    }
    PQclear(res);
    return rc;
}

static int apply_one(PGconn *c, const struct file *f, struct migrate_result *r)
{
    int rc = run(c, "BEGIN", f->name, r);
    if (rc == 0)
        rc = run(c, f->sql, f->name, r);
    if (rc == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", f->number);
        const char *args[] = {number, f->name, f->sum};
        PGresult *res =
            PQexecParams(c, "INSERT INTO schema_version (version, name, checksum) VALUES ($1::int, $2, $3)",
                         3, NULL, args, NULL, NULL, 0);
        rc = PQresultStatus(res) == PGRES_COMMAND_OK ? 0 : failed(c, f->name, r);
        PQclear(res);
    }
    if (rc == 0)
        return run(c, "COMMIT", f->name, r);
    PQclear(PQexec(c, "ROLLBACK"));
    return rc;
}

/* A schema that was dropped whole is still the first of the search path. */
static int ensure_schema(const struct migrate *m, PGconn *c, struct migrate_result *r)
{
    PGresult *res = PQexec(
        c, "SELECT btrim(x, ' \"') FROM unnest(string_to_array(current_setting('search_path'), ',')) WITH "
           "ORDINALITY p(x, n) WHERE current_schema() IS NULL AND btrim(x, ' \"') NOT IN ('', '$user') ORDER "
           "BY n LIMIT 1");
    int rc = PQresultStatus(res) == PGRES_TUPLES_OK ? 0 : failed(c, "looking for the schema", r);
    if (rc == 0 && PQntuples(res) == 1) {
        char *name = PQescapeIdentifier(c, PQgetvalue(res, 0, 0), strlen(PQgetvalue(res, 0, 0)));
        char sql[256];
        snprintf(sql, sizeof sql, "CREATE SCHEMA IF NOT EXISTS %s", name ? name : "\"\"");
        rc = run(c, sql, "making the schema", r);
        if (rc == 0)
            note(m, "made schema %s; roles get their rights from schema/roles.sql", name);
        PQfreemem(name);
    }
    PQclear(res);
    return rc;
}

static int apply_all(const struct migrate *m, PGconn *c, const struct file *files, struct migrate_result *r)
{
    int rc = run(c, "SELECT pg_advisory_lock(" LOCK_KEY ")", "waiting for the lock", r);
    if (rc == 0)
        rc = ask_version(c, &r->before, r);
    if (rc)
        return rc;
    r->after = r->before;
    if (r->before > m->newest) {
        snprintf(r->error, sizeof r->error,
                 "the database has schema %d, this program knows %d: use a newer program", r->before,
                 m->newest);
        return -EPROTO;
    }
    rc = ensure_schema(m, c, r);
    if (rc == 0)
        rc = run(c,
                 "CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY, name text NOT NULL, "
                 "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
                 "schema_version", r);
    if (rc == 0)
        rc = compare(c, files, r->before, r);
    for (int i = r->before; rc == 0 && i < m->newest; i++) {
        rc = apply_one(c, &files[i], r);
        if (rc == 0) {
            r->after = files[i].number;
            note(m, "applied %s", files[i].name);
        }
    }
    return rc;
}

int migrate_apply(const struct migrate *m, struct migrate_result *r)
{
    struct file *files = NULL;
    PGconn *c = NULL;
    memset(r, 0, sizeof *r);
    if (m->newest < 1 || m->newest > NUMBER_MAX)
        return -EINVAL;
    if (sodium_init() < 0)
        return -EIO;
    int rc = files_load(m, &files, r);
    if (rc)
        return rc;
    rc = dial(m, &c, r);
    if (rc == 0) {
        rc = apply_all(m, c, files, r);
        PQfinish(c);
    }
    files_free(files, m->newest);
    return rc;
}

int migrate_check(const struct migrate *m, enum migrate_state *out, struct migrate_result *r)
{
    PGconn *c = NULL;
    memset(r, 0, sizeof *r);
    int rc = dial(m, &c, r);
    if (rc)
        return rc;
    rc = ask_version(c, &r->before, r);
    PQfinish(c);
    if (rc)
        return rc;
    r->after = r->before;
    *out = migrate_judge(r->before, m->newest);
    return 0;
}
