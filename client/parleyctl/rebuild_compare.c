#include "client/parleyctl/rebuild_compare.h"

#include "client/parleyctl/ctl.h"
#include "common/base/hex.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define COPY_HEAD 19
#define ROW_HEAD  2 /* number of columns */

struct stream {
    PGconn *db;
    char *buf;
    const char *row; /* NULL: at its end */
    size_t n;
    bool begun, failed;
};

struct pass {
    struct compare *c;
    struct stream s[COMPARE_TABLES][COMPARE_SIDES];
    XXH3_state_t *table[COMPARE_TABLES][COMPARE_SIDES], *id[COMPARE_SIDES];
    uint64_t rows;
};

static void hex_of(XXH3_state_t *h, char out[COMPARE_HASH])
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(h));
    hex_encode(out, c.digest, sizeof c.digest);
}

/* ---- one side of one table ---- */

static int stream_open(struct stream *s, const struct compare *c, const struct compare_table *t, int side)
{
    char others[2048] = "";
    int rc = 0;
    s->db = rpg_open(c->conninfo[side]);
    if (!s->db ||
        rpg_do(
            s->db,
            "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        return -EIO;
    if (side == LIVE && c->snapshot && rpg_do(s->db, "SET TRANSACTION SNAPSHOT '%s'", c->snapshot))
        return -EIO;
    /* By name: a column added later stands elsewhere in a table that was made later. */
    if (t->columns)
        snprintf(others, sizeof others, ", %s", t->columns);
    else
        rc = rpg_text(
            s->db, others, sizeof others,
            "SELECT string_agg(', ' || quote_ident(attname), '' ORDER BY attname) FROM pg_attribute WHERE "
            "attrelid = '%s.%s'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('%s', "
            "'%s')",
            c->schema_q[side], t->name, t->keys[0], t->keys[1] ? t->keys[1] : "");
    if (rc == -EIO)
        return rc;
    const char *comma = t->keys[1] ? ", " : "", *second = t->keys[1] ? t->keys[1] : "";
    return rpg_do(s->db, "COPY (SELECT %s%s%s%s FROM %s.%s ORDER BY %s%s%s) TO STDOUT (FORMAT binary)",
                  t->keys[0], comma, second, others, c->schema_q[side], t->name, t->keys[0], comma, second);
}

static void stream_close(struct stream *s)
{
    if (s->buf)
        PQfreemem(s->buf);
    PQfinish(s->db);
}

static void stream_end(struct stream *s)
{
    for (PGresult *r; (r = PQgetResult(s->db)); PQclear(r))
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            s->failed = true;
    if (s->failed)
        rpg_complain(s->db, "reading rows");
}

/* The next row, or its end. */
static void stream_next(struct stream *s)
{
    do {
        if (s->buf)
            PQfreemem(s->buf);
        s->buf = NULL;
        s->row = NULL;
        int n = PQgetCopyData(s->db, &s->buf, 0);
        if (n < 0) {
            s->failed = n != -1;
            s->buf = NULL;
            stream_end(s);
            return;
        }
        s->row = s->buf;
        s->n = (size_t)n;
        if (!s->begun && s->n >= COPY_HEAD) {
            s->row += COPY_HEAD;
            s->n -= COPY_HEAD;
        }
        s->begun = true;
    } while (s->n <= ROW_HEAD); /* the header alone, the trailer */
}

/* ---- keys ---- */

static struct slice field(const char *row, int i)
{
    const char *p = row + ROW_HEAD;
    for (;; i--) {
        uint32_t n;
        memcpy(&n, p, sizeof n);
        n = be32toh(n);
        if (i == 0)
            return (struct slice){p + 4, n == UINT32_MAX ? 0 : n};
        p += 4 + (n == UINT32_MAX ? 0 : n);
    }
}

static int compare_keys(const struct compare_table *t, const char *a, const char *b)
{
    int d = 0;
    for (int i = 0; t->types[i] && !d; i++) {
        struct slice x = field(a, i), y = field(b, i);
        d = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
        if (!d)
            d = (x.n > y.n) - (x.n < y.n);
    }
    return d;
}

static bool id_of(const struct stream *s, struct id16 *id)
{
    if (!s->row)
        return false;
    struct slice f = field(s->row, 0);
    *id = (struct id16){{0}};
    memcpy(id->b, f.p, f.n < ID_SIZE ? f.n : ID_SIZE);
    return true;
}

void compare_where(const struct compare_table *t, const char *row, char *out, size_t n)
{
    *out = '\0';
    for (int i = 0; t->types[i]; i++) {
        struct slice f = field(row, i);
        char value[400] = "";
        uint64_t v = 0;
        for (size_t k = 0; k < f.n && k < 8; k++)
            v = v << 8 | ((const uint8_t *)f.p)[k];
        if (t->types[i] != 'b')
            snprintf(value, sizeof value, "%" PRIu64, v);
        else if (f.n * 2 + 4 < sizeof value) {
            memcpy(value, "'\\x", 3);
            hex_encode(value + 3, f.p, f.n);
            memcpy(value + 3 + 2 * f.n, "'", 2);
        }
        size_t at = strlen(out);
        snprintf(out + at, n - at, "%s%s = %s", i ? " AND " : "", t->keys[i], value);
    }
}

/* ---- one row of one side or both ---- */

static void keep(struct compare_table *t, int side, const struct stream *s)
{
    t->first[side] = malloc(s->n);
    if (t->first[side])
        memcpy(t->first[side], s->row, s->n);
    t->first_n[side] = s->n;
}

static void hash_row(struct pass *p, size_t t, int side, size_t n)
{
    const struct stream *s = &p->s[t][side];
    (void)XXH3_128bits_update(p->table[t][side], s->row, n);
    (void)XXH3_128bits_update(p->id[side], s->row, n);
    p->c->tables[t].rows[side]++;
    if (++p->rows % 8192 == 0 && p->c->progress)
        p->c->progress(p->c->ctx, p->rows);
}

/* How many bytes of both rows count. */
static size_t counted(struct compare_table *t, const struct stream *a, const struct stream *b)
{
    uint32_t at = t->settled;
    if (!at || (a->row[at] && b->row[at]))
        return SIZE_MAX;
    t->unsettled++;
    return at - 4;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void take_row(struct pass *p, size_t t, bool live, bool rebuilt)
{
    struct compare_table *table = &p->c->tables[t];
    struct stream *s = p->s[t];
    size_t n = live && rebuilt ? counted(table, &s[LIVE], &s[REBUILT]) : SIZE_MAX;
    bool equal = live && rebuilt && least(n, s[LIVE].n) == least(n, s[REBUILT].n) &&
                 !memcmp(s[LIVE].row, s[REBUILT].row, least(n, s[LIVE].n));
    if (!equal && table->differ++ == 0) {
        if (live)
            keep(table, LIVE, &s[LIVE]);
        if (rebuilt)
            keep(table, REBUILT, &s[REBUILT]);
    }
    if (live) {
        hash_row(p, t, LIVE, least(n, s[LIVE].n));
        stream_next(&s[LIVE]);
    }
    if (rebuilt) {
        hash_row(p, t, REBUILT, least(n, s[REBUILT].n));
        stream_next(&s[REBUILT]);
    }
}

/* All rows of one id in one table. */
static void take_table(struct pass *p, size_t t, struct id16 id)
{
    uint8_t number = (uint8_t)t;
    for (int side = 0; side < COMPARE_SIDES; side++)
        (void)XXH3_128bits_update(p->id[side], &number, 1);
    for (;;) {
        struct stream *s = p->s[t];
        struct id16 have;
        bool live = id_of(&s[LIVE], &have) && id_eq(have, id);
        bool rebuilt = id_of(&s[REBUILT], &have) && id_eq(have, id);
        if (!live && !rebuilt)
            return;
        int d = !live ? 1 : !rebuilt ? -1 : compare_keys(&p->c->tables[t], s[LIVE].row, s[REBUILT].row);
        take_row(p, t, d <= 0, d >= 0);
    }
}

static bool lowest(const struct pass *p, struct id16 *low)
{
    bool any = false;
    for (size_t t = 0; t < p->c->n; t++)
        for (int side = 0; side < COMPARE_SIDES; side++) {
            struct id16 id;
            if (p->s[t][side].failed)
                return false;
            if (id_of(&p->s[t][side], &id) && (!any || memcmp(id.b, low->b, ID_SIZE) < 0)) {
                *low = id;
                any = true;
            }
        }
    return any;
}

static void take_all(struct pass *p)
{
    struct compare *c = p->c;
    struct id16 id;
    char hash[COMPARE_SIDES][COMPARE_HASH];
    while (lowest(p, &id)) {
        for (int side = 0; side < COMPARE_SIDES; side++)
            (void)XXH3_128bits_reset(p->id[side]);
        for (size_t t = 0; t < c->n; t++)
            take_table(p, t, id);
        for (int side = 0; side < COMPARE_SIDES; side++)
            hex_of(p->id[side], hash[side]);
        c->ids++;
        if (strcmp(hash[LIVE], hash[REBUILT]) != 0 && c->ids_differ++ == 0)
            c->first_differing = id;
        if (c->id)
            c->id(c->ctx, id, hash[LIVE], hash[REBUILT]);
    }
}

/* ---- the whole ---- */

static int begin(struct pass *p)
{
    for (int side = 0; side < COMPARE_SIDES; side++)
        if (!(p->id[side] = XXH3_createState()))
            return -EIO;
    for (size_t t = 0; t < p->c->n; t++)
        for (int side = 0; side < COMPARE_SIDES; side++) {
            if (stream_open(&p->s[t][side], p->c, &p->c->tables[t], side) ||
                !(p->table[t][side] = XXH3_createState()))
                return -EIO;
            (void)XXH3_128bits_reset(p->table[t][side]);
        }
    return 0;
}

int compare_run(struct compare *c)
{
    struct pass p = {.c = c};
    int rc = begin(&p);
    for (size_t t = 0; t < c->n && !rc; t++)
        for (int side = 0; side < COMPARE_SIDES; side++)
            stream_next(&p.s[t][side]);
    if (!rc)
        take_all(&p);
    for (size_t t = 0; t < c->n; t++)
        for (int side = 0; side < COMPARE_SIDES; side++) {
            rc = rc || p.s[t][side].failed ? -EIO : 0;
            if (!rc)
                hex_of(p.table[t][side], c->tables[t].hash[side]);
            stream_close(&p.s[t][side]);
            XXH3_freeState(p.table[t][side]);
        }
    for (int side = 0; side < COMPARE_SIDES; side++)
        XXH3_freeState(p.id[side]);
    return rc;
}

void compare_release(struct compare *c)
{
    for (size_t t = 0; t < c->n; t++)
        for (int side = 0; side < COMPARE_SIDES; side++)
            free(c->tables[t].first[side]);
}
