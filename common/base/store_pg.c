#include "common/base/store_pg.h"

#include "common/base/log.h"
#include "common/base/loop.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { UPSERT, REMOVE, LOAD, CLEAR, APPEND, VERBS };

struct table {
    const struct store_pg_table *def;
    struct db_stmt stmts[VERBS]; /* sql NULL: not to be used */
    Oid types[2 + STORE_PG_COLUMNS];
    char names[VERBS][64];
    struct db_array columns[STORE_PG_COLUMNS], keys; /* reused from put to put */
    size_t upserts, removes, appends, loads;
};

struct store_pg {
    struct store store;
    struct loop *loop;
    struct db *db;
    struct table *tables;
    size_t n;
    uint8_t by_number[STORE_TABLES]; /* index + 1; 0: unknown */
    uint32_t *slots;                 /* scratch: rows by (table, key) */
    size_t cap;
};

struct store_part {
    struct store_pg *s;
    char *name;
    int32_t part;
    size_t n_topics;
    uint32_t ops;
    bool closed;
};

/* One call under way. */
struct op {
    struct loop_job later; /* answers that are known before PostgreSQL was asked */
    struct store_part *part;
    enum store_rc rc;
    store_open_fn *opened;
    store_row_fn *row;
    store_done_fn *done;
    void *ctx;
    const struct store_key *keys;
    size_t n_keys;
};

/* ---- calls ---- */

static void part_release(struct store_part *p)
{
    if (!p->closed || p->ops)
        return;
    free(p->name);
    free(p);
}

static void op_end(struct op *o, enum store_rc rc, const struct store_mark *mark)
{
    struct store_part *p = o->part;
    if (!p->closed) {
        if (o->opened) {
            if (rc != STORE_OK)
                p->closed = true;
            o->opened(o->ctx, rc, rc == STORE_OK ? p : NULL, mark);
        } else {
            o->done(o->ctx, rc);
        }
    }
    p->ops--; /* only now: who is answered may close the part */
    part_release(p);
    free(o);
}

static void op_later(struct loop_job *job)
{
    struct op *o = container_of(job, struct op, later);
    op_end(o, o->rc, NULL);
}

static void op_fail(struct op *o, enum store_rc rc)
{
    o->rc = rc;
    loop_defer(o->part->s->loop, &o->later, op_later);
}

static struct op *op_new(struct store_part *p, void *ctx)
{
    struct op *o = calloc(1, sizeof *o);
    if (!o)
        abort(); /* an answer is owed and cannot be given */
    o->part = p;
    o->ctx = ctx;
    p->ops++;
    return o;
}

/* What a refusal by PostgreSQL means to a put or an open. Codes: PostgreSQL manual, appendix A. */
static enum store_rc judge(const struct op *o, const struct db_result *r)
{
    if (r->status == DB_OK)
        return STORE_OK;
    if (r->status == DB_DOWN)
        return STORE_DOWN;
    if (strcmp(r->sqlstate, "PY002") == 0)
        return STORE_OK;
    if (strcmp(r->sqlstate, "PY001") == 0 || strcmp(r->sqlstate, "PY003") == 0)
        return STORE_FENCED;
    /* resources, operator, system, deadlock, read-only: may get better; so may a schema that is not there yet */
    static const char *const passing[] = {"08", "40", "53", "57", "58", "25006", "42P01", "42883"};
    enum store_rc rc = STORE_BAD;
    for (size_t i = 0; i < ARRAY_LEN(passing); i++)
        if (strncmp(r->sqlstate, passing[i], strlen(passing[i])) == 0)
            rc = STORE_DOWN;
    if (rc == STORE_BAD)
        log_error("PostgreSQL refused rows", log_str("store", o->part->name), log_int("part", o->part->part),
                  log_str("sqlstate", r->sqlstate), log_str("reason", r->message));
    else
        log_warn("PostgreSQL cannot take rows now", log_str("store", o->part->name),
                 log_str("sqlstate", r->sqlstate), log_str("reason", r->message));
    return rc;
}

/* $1 and $2 of every statement. */
struct where {
    int32_t part;
    const char *values[2];
    int lengths[2];
};
static void where_init(struct where *w, const struct store_part *p)
{
    w->part = (int32_t)htobe32((uint32_t)p->part);
    w->values[0] = p->name;
    w->lengths[0] = (int)strlen(p->name);
    w->values[1] = (const char *)&w->part;
    w->lengths[1] = sizeof w->part;
}

static void ask(struct op *o, const struct db_call *calls, size_t n, db_fn *fn)
{
    if (db_run(o->part->s->db, calls, n, fn, o))
        op_fail(o, STORE_DOWN);
}

/* ---- open ---- */

static const Oid open_types[] = {DB_OID_TEXT, DB_OID_INT4, 1016};
static const struct db_stmt open_stmt = {
    "parley_open", "SELECT generation, serial, present, next, quiet FROM parley_open($1, $2, $3)", 3,
    open_types};

/* int8[] in binary: 20 bytes of header, then length and value each. */
static bool read_array(const PGresult *r, int col, int64_t *out, size_t n)
{
    const char *p = PQgetvalue(r, 0, col);
    if ((size_t)PQgetlength(r, 0, col) != 20 + 12 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t v;
        memcpy(&v, p + 24 + 12 * i, sizeof v);
        out[i] = (int64_t)be64toh(v);
    }
    return true;
}

static void on_open(void *ctx, const struct db_result *r)
{
    struct op *o = ctx;
    enum store_rc rc = judge(o, r);
    struct store_mark mark = {0};
    if (rc == STORE_OK) {
        const PGresult *row = r->results[0];
        size_t n = o->part->n_topics;
        bool whole = PQntuples(row) == 1 && PQnfields(row) == 5 && PQgetlength(row, 0, 2) == 1;
        if (whole) {
            mark.generation = db_get_i64(row, 0, 0);
            mark.serial = db_get_i64(row, 0, 1);
            mark.present = *PQgetvalue(row, 0, 2);
        }
        if (!whole || !read_array(row, 3, mark.next, n) || !read_array(row, 4, mark.quiet, n)) {
            log_error("the mark in PostgreSQL is for another number of topics",
                      log_str("store", o->part->name), log_int("part", o->part->part));
            rc = STORE_BAD;
        }
    }
    op_end(o, rc, &mark);
}

static void pg_open(struct store *store, const char *group, int32_t part, size_t n_topics,
                    const int64_t *committed, store_open_fn *fn, void *ctx)
{
    (void)committed;
    struct store_part *p = calloc(1, sizeof *p);
    if (!p || !(p->name = strdup(group)))
        abort();
    p->s = container_of(store, struct store_pg, store);
    p->part = part;
    p->n_topics = n_topics;
    struct op *o = op_new(p, ctx);
    o->opened = fn;
    struct where w;
    where_init(&w, p);
    struct db_array zeros = {0};
    db_array_start(&zeros, DB_OID_INT8);
    for (size_t i = 0; i < n_topics; i++)
        db_array_i64(&zeros, 0);
    db_array_end(&zeros);
    const char *values[] = {w.values[0], w.values[1], zeros.p};
    const int lengths[] = {w.lengths[0], w.lengths[1], (int)zeros.n};
    if (zeros.failed)
        op_fail(o, STORE_DOWN);
    else
        ask(o, &(struct db_call){&open_stmt, values, lengths}, 1, on_open);
    db_array_release(&zeros);
}

/* ---- rows by key ---- */

static uint64_t hash_of(uint8_t table, struct slice key)
{
    return XXH3_64bits_withSeed(key.p, key.n, table);
}

/* Empties the scratch index, with room for n entries. */
static bool index_reset(struct store_pg *s, size_t n)
{
    size_t cap = 64;
    while (cap < 2 * n)
        cap *= 2;
    if (cap > s->cap) {
        uint32_t *slots = realloc(s->slots, cap * sizeof *slots);
        if (!slots)
            return false;
        s->slots = slots;
        s->cap = cap;
    }
    memset(s->slots, 0xff, s->cap * sizeof *s->slots);
    return true;
}

static bool same(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ---- load ---- */

static void on_load(void *ctx, const struct db_result *r)
{
    struct op *o = ctx;
    struct store_pg *s = o->part->s;
    enum store_rc rc = judge(o, r);
    if (rc != STORE_OK || o->part->closed) {
        op_end(o, rc, NULL);
        return;
    }
    if (!index_reset(s, o->n_keys)) {
        op_end(o, STORE_DOWN, NULL);
        return;
    }
    size_t mask = s->cap - 1;
    for (size_t i = 0; i < o->n_keys; i++) {
        size_t at = hash_of(o->keys[i].table, o->keys[i].key) & mask;
        while (s->slots[at] != UINT32_MAX)
            at = (at + 1) & mask;
        s->slots[at] = (uint32_t)i;
    }
    struct slice *rows = calloc(o->n_keys, sizeof *rows);
    if (!rows) {
        op_end(o, STORE_DOWN, NULL);
        return;
    }
    size_t result = 0;
    for (size_t t = 0; t < s->n; t++) {
        const PGresult *res = NULL;
        for (size_t i = 0; i < o->n_keys && !res; i++)
            if (o->keys[i].table == s->tables[t].def->table)
                res = r->results[result++];
        for (int i = 0; res && i < PQntuples(res); i++) {
            struct slice key = {PQgetvalue(res, i, 0), (size_t)PQgetlength(res, i, 0)};
            for (size_t at = hash_of(s->tables[t].def->table, key) & mask; s->slots[at] != UINT32_MAX;
                 at = (at + 1) & mask) {
                const struct store_key *k = &o->keys[s->slots[at]];
                if (k->table == s->tables[t].def->table && same(k->key, key))
                    rows[s->slots[at]] =
                        (struct slice){PQgetvalue(res, i, 1), (size_t)PQgetlength(res, i, 1)};
            }
        }
    }
    for (size_t i = 0; i < o->n_keys && !o->part->closed; i++)
        o->row(o->ctx, &o->keys[i], rows[i]);
    free(rows);
    op_end(o, STORE_OK, NULL);
}

static void pg_load(struct store_part *p, const struct store_key *keys, size_t n, store_row_fn *row,
                    store_done_fn *done, void *ctx)
{
    struct store_pg *s = p->s;
    struct op *o = op_new(p, ctx);
    o->row = row;
    o->done = done;
    o->keys = keys;
    o->n_keys = n;
    struct where w;
    where_init(&w, p);
    struct db_call calls[STORE_TABLES];
    const char *values[STORE_TABLES][3];
    int lengths[STORE_TABLES][3];
    size_t n_calls = 0;
    for (size_t t = 0; t < s->n; t++) {
        struct table *table = &s->tables[t];
        size_t wanted = 0;
        db_array_start(&table->keys, DB_OID_BYTEA);
        for (size_t i = 0; i < n; i++)
            if (keys[i].table == table->def->table) {
                db_array_bytes(&table->keys, keys[i].key.p, keys[i].key.n);
                wanted++;
            }
        db_array_end(&table->keys);
        if (!wanted)
            continue;
        if (!table->stmts[LOAD].sql || table->keys.failed) {
            op_fail(o, table->keys.failed ? STORE_DOWN : STORE_BAD);
            return;
        }
        memcpy(values[n_calls], w.values, sizeof w.values);
        memcpy(lengths[n_calls], w.lengths, sizeof w.lengths);
        values[n_calls][2] = table->keys.p;
        lengths[n_calls][2] = (int)table->keys.n;
        calls[n_calls] = (struct db_call){&table->stmts[LOAD], values[n_calls], lengths[n_calls]};
        n_calls++;
    }
    if (n_calls == 0)
        op_fail(o, n ? STORE_BAD : STORE_OK);
    else
        ask(o, calls, n_calls, on_load);
}

/* ---- put ---- */

static const Oid fence_types[] = {DB_OID_TEXT, DB_OID_INT4, DB_OID_INT8, DB_OID_INT8,
                                  DB_OID_BOOL, 1016,        1016};
static const struct db_stmt fence_stmt = {"parley_fence", "SELECT parley_fence($1, $2, $3, $4, $5, $6, $7)",
                                          7, fence_types};

/* The call under construction; every pointer in it stays valid until db_run has copied. */
struct building {
    struct where w;
    struct db_call calls[1 + 3 * STORE_TABLES];
    const char *values[1 + 3 * STORE_TABLES][2 + STORE_PG_COLUMNS];
    int lengths[1 + 3 * STORE_TABLES][2 + STORE_PG_COLUMNS];
    size_t n;
    int64_t generation, serial;
    char present;
    struct db_array next, quiet;
    bool failed;
};

static void build(struct building *b, const struct db_stmt *stmt, const struct db_array *params, size_t n)
{
    memcpy(b->values[b->n], b->w.values, sizeof b->w.values);
    memcpy(b->lengths[b->n], b->w.lengths, sizeof b->w.lengths);
    for (size_t i = 0; i < n; i++) {
        b->failed = b->failed || params[i].failed;
        b->values[b->n][2 + i] = params[i].p;
        b->lengths[b->n][2 + i] = (int)params[i].n;
    }
    b->calls[b->n] = (struct db_call){stmt, b->values[b->n], b->lengths[b->n]};
    b->n++;
}

static void build_offsets(struct db_array *a, const int64_t *v, size_t n)
{
    db_array_start(a, DB_OID_INT8);
    for (size_t i = 0; i < n; i++)
        db_array_i64(a, v[i]);
    db_array_end(a);
}

static void build_fence(struct building *b, const struct store_part *p, const struct store_mark *m)
{
    b->generation = (int64_t)htobe64((uint64_t)m->generation);
    b->serial = (int64_t)htobe64((uint64_t)m->serial);
    b->present = m->present;
    build_offsets(&b->next, m->next, p->n_topics);
    build_offsets(&b->quiet, m->quiet, p->n_topics);
    build(b, &fence_stmt, NULL, 0);
    const char **v = b->values[0];
    int *l = b->lengths[0];
    v[2] = (const char *)&b->generation;
    v[3] = (const char *)&b->serial;
    v[4] = &b->present;
    v[5] = b->next.p;
    v[6] = b->quiet.p;
    l[2] = l[3] = 8;
    l[4] = 1;
    l[5] = (int)b->next.n;
    l[6] = (int)b->quiet.n;
    b->failed = b->failed || b->next.failed || b->quiet.failed;
}

/* Marks each keyed row that a later one of the same key replaces. */
static bool find_replaced(struct store_pg *s, const struct store_put *put, bool *replaced)
{
    if (!index_reset(s, put->n))
        return false;
    size_t mask = s->cap - 1;
    for (size_t i = 0; i < put->n; i++) {
        const struct store_row *r = &put->rows[i];
        if (r->append)
            continue;
        size_t at = hash_of(r->table, r->key) & mask;
        for (; s->slots[at] != UINT32_MAX; at = (at + 1) & mask) {
            const struct store_row *o = &put->rows[s->slots[at]];
            if (o->table == r->table && same(o->key, r->key)) {
                replaced[s->slots[at]] = true;
                break;
            }
        }
        s->slots[at] = (uint32_t)i;
    }
    return true;
}

static int split_row(struct table *t, const struct store_row *r)
{
    if (t->def->split)
        return t->def->split(r->key, r->row, t->columns);
    if (!r->append)
        db_array_bytes(&t->columns[0], r->key.p, r->key.n);
    db_array_bytes(&t->columns[r->append ? 0 : 1], r->row.p, r->row.n);
    return 0;
}

/* A table is either keyed or append-only, so the columns serve both. */
static enum store_rc build_rows(struct store_pg *s, const struct store_put *put, const bool *replaced)
{
    for (size_t i = 0; i < put->n; i++) {
        const struct store_row *r = &put->rows[i];
        if (replaced[i])
            continue;
        struct table *t =
            r->table < STORE_TABLES && s->by_number[r->table] ? &s->tables[s->by_number[r->table] - 1] : NULL;
        int verb = r->append ? APPEND : r->row.n ? UPSERT : REMOVE;
        if (!t || !t->stmts[verb].sql)
            return STORE_BAD;
        if (verb == REMOVE) {
            db_array_bytes(&t->keys, r->key.p, r->key.n);
            t->removes++;
        } else {
            if (split_row(t, r))
                return STORE_BAD;
            *(verb == APPEND ? &t->appends : &t->upserts) += 1;
        }
    }
    return STORE_OK;
}

static void start_tables(struct store_pg *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct table *t = &s->tables[i];
        t->upserts = t->removes = t->appends = 0;
        db_array_start(&t->keys, DB_OID_BYTEA);
        for (size_t c = 0; c < t->def->n_columns; c++)
            db_array_start(&t->columns[c], t->def->types ? t->def->types[c] : DB_OID_BYTEA);
    }
}

static void build_tables(struct store_pg *s, struct building *b, bool reset)
{
    for (size_t i = 0; i < s->n; i++) {
        struct table *t = &s->tables[i];
        if (reset && t->stmts[CLEAR].sql)
            build(b, &t->stmts[CLEAR], NULL, 0);
        db_array_end(&t->keys);
        for (size_t c = 0; c < t->def->n_columns; c++)
            db_array_end(&t->columns[c]);
        if (t->removes)
            build(b, &t->stmts[REMOVE], &t->keys, 1);
        if (t->upserts)
            build(b, &t->stmts[UPSERT], t->columns, t->def->n_columns);
        if (t->appends)
            build(b, &t->stmts[APPEND], t->columns, t->def->n_columns);
    }
}

static void on_put(void *ctx, const struct db_result *r)
{
    op_end(ctx, judge(ctx, r), NULL);
}

static void pg_put(struct store_part *p, const struct store_put *put, store_done_fn *done, void *ctx)
{
    struct store_pg *s = p->s;
    struct op *o = op_new(p, ctx);
    o->done = done;
    struct building b = {.n = 0};
    where_init(&b.w, p);
    bool *replaced = calloc(put->n + 1, sizeof *replaced);
    enum store_rc rc = replaced && find_replaced(s, put, replaced) ? STORE_OK : STORE_DOWN;
    start_tables(s);
    if (rc == STORE_OK)
        rc = build_rows(s, put, replaced);
    free(replaced);
    if (rc == STORE_BAD)
        log_error("a row does not fit its table", log_str("store", p->name), log_int("part", p->part));
    build_fence(&b, p, put->mark);
    build_tables(s, &b, put->reset);
    if (rc == STORE_OK && b.failed)
        rc = STORE_DOWN;
    if (rc == STORE_OK)
        ask(o, b.calls, b.n, on_put);
    else
        op_fail(o, rc);
    db_array_release(&b.next);
    db_array_release(&b.quiet);
}

/* ---- life ---- */

static void pg_close(struct store_part *p)
{
    p->closed = true;
    part_release(p);
}

static bool pg_up(const struct store *store)
{
    return db_up(container_of(store, const struct store_pg, store)->db);
}

static void pg_free(struct store *store)
{
    struct store_pg *s = container_of(store, struct store_pg, store);
    for (size_t i = 0; i < s->n; i++) {
        for (size_t c = 0; c < STORE_PG_COLUMNS; c++)
            db_array_release(&s->tables[i].columns[c]);
        db_array_release(&s->tables[i].keys);
    }
    free(s->tables);
    free(s->slots);
    free(s);
}

static const struct store_ops pg_ops = {pg_open, pg_load, pg_put, pg_close, pg_up, pg_free};

static void table_init(struct table *t, const struct store_pg_table *def)
{
    static const char *const verbs[VERBS] = {"upsert", "remove", "load", "clear", "append"};
    const char *const sql[VERBS] = {def->upsert, def->remove, def->load, def->clear, def->append};
    const int params[VERBS] = {2 + (int)def->n_columns, 3, 3, 2, 2 + (int)def->n_columns};
    t->def = def;
    t->types[0] = DB_OID_TEXT;
    t->types[1] = DB_OID_INT4; /* the others follow from the statements' casts */
    for (int v = 0; v < VERBS; v++) {
        (void)snprintf(t->names[v], sizeof t->names[v], "%s_%s", def->name, verbs[v]);
        t->stmts[v] = (struct db_stmt){t->names[v], sql[v], params[v], t->types};
    }
}

struct store *store_pg_new(struct loop *loop, struct db *db, const struct store_pg_table *tables, size_t n)
{
    struct store_pg *s = calloc(1, sizeof *s);
    struct table *t = calloc(n ? n : 1, sizeof *t);
    if (!s || !t || n > STORE_TABLES) {
        free(s);
        free(t);
        return NULL;
    }
    *s = (struct store_pg){.store = {&pg_ops}, .loop = loop, .db = db, .tables = t, .n = n};
    for (size_t i = 0; i < n; i++) {
        table_init(&t[i], &tables[i]);
        s->by_number[tables[i].table] = (uint8_t)(i + 1);
    }
    return &s->store;
}
