/* db.h: one PostgreSQL connection in pipeline mode, on the loop thread.
 *
 * A call is a list of statements that PostgreSQL runs as one transaction (everything between two Syncs). Many
 * calls may be in flight; they run and answer in order. Statements are prepared on first use, once per
 * connection. Reconnects by itself with back-off and jitter. Never COPY here: it wedges a pipelined
 * connection.
 */
#ifndef PARLEY_BASE_DB_H
#define PARLEY_BASE_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct db;

struct db_stmt {      /* static data: its address is its identity */
    const char *name; /* of the prepared statement */
    const char *sql;
    int n_params;
    const Oid *types; /* may be NULL: inferred */
};
struct db_call { /* copied by db_run before it returns */
    const struct db_stmt *stmt;
    const char *const *values; /* binary format; NULL entry: SQL NULL */
    const int *lengths;
};

enum db_status {
    DB_OK,    /* committed; results hold one PGresult per statement */
    DB_ERROR, /* PostgreSQL refused: rolled back, sqlstate says why */
    DB_DOWN,  /* the connection broke: unknown whether it was committed */
};
struct db_result {
    enum db_status status;
    char sqlstate[6];
    const char *message;            /* never NULL; first line of the error */
    const PGresult *const *results; /* n of them, binary format, borrowed until return; only when DB_OK */
    size_t n;
};
typedef void db_fn(void *ctx, const struct db_result *);

struct db_conf {
    const char *conninfo; /* URI or key=value; copied */
    const char *setup;    /* SQL run on each new connection (search_path …); may be NULL */
    uint32_t max_calls;   /* in flight before -EAGAIN; 0: 64 */
    uint32_t timeout_ms;  /* connect, and the oldest call; 0: 30000 */
    void *ctx;            /* of the callbacks; each may be NULL */
    void (*up)(void *ctx);
    void (*down)(void *ctx, const char *reason);
    void (*writable)(void *ctx);
};

struct db *db_new(struct loop *, const struct db_conf *);
void db_free(struct db *); /* answers what is in flight DB_DOWN first */
bool db_up(const struct db *);

/* 0; -EAGAIN: too many in flight, wait for `writable`; -ENOTCONN: down, wait for `up`. At most 32 statements.
 */
int db_run(struct db *, const struct db_call *, size_t n, db_fn *, void *ctx);

/* ---- binary parameters, built in one growing buffer ---- */
struct db_array { /* a one-dimensional array parameter; zero it to start, db_array_release at the end */
    char *p;
    size_t n, cap;
    int32_t count;
    bool failed; /* out of memory: db_run must not be called with it */
};
void db_array_start(struct db_array *, Oid element); /* reuses the memory */
void db_array_bytes(struct db_array *, const void *, size_t);
void db_array_i64(struct db_array *, int64_t);
void db_array_i32(struct db_array *, int32_t);
void db_array_i16(struct db_array *, int16_t);
void db_array_null(struct db_array *);
void db_array_end(struct db_array *); /* writes the header; p and n are then the parameter */
void db_array_release(struct db_array *);

enum {
    DB_OID_BOOL = 16,
    DB_OID_BYTEA = 17,
    DB_OID_INT8 = 20,
    DB_OID_INT2 = 21,
    DB_OID_INT4 = 23,
    DB_OID_TEXT = 25,
    DB_OID_TIMESTAMPTZ = 1184
};

int64_t db_get_i64(const PGresult *, int row, int col); /* int2, int4, int8; 0 when NULL */

#endif
