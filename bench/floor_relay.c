/* floor_relay.c: a hop of the bare chain, and the reader that keeps history. */
#include "bench/floor_chain.h"
#include "bench/kfloor.h"
#include "bench/result.h"

#include "common/base/bytes.h"
#include "common/base/clock.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_ROWS 2000
#define BATCH_NS   5000000

void chain_relay(struct chain_shared *sh, const char *kafka, const char *from, const char *to,
                 uint64_t linger_ms)
{
    struct kfloor_client in, out;
    kfloor_producer(&out, kafka, to, linger_ms);
    kfloor_consumer(&in, kafka, from);
    sh->ready++;
    while (!sh->stop) {
        rd_kafka_message_t *m;
        kfloor_wait(&in, &out, 100);
        kfloor_reports(&out);
        for (unsigned n = 0; (m = kfloor_next(&in)); n++) {
            while (!kfloor_produce(&out, m->key, m->key_len, m->payload, m->len))
                rd_kafka_poll(out.rk, 10);
            rd_kafka_message_destroy(m);
            if (n % 256 == 255)
                kfloor_reports(&out);
        }
    }
    _exit(0);
}

static void field(struct bytes *b, const void *p, size_t n)
{
    bytes_be32(b, (uint32_t)n);
    bytes_put(b, p, n);
}

static void field64(struct bytes *b, int64_t v)
{
    bytes_be32(b, 8);
    bytes_be64(b, (uint64_t)v);
}

static void field32(struct bytes *b, int32_t v)
{
    bytes_be32(b, 4);
    bytes_be32(b, (uint32_t)v);
}

static void field_null(struct bytes *b)
{
    bytes_be32(b, UINT32_MAX);
}

/* The columns of `messages` that a plain message fills; the rest of the value is the text. */
#define COLUMNS                                                                                         \
    "(conv, seq, sender, device, client_seq, msg_id, kind, text, content_type, data, key_id, time_ms, " \
    "trace, source_part, "                                                                              \
    "source_offset, conv_part, conv_offset)"

static void add_row(struct bytes *b, const rd_kafka_message_t *m)
{
    struct chain_head h;
    memcpy(&h, m->payload, sizeof h);
    size_t text_n = m->len - sizeof h < 100 ? m->len - sizeof h : 100;
    bytes_be16(b, 17);
    field(b, h.conv, 16);
    field64(b, (int64_t)h.seq);
    field(b, h.sender, 16);
    field32(b, 1);
    field64(b, (int64_t)h.seq);
    field(b, h.conv, 16);
    bytes_be32(b, 2);
    bytes_be16(b, 1);
    field(b, (const char *)m->payload + sizeof h, text_n);
    field_null(b);
    field_null(b);
    field64(b, 0);
    field64(b, clock_wall_ms());
    field_null(b);
    field32(b, m->partition);
    field64(b, m->offset);
    field32(b, m->partition);
    field64(b, m->offset);
}

static void must(PGconn *db, PGresult *r, ExecStatusType want)
{
    if (PQresultStatus(r) != want)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    PQclear(r);
}

static void write_batch(PGconn *db, struct bytes *b)
{
    bytes_be16(b, UINT16_MAX);
    must(db, PQexec(db, "COPY " CHAIN_TABLE " " COLUMNS " FROM STDIN (FORMAT binary)"), PGRES_COPY_IN);
    if (!bytes_ok(b) || PQputCopyData(db, (const char *)b->p, (int)b->n) != 1 || PQputCopyEnd(db, NULL) != 1)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    must(db, PQgetResult(db), PGRES_COMMAND_OK);
    while (PQgetResult(db))
        ;
}

static void begin_batch(struct bytes *b)
{
    bytes_clear(b);
    bytes_put(b, "PGCOPY\n\377\r\n\0", 11);
    bytes_be32(b, 0);
    bytes_be32(b, 0);
}

void chain_reader(struct chain_shared *sh, const char *kafka, const char *from, const char *postgres)
{
    struct kfloor_client in;
    struct bytes b = {0};
    unsigned rows = 0;
    int64_t first = 0;
    PGconn *db = PQconnectdb(postgres);
    if (PQstatus(db) != CONNECTION_OK)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    kfloor_consumer(&in, kafka, from);
    sh->ready++;
    while (!sh->stop) {
        rd_kafka_message_t *m;
        kfloor_wait(&in, NULL, rows ? 1 : 100);
        do {
            while (rows < BATCH_ROWS && (m = kfloor_next(&in))) {
                if (!rows++) {
                    begin_batch(&b);
                    first = now_ns();
                }
                add_row(&b, m);
                rd_kafka_message_destroy(m);
            }
            if (!rows || (rows < BATCH_ROWS && now_ns() - first < BATCH_NS))
                break;
            write_batch(db, &b);
            sh->rows += rows;
            rows = 0;
        } while (!sh->stop);
    }
    _exit(0);
}
