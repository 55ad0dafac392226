#include "bench/kfloor.h"
#include "bench/page.h"
#include "bench/pg.h"

#include "common/base/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define A_STEP 100 /* conversations of one transaction: a million rows */

/* Texts of 100 bytes; one conversation after the other, as history that has been tidied up would lie. */
static const char fill[] =
    "INSERT INTO messages (conv, seq, sender, device, client_seq, msg_id, kind, text, key_id, time_ms, "
    "source_part,"
    " source_offset, conv_part, conv_offset) "
    "SELECT p.conv, s, CASE WHEN s %% 2 = 0 THEN p.a ELSE p.b END, 1, s, substring(p.conv, 1, 8) || "
    "int8send(s), 1,"
    " rpad('message ' || s, 100, ' lorem ipsum dolor sit amet'), 0, 1600000000000 + s * 1000, 0, 0, 0, 0"
    " FROM bench_pages p, generate_series(1, %d) s WHERE p.i >= %" PRIu64 " AND p.i < %" PRIu64
    " ORDER BY p.i, s";

static void one_step(PGconn *db, uint64_t from, uint64_t to)
{
    char sql[1200];
    pg_run(db, "BEGIN");
    snprintf(sql, sizeof sql, fill, PAGE_CONV, from, to);
    pg_run(db, sql);
    snprintf(sql, sizeof sql,
             "INSERT INTO conversations (conv, part, type, name, notice, created_ms) SELECT conv, 0, 1, '', "
             "'', 0 FROM "
             "bench_pages WHERE i >= %" PRIu64 " AND i < %" PRIu64,
             from, to);
    pg_run(db, sql);
    snprintf(sql, sizeof sql,
             "INSERT INTO memberships (user_id, conv, part, peer, peer_login, login, role, visible, joined) "
             "SELECT a, conv, 0, b, 'peer', login, 1, '{[1,)}'::int8multirange, 1 FROM bench_pages WHERE i "
             ">= %" PRIu64 " AND i < %" PRIu64
             " UNION ALL SELECT b, conv, 0, a, login, 'peer', 1, '{[1,)}'::int8multirange, 1 FROM "
             "bench_pages WHERE i >= %" PRIu64 " AND i < %" PRIu64,
             from, to, from, to);
    pg_run(db, sql);
    pg_run(db, "COMMIT");
    fprintf(stderr, "pages    %" PRIu64 " rows\n", to * PAGE_CONV);
}

static void add_people(PGconn *db, const struct people *p, uint64_t from, uint64_t to)
{
    char sql[400], hex[ID_HEX];
    for (uint64_t i = from; i < to; i++) {
        const struct person *one = &p->v[i % p->n];
        snprintf(sql, sizeof sql,
                 "INSERT INTO bench_pages VALUES (%" PRIu64 ", decode(md5('bench-page-%" PRIu64
                 "'), 'hex'), '\\x%s', "
                 "decode(md5('bench-peer-%" PRIu64 "'), 'hex'), '%s')",
                 i, i, id_hex(one->id, hex), i, one->login);
        pg_run(db, sql);
    }
}

void page_fill(struct page_set *s, PGconn *db, const struct people *p, uint64_t rows)
{
    s->n = (rows + PAGE_CONV - 1) / PAGE_CONV;
    s->conv = calloc(s->n, sizeof *s->conv);
    if (!s->conv)
        kfloor_die("pages", "no memory");
    pg_run(db, "SET client_min_messages = warning; SET synchronous_commit = off");
    pg_run(db, "CREATE TABLE IF NOT EXISTS bench_pages (i int8 PRIMARY KEY, conv bytea, a bytea, b bytea, "
               "login text)");
    uint64_t have = (uint64_t)pg_number(db, "SELECT count(*) FROM bench_pages"), had = have;
    while (have < s->n) {
        uint64_t to = have + A_STEP < s->n ? have + A_STEP : s->n;
        add_people(db, p, have, to);
        one_step(db, have, to);
        have = to;
    }
    if (have != had)
        pg_run(db, "VACUUM ANALYZE messages, memberships, conversations");
    PGresult *r = PQexec(db, "SELECT i, encode(conv, 'hex') FROM bench_pages ORDER BY i");
    for (int k = 0; k < PQntuples(r) && (uint64_t)k < s->n; k++)
        if (hex_decode(s->conv[k].b, ID_SIZE, PQgetvalue(r, k, 1)))
            kfloor_die("pages", "not an id");
    PQclear(r);
}

void page_release(struct page_set *s)
{
    free(s->conv);
}

struct page_place page_random(const struct page_set *s, struct rng *r)
{
    return (struct page_place){rng_below(r, s->n), PAGE_ROWS + 1 + rng_below(r, PAGE_CONV - PAGE_ROWS)};
}
