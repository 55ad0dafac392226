#include "persister/tables.h"

#include "common/base/macros.h"
#include "persister/rows.h"

#include <errno.h>

/* ---- messages ---- */

static const Oid message_types[] = {DB_OID_BYTEA, DB_OID_INT8,  DB_OID_BYTEA, DB_OID_INT4,
                                    DB_OID_INT8,  DB_OID_BYTEA, DB_OID_INT2,  DB_OID_TEXT,
                                    DB_OID_TEXT,  DB_OID_BYTEA, DB_OID_INT8,  DB_OID_INT8,
                                    DB_OID_BYTEA, DB_OID_INT4,  DB_OID_INT8,  DB_OID_INT8};

#define MESSAGE_COLUMNS                                                                                \
    "conv, seq, sender, device, client_seq, msg_id, kind, text, content_type, data, key_id, time_ms, " \
    "trace, "                                                                                          \
    "source_part, source_offset, conv_offset"

static void bytes_or_null(struct db_array *a, struct slice s)
{
    if (s.n)
        db_array_bytes(a, s.p, s.n);
    else
        db_array_null(a);
}

static int split_message(struct slice key, struct slice packed, struct db_array *c)
{
    struct message_row row;
    struct message_texts t;
    (void)key;
    int rc = message_row_parse(packed, &row, &t);
    if (rc)
        return rc;
    db_array_bytes(&c[0], row.conv.b, ID_SIZE);
    db_array_i64(&c[1], (int64_t)row.seq);
    db_array_bytes(&c[2], row.sender.b, ID_SIZE);
    db_array_i32(&c[3], (int32_t)row.device);
    db_array_i64(&c[4], (int64_t)row.client_seq);
    db_array_bytes(&c[5], row.msg_id.b, ID_SIZE);
    db_array_i16(&c[6], (int16_t)row.kind);
    bytes_or_null(&c[7], t.text);
    bytes_or_null(&c[8], t.type);
    bytes_or_null(&c[9], t.data);
    db_array_i64(&c[10], (int64_t)row.key_id);
    db_array_i64(&c[11], row.time_ms);
    bytes_or_null(&c[12], t.trace);
    db_array_i32(&c[13], row.source_part);
    db_array_i64(&c[14], row.source_offset);
    db_array_i64(&c[15], row.conv_offset);
    return 0;
}

/* ---- accounts, devices, verifiers ---- */

static const Oid account_types[] = {DB_OID_BYTEA, DB_OID_TEXT, DB_OID_TEXT, DB_OID_INT8,
                                    DB_OID_INT4,  DB_OID_INT8, DB_OID_INT8};

static int split_account(struct slice key, struct slice packed, struct db_array *c)
{
    struct account_row a;
    int rc = account_row_parse(packed, &a);
    if (rc)
        return rc;
    db_array_bytes(&c[0], key.p, key.n);
    db_array_bytes(&c[1], a.login.p, a.login.n);
    db_array_bytes(&c[2], a.display_name.p, a.display_name.n);
    db_array_i64(&c[3], a.token_generation);
    db_array_i32(&c[4], a.source_part);
    db_array_i64(&c[5], a.source_offset);
    db_array_i64(&c[6], a.registered_ms);
    return 0;
}

static const Oid device_types[] = {DB_OID_BYTEA, DB_OID_INT4, DB_OID_TEXT,
                                   DB_OID_TEXT,  DB_OID_INT8, DB_OID_INT8};

static int split_device(struct slice key, struct slice packed, struct db_array *c)
{
    struct device_row d;
    struct id16 user;
    uint32_t device;
    int rc = device_row_parse(packed, &d);
    if (rc == 0)
        rc = device_key_parse(key, &user, &device);
    if (rc)
        return rc;
    db_array_bytes(&c[0], user.b, ID_SIZE);
    db_array_i32(&c[1], (int32_t)device);
    db_array_bytes(&c[2], d.device_id.p, d.device_id.n);
    db_array_bytes(&c[3], d.device_class.p, d.device_class.n);
    db_array_i64(&c[4], d.added_ms);
    if (d.dropped_ms)
        db_array_i64(&c[5], d.dropped_ms);
    else
        db_array_null(&c[5]);
    return 0;
}

static const Oid verifier_types[] = {DB_OID_BYTEA, DB_OID_INT4, DB_OID_BYTEA};

static int split_verifier(struct slice key, struct slice packed, struct db_array *c)
{
    uint32_t master_key;
    struct slice verifier;
    int rc = verifier_row_parse(packed, &master_key, &verifier);
    if (rc)
        return rc;
    db_array_bytes(&c[0], key.p, key.n);
    db_array_i32(&c[1], (int32_t)master_key);
    db_array_bytes(&c[2], verifier.p, verifier.n);
    return 0;
}

/* Message rows have no ON CONFLICT: under the fence a second row with a key is a contradiction, and must be seen. */
const struct store_pg_table persister_tables[PERSISTER_TABLES] = {
    {
        .table = P_CELL,
        .name = "cells",
        .n_columns = 2,
        .upsert = "INSERT INTO cells (part, key, row) SELECT $2, * FROM unnest($3::bytea[], $4::bytea[]) "
                  "ON CONFLICT (part, key) DO UPDATE SET row = excluded.row",
        .remove = "DELETE FROM cells WHERE part = $2 AND key = ANY($3::bytea[])",
        .load = "SELECT key, row FROM cells WHERE part = $2 AND key = ANY($3::bytea[])",
        .clear = "DELETE FROM cells WHERE part = $2 AND $1 <> ''",
    },
    {
        .table = P_MESSAGE,
        .name = "messages",
        .n_columns = ARRAY_LEN(message_types),
        .types = message_types,
        .split = split_message,
        .append =
            "INSERT INTO messages (conv_part, " MESSAGE_COLUMNS ") SELECT $2, * FROM unnest($3::bytea[], "
            "$4::int8[], $5::bytea[], $6::int4[], $7::int8[], $8::bytea[], $9::int2[], $10::text[], "
            "$11::text[], $12::bytea[], $13::int8[], $14::int8[], $15::bytea[], $16::int4[], $17::int8[], "
            "$18::int8[])",
        .clear = "DELETE FROM messages WHERE conv_part = $2 AND $1 <> ''",
    },
    {
        .table = P_ACCOUNT,
        .name = "accounts",
        .n_columns = ARRAY_LEN(account_types),
        .types = account_types,
        .split = split_account,
        .upsert =
            "INSERT INTO accounts (part, user_id, login, display_name, token_generation, source_part, "
            "source_offset, registered_ms) SELECT $2, * FROM unnest($3::bytea[], $4::text[], $5::text[], "
            "$6::int8[], $7::int4[], $8::int8[], $9::int8[]) ON CONFLICT (user_id) DO UPDATE SET "
            "display_name = excluded.display_name, token_generation = excluded.token_generation",
        .load =
            "SELECT user_id, int8send(token_generation) || int8send(source_offset) || "
            "int8send(registered_ms) "
            "|| int4send(source_part) || int4send(octet_length(login)) || convert_to(login, 'UTF8') || "
            "convert_to(display_name, 'UTF8') FROM accounts WHERE part = $2 AND user_id = ANY($3::bytea[])",
        .clear = "DELETE FROM accounts WHERE part = $2 AND $1 <> ''",
    },
    {
        .table = P_DEVICE,
        .name = "devices",
        .n_columns = ARRAY_LEN(device_types),
        .types = device_types,
        .split = split_device,
        .upsert =
            "INSERT INTO devices (part, user_id, device, device_id, device_class, added_ms, dropped_ms) "
            "SELECT $2, * FROM unnest($3::bytea[], $4::int4[], $5::text[], $6::text[], $7::int8[], "
            "$8::int8[]) "
            "ON CONFLICT (user_id, device) DO UPDATE SET device_id = excluded.device_id, device_class = "
            "excluded.device_class, added_ms = excluded.added_ms, dropped_ms = excluded.dropped_ms",
        .load =
            "SELECT user_id || int4send(device), int8send(added_ms) || int8send(coalesce(dropped_ms, 0)) || "
            "int4send(octet_length(device_id)) || convert_to(device_id, 'UTF8') || "
            "convert_to(device_class, 'UTF8') FROM devices WHERE part = $2 AND (user_id, device) IN (SELECT "
            "substr(k, 1, 16), ('x' || encode(substr(k, 17, 4), 'hex'))::bit(32)::int4 FROM "
            "unnest($3::bytea[]) k)",
        .clear = "DELETE FROM devices WHERE part = $2 AND $1 <> ''",
    },
    {
        .table = P_VERIFIER,
        .name = "verifiers",
        .n_columns = ARRAY_LEN(verifier_types),
        .types = verifier_types,
        .split = split_verifier,
        .upsert = "INSERT INTO verifiers (part, user_id, master_key, verifier) SELECT $2, * FROM "
                  "unnest($3::bytea[], $4::int4[], $5::bytea[]) ON CONFLICT (user_id) DO UPDATE SET "
                  "master_key = excluded.master_key, verifier = excluded.verifier",
        .remove = "DELETE FROM verifiers WHERE part = $2 AND user_id = ANY($3::bytea[])",
        .clear = "DELETE FROM verifiers WHERE part = $2 AND $1 <> ''",
    },
};
