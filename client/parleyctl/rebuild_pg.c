#include "client/parleyctl/rebuild_pg.h"

#include "client/parleyctl/ctl.h"
#include "common/base/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void rpg_complain(PGconn *c, const char *what)
{
    const char *why = PQerrorMessage(c);
    ctl_complain("PostgreSQL: %s: %.*s", what, (int)strcspn(why, "\n"), why);
}

/* key='value', as libpq reads it. */
static void put_pair(struct bytes *b, const char *key, const char *value)
{
    bytes_printf(b, "%s='", key);
    for (const char *p = value; *p; p++)
        bytes_printf(b, *p == '\'' || *p == '\\' ? "\\%c" : "%c", *p);
    bytes_printf(b, "' ");
}

/* The server takes options apart at blanks and takes backslashes off. */
static void put_path(struct bytes *b, const char *schema)
{
    bytes_printf(b, " -c search_path=\"");
    for (const char *p = schema; *p; p++)
        bytes_printf(b, *p == ' ' || *p == '\\' ? "\\%c" : *p == '"' ? "\"\"" : "%c", *p);
    bytes_printf(b, "\"");
}

char *rpg_conninfo(const char *conninfo, const char *schema)
{
    char *why = NULL;
    PQconninfoOption *all = PQconninfoParse(conninfo, &why);
    struct bytes b = {0}, options = {0};
    if (!all) {
        ctl_complain("postgres.conninfo: %s", why ? why : "no memory");
        PQfreemem(why);
        return NULL;
    }
    for (PQconninfoOption *o = all; o->keyword; o++) {
        if (!o->val)
            continue;
        if (!strcmp(o->keyword, "options"))
            bytes_printf(&options, "%s", o->val);
        else
            put_pair(&b, o->keyword, o->val);
    }
    PQconninfoFree(all);
    put_path(&options, schema);
    put_pair(&b, "options", (const char *)options.p);
    bytes_release(&options);
    return (char *)b.p;
}

PGconn *rpg_open(const char *conninfo)
{
    PGconn *c = PQconnectdb(conninfo);
    if (PQstatus(c) != CONNECTION_OK) {
        rpg_complain(c, "not reachable");
        PQfinish(c);
        return NULL;
    }
    PQclear(PQexec(c, "SET client_min_messages = warning; SET DateStyle = ISO"));
    return c;
}

static PGresult *run(PGconn *c, const char *sql, va_list ap)
{
    char *text = NULL;
    PGresult *r = vasprintf(&text, sql, ap) < 0 ? NULL : PQexec(c, text);
    free(text);
    ExecStatusType s = PQresultStatus(r);
    if (s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK || s == PGRES_COPY_IN || s == PGRES_COPY_OUT)
        return r;
    rpg_complain(c, "refused");
    PQclear(r);
    return NULL;
}

PGresult *rpg_ask(PGconn *c, const char *sql, ...)
{
    va_list ap;
    va_start(ap, sql);
    PGresult *r = run(c, sql, ap);
    va_end(ap);
    return r;
}

int rpg_do(PGconn *c, const char *sql, ...)
{
    va_list ap;
    va_start(ap, sql);
    PGresult *r = run(c, sql, ap);
    va_end(ap);
    PQclear(r);
    return r ? 0 : -EIO;
}

int64_t rpg_number(PGconn *c, int64_t none, const char *sql, ...)
{
    va_list ap;
    va_start(ap, sql);
    PGresult *r = run(c, sql, ap);
    va_end(ap);
    int64_t v = !r                                          ? -1
                : PQntuples(r) == 0 || PQgetisnull(r, 0, 0) ? none
                                                            : strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    return v;
}

int rpg_text(PGconn *c, char *out, size_t n, const char *sql, ...)
{
    va_list ap;
    va_start(ap, sql);
    PGresult *r = run(c, sql, ap);
    va_end(ap);
    bool none = r && (PQntuples(r) == 0 || PQgetisnull(r, 0, 0));
    if (r && !none)
        snprintf(out, n, "%s", PQgetvalue(r, 0, 0));
    PQclear(r);
    return !r ? -EIO : none ? -ENOENT : 0;
}
