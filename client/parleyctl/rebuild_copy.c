#include "client/parleyctl/rebuild_copy.h"

#include "persister/split.h"
#include "persister/tables.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEND_BYTES (64u << 10)
#define ARRAY_HEAD 20 /* of struct db_array, in front of its first element */

struct copy {
    PGconn *c;
    uint8_t *buf;
    size_t n, cap;
    struct db_array columns[EVENT_COLUMNS], logins;
};

static void *room(struct copy *c, size_t n)
{
    if (c->cap - c->n < n) {
        size_t cap = c->cap ? c->cap : SEND_BYTES + 4096;
        while (cap - c->n < n)
            cap *= 2;
        uint8_t *p = realloc(c->buf, cap);
        if (!p)
            return NULL;
        c->buf = p;
        c->cap = cap;
    }
    void *at = c->buf + c->n;
    c->n += n;
    return at;
}

static int add(struct copy *c, const void *p, size_t n)
{
    void *at = room(c, n);
    if (at)
        memcpy(at, p, n);
    return at ? 0 : -ENOMEM;
}

static int add32(struct copy *c, uint32_t v)
{
    v = htobe32(v);
    return add(c, &v, sizeof v);
}

static int add16(struct copy *c, uint16_t v)
{
    v = htobe16(v);
    return add(c, &v, sizeof v);
}

static int add_field(struct copy *c, struct slice s)
{
    int rc = add32(c, (uint32_t)s.n);
    return rc ? rc : add(c, s.p, s.n);
}

static int flush(struct copy *c, bool all)
{
    if (c->n < SEND_BYTES && !all)
        return 0;
    int rc = PQputCopyData(c->c, (const char *)c->buf, (int)c->n) == 1 ? 0 : -EIO;
    c->n = 0;
    return rc;
}

/* How many columns, and the first of them. */
static int begin_row(struct copy *c, uint16_t columns, int32_t part)
{
    uint32_t be = htobe32((uint32_t)part);
    int rc = add16(c, columns);
    return rc ? rc : add_field(c, (struct slice){&be, sizeof be});
}

struct copy *copy_begin(PGconn *conn, const char *sql)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
    PGresult *r = PQexec(conn, sql);
    bool ok = PQresultStatus(r) == PGRES_COPY_IN;
    PQclear(r);
    struct copy *c = ok ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return NULL;
    c->c = conn;
    if (add(c, head, 19)) {
        copy_free(c);
        return NULL;
    }
    return c;
}

int copy_end(struct copy *c, int rc)
{
    if (!rc)
        rc = add16(c, UINT16_MAX);
    if (!rc)
        rc = flush(c, true);
    if (PQputCopyEnd(c->c, rc ? "given up" : NULL) != 1)
        rc = -EIO;
    for (PGresult *r; (r = PQgetResult(c->c)); PQclear(r))
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            rc = -EIO;
    copy_free(c);
    return rc;
}

void copy_free(struct copy *c)
{
    for (size_t i = 0; i < EVENT_COLUMNS; i++)
        db_array_release(&c->columns[i]);
    db_array_release(&c->logins);
    free(c->buf);
    free(c);
}

/* split_*() appends one element to an array of each column, length and bytes: just what a field of COPY is. */
static void start_columns(struct copy *c, const Oid *types, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c->columns[i].cap)
            c->columns[i].n = ARRAY_HEAD;
        else
            db_array_start(&c->columns[i], types[i]);
    }
}

static int add_column(struct copy *c, const struct db_array *a)
{
    return a->failed ? -ENOMEM : add(c, a->p + ARRAY_HEAD, a->n - ARRAY_HEAD);
}

/* {"anna","b\"c"} as message_row.c writes it, into the binary form of text[]. */
static int add_logins(struct copy *c, const struct db_array *text)
{
    const char *p = text->p + ARRAY_HEAD + 4, *end = text->p + text->n;
    char name[1024];
    if (text->n <= ARRAY_HEAD + 4) /* NULL */
        return add_column(c, text);
    db_array_start(&c->logins, DB_OID_TEXT);
    for (p++; p < end && *p == '"';) {
        size_t n = 0;
        for (p++; p < end && *p != '"' && n < sizeof name; p++) {
            p += *p == '\\';
            name[n++] = *p;
        }
        db_array_bytes(&c->logins, name, n);
        p++;
        p += p < end && *p == ',';
    }
    db_array_end(&c->logins);
    return c->logins.failed ? -ENOMEM : add_field(c, (struct slice){c->logins.p, c->logins.n});
}

int copy_message(struct copy *c, int32_t part, bool wide, struct slice row)
{
    size_t n = wide ? EVENT_COLUMNS : MESSAGE_COLUMNS;
    start_columns(c, event_types, n);
    int rc = wide ? split_event((struct slice){0}, row, c->columns)
                  : split_message((struct slice){0}, row, c->columns);
    if (!rc)
        rc = begin_row(c, 1 + EVENT_COLUMNS, part);
    for (size_t i = 0; i < n && !rc; i++)
        rc = i == EVENT_LOGINS ? add_logins(c, &c->columns[i]) : add_column(c, &c->columns[i]);
    for (size_t i = n; i < EVENT_COLUMNS && !rc; i++)
        rc = add32(c, UINT32_MAX);
    return rc ? rc : flush(c, false);
}

int copy_cell(struct copy *c, int32_t part, struct slice key, struct slice row)
{
    int rc = begin_row(c, 3, part);
    if (!rc)
        rc = add_field(c, key);
    if (!rc)
        rc = add_field(c, row);
    return rc ? rc : flush(c, false);
}

int copy_block(struct copy *c, int32_t part, struct slice key, struct slice row)
{
    start_columns(c, block_types, BLOCK_COLUMNS);
    int rc = split_block(key, row, c->columns);
    if (!rc)
        rc = begin_row(c, 1 + BLOCK_COLUMNS, part);
    for (size_t i = 0; i < BLOCK_COLUMNS && !rc; i++)
        rc = add_column(c, &c->columns[i]);
    return rc ? rc : flush(c, false);
}
