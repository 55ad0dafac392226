#include "auditor/rows.h"

#include "common/base/db.h"
#include "common/base/log.h"
#include "common/im/schema.h"
#include "common/im/schema_wait.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

/* The mark first: both are of one snapshot. */
static const struct db_stmt mark_stmt = {
    .name = "auditor_mark",
    .sql = "SELECT next[1] FROM parley_marks WHERE store = '" SCHEMA_STORE_CONV "' AND part = $1 AND present",
    .n_params = 1,
    .types = (const Oid[]){DB_OID_INT4}};
static const struct db_stmt rows_stmt = {
    .name = "auditor_rows",
    .sql =
        "SELECT conv_offset, conv, seq, sender, device, client_seq, msg_id, kind, time_ms,"
        " text IS NULL AND content_type IS NULL AND data IS NULL,"
        " sha256(convert_to(coalesce(text, ''), 'UTF8') || '\\x00'::bytea ||"
        " convert_to(coalesce(content_type, ''), 'UTF8') || '\\x00'::bytea || coalesce(data, ''::bytea))"
        " FROM messages WHERE conv_part = $1 AND conv_offset >= $2 AND conv_offset < $3 ORDER BY conv_offset",
    .n_params = 3,
    .types = (const Oid[]){DB_OID_INT4, DB_OID_INT8, DB_OID_INT8}};
#define OID_BYTEA_ARRAY 1001
#define OID_INT8_ARRAY  1016
static const struct db_stmt late_stmt = {
    .name = "auditor_late",
    .sql = "SELECT EXISTS (SELECT 1 FROM messages m WHERE m.conv = q.conv AND m.seq = q.seq),"
           " EXISTS (SELECT 1 FROM memberships s WHERE s.user_id = q.user_id AND s.conv = q.conv AND "
           "s.visible @> q.seq)"
           " FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) WITH ORDINALITY q(conv, user_id, seq, i) "
           "ORDER BY q.i",
    .n_params = 3,
    .types = (const Oid[]){OID_BYTEA_ARRAY, OID_BYTEA_ARRAY, OID_INT8_ARRAY}};

#define MARK_MS 1000

struct place { /* of a partition */
    struct rows *rows;
    int32_t part;
    bool asking, asking_late;
    int64_t from, to, mark, marked_ms;
    size_t n_late;
};

struct rows {
    struct daemon_run *run;
    struct db *db;
    struct books *books;
    struct timer schema_timer;
    bool schema_there;
    int32_t parts;
    struct db_array arrays[3];
    struct place place[];
};

/* ---- may we work with this database? ---- */

static void ask_schema(struct rows *w);

static void schema_answer(void *ctx, const struct db_result *r)
{
    struct rows *w = ctx;
    enum schema_state state = schema_take(w->run, r);
    w->schema_there = state == SCHEMA_THERE;
    if (state == SCHEMA_LATER)
        loop_timer_start(w->run->loop, &w->schema_timer, SCHEMA_RETRY_MS);
}

static void ask_schema(struct rows *w)
{
    const struct db_call call = {.stmt = &schema_ask};
    if (db_run(w->db, &call, 1, schema_answer, w) == -EAGAIN)
        loop_timer_start(w->run->loop, &w->schema_timer, SCHEMA_RETRY_MS);
}

static void schema_again(struct timer *t)
{
    ask_schema(container_of(t, struct rows, schema_timer));
}

static void up(void *ctx)
{
    struct rows *w = ctx;
    ready_ok(w->run->ready, "postgres");
    ask_schema(w);
}

static void down(void *ctx, const char *reason)
{
    struct rows *w = ctx;
    w->schema_there = false;
    ready_wait(w->run->ready, "postgres", reason);
}

/* ---- answers ---- */

static struct id16 get_id(const PGresult *res, int row, int col)
{
    struct id16 id = {{0}};
    if (PQgetlength(res, row, col) == ID_SIZE)
        memcpy(id.b, PQgetvalue(res, row, col), ID_SIZE);
    return id;
}

static bool get_bool(const PGresult *res, int row, int col)
{
    return PQgetlength(res, row, col) == 1 && *PQgetvalue(res, row, col);
}

static bool get_mark(struct place *p, const struct db_result *r)
{
    if (r->status == DB_ERROR)
        log_warn("PostgreSQL cannot answer", log_str("why", r->message));
    if (r->status != DB_OK || r->n < 1)
        return false;
    p->mark = PQntuples(r->results[0]) ? db_get_i64(r->results[0], 0, 0) : -1;
    return true;
}

static void rows_answer(void *ctx, const struct db_result *r)
{
    struct place *p = ctx;
    p->asking = false;
    if (!get_mark(p, r))
        return;
    const PGresult *res = r->results[1];
    int n = PQntuples(res);
    struct books_row *rows = calloc((size_t)n + 1, sizeof *rows);
    if (!rows)
        return; /* asked again */
    for (int i = 0; i < n; i++) {
        rows[i] = (struct books_row){.offset = db_get_i64(res, i, 0),
                                     .conv = get_id(res, i, 1),
                                     .seq = (uint64_t)db_get_i64(res, i, 2),
                                     .sender = get_id(res, i, 3),
                                     .device = (uint32_t)db_get_i64(res, i, 4),
                                     .client_seq = (uint64_t)db_get_i64(res, i, 5),
                                     .msg_id = get_id(res, i, 6),
                                     .kind = (uint32_t)db_get_i64(res, i, 7),
                                     .time_ms = db_get_i64(res, i, 8),
                                     .bare = get_bool(res, i, 9)};
        if (PQgetlength(res, i, 10) == BOOKS_HASH)
            memcpy(rows[i].body, PQgetvalue(res, i, 10), BOOKS_HASH);
    }
    books_rows(p->rows->books, p->part, p->from, p->to, p->mark, rows, (size_t)n,
               loop_now_ms(p->rows->run->loop));
    free(rows);
}

static void late_answer(void *ctx, const struct db_result *r)
{
    struct place *p = ctx;
    struct books_answer answers[BOOKS_LATE];
    p->asking_late = false;
    bool ok = r->status == DB_OK && r->n == 1 && PQntuples(r->results[0]) == (int)p->n_late;
    for (size_t i = 0; ok && i < p->n_late; i++)
        answers[i] =
            (struct books_answer){get_bool(r->results[0], (int)i, 0), get_bool(r->results[0], (int)i, 1)};
    if (r->status == DB_ERROR)
        log_warn("PostgreSQL cannot answer", log_str("why", r->message));
    books_late_answer(p->rows->books, p->part, ok ? answers : NULL, loop_now_ms(p->rows->run->loop));
}

/* ---- questions ---- */

static void ask_rows(struct rows *w, struct place *p)
{
    int64_t now = loop_now_ms(w->run->loop);
    if (!books_ask(w->books, p->part, now, &p->from, &p->to)) {
        if (now < p->marked_ms + MARK_MS)
            return;
        p->from = p->to = 0; /* for the mark alone */
    }
    p->marked_ms = now;
    uint32_t part = htobe32((uint32_t)p->part);
    uint64_t from = htobe64((uint64_t)p->from), to = htobe64((uint64_t)p->to);
    const char *values[] = {(char *)&part, (char *)&from, (char *)&to};
    const int lengths[] = {4, 8, 8};
    const struct db_call calls[] = {{&mark_stmt, values, lengths}, {&rows_stmt, values, lengths}};
    p->asking = db_run(w->db, calls, ARRAY_LEN(calls), rows_answer, p) == 0;
}

static void ask_late(struct rows *w, struct place *p)
{
    struct books_question q[BOOKS_LATE];
    int64_t now = loop_now_ms(w->run->loop);
    p->n_late = books_late(w->books, p->part, p->mark, now, q);
    if (!p->n_late)
        return;
    db_array_start(&w->arrays[0], DB_OID_BYTEA);
    db_array_start(&w->arrays[1], DB_OID_BYTEA);
    db_array_start(&w->arrays[2], DB_OID_INT8);
    for (size_t i = 0; i < p->n_late; i++) {
        db_array_bytes(&w->arrays[0], q[i].conv.b, ID_SIZE);
        db_array_bytes(&w->arrays[1], q[i].user.b, ID_SIZE);
        db_array_i64(&w->arrays[2], (int64_t)q[i].seq);
    }
    const char *values[3];
    int lengths[3];
    bool ok = true;
    for (int i = 0; i < 3; i++) {
        db_array_end(&w->arrays[i]);
        ok &= !w->arrays[i].failed;
        values[i] = w->arrays[i].p;
        lengths[i] = (int)w->arrays[i].n;
    }
    const struct db_call call = {&late_stmt, values, lengths};
    p->asking_late = ok && db_run(w->db, &call, 1, late_answer, p) == 0;
    if (!p->asking_late)
        books_late_answer(w->books, p->part, NULL, now);
}

void rows_turn(struct rows *w)
{
    for (int32_t i = 0; i < w->parts && w->schema_there; i++) {
        struct place *p = &w->place[i];
        if (!books_is_open(w->books, i))
            continue;
        if (!p->asking)
            ask_rows(w, p);
        if (!p->asking_late && p->mark >= 0)
            ask_late(w, p);
    }
}

int64_t rows_mark(const struct rows *w, int32_t part)
{
    return w->place[part].mark;
}

struct rows *rows_new(struct daemon_run *run, const char *conninfo, struct books *books, int32_t parts)
{
    struct rows *w = calloc(1, sizeof *w + (size_t)parts * sizeof *w->place);
    if (!w)
        return NULL;
    w->run = run;
    w->books = books;
    w->parts = parts;
    for (int32_t i = 0; i < parts; i++)
        w->place[i] = (struct place){.rows = w, .part = i, .mark = -1};
    timer_init(&w->schema_timer, schema_again);
    ready_wait(run->ready, "postgres", "connecting");
    const struct db_conf conf = {
        .conninfo = conninfo,
        .setup =
            "SET default_transaction_isolation = 'repeatable read'; SET default_transaction_read_only = on",
        .ctx = w,
        .up = up,
        .down = down};
    w->db = db_new(run->loop, &conf);
    if (w->db)
        return w;
    log_error("postgres.conninfo cannot be used");
    rows_free(w);
    return NULL;
}

void rows_free(struct rows *w)
{
    if (!w)
        return;
    db_free(w->db); /* answers what is in flight first */
    loop_timer_stop(w->run->loop, &w->schema_timer);
    for (size_t i = 0; i < ARRAY_LEN(w->arrays); i++)
        db_array_release(&w->arrays[i]);
    free(w);
}
