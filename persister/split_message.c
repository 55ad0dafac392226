#include "persister/split.h"

#include <errno.h>

const Oid message_types[MESSAGE_COLUMNS] = {DB_OID_BYTEA, DB_OID_INT8,  DB_OID_BYTEA, DB_OID_INT4,
                                            DB_OID_INT8,  DB_OID_BYTEA, DB_OID_INT2,  DB_OID_TEXT,
                                            DB_OID_TEXT,  DB_OID_BYTEA, DB_OID_INT8,  DB_OID_INT8,
                                            DB_OID_BYTEA, DB_OID_INT4,  DB_OID_INT8,  DB_OID_INT8};
const Oid event_types[EVENT_COLUMNS] = {DB_OID_BYTEA, DB_OID_INT8, DB_OID_BYTEA, DB_OID_INT4,  DB_OID_INT8,
                                        DB_OID_BYTEA, DB_OID_INT2, DB_OID_TEXT,  DB_OID_TEXT,  DB_OID_BYTEA,
                                        DB_OID_INT8,  DB_OID_INT8, DB_OID_BYTEA, DB_OID_INT4,  DB_OID_INT8,
                                        DB_OID_INT8,  DB_OID_INT8, DB_OID_INT8,  DB_OID_BYTEA, DB_OID_TEXT,
                                        DB_OID_INT2,  DB_OID_INT4, DB_OID_INT8};

void split_bytes(struct db_array *a, struct slice s)
{
    if (s.n)
        db_array_bytes(a, s.p, s.n);
    else
        db_array_null(a);
}

void split_number(struct db_array *a, int64_t v)
{
    if (v)
        db_array_i64(a, v);
    else
        db_array_null(a);
}

int split_pair(struct slice key, size_t key_n, struct db_array *first, struct db_array *second)
{
    if (key.n != key_n)
        return -EBADMSG;
    db_array_bytes(first, key.p, ID_SIZE);
    db_array_bytes(second, (const uint8_t *)key.p + ID_SIZE, ID_SIZE);
    return 0;
}

static void common_columns(const struct message_row *row, const struct message_texts *t, struct db_array *c)
{
    db_array_bytes(&c[0], row->conv.b, ID_SIZE);
    db_array_i64(&c[1], (int64_t)row->seq);
    db_array_bytes(&c[2], row->sender.b, ID_SIZE);
    db_array_i32(&c[3], (int32_t)row->device);
    db_array_i64(&c[4], (int64_t)row->client_seq);
    db_array_bytes(&c[5], row->msg_id.b, ID_SIZE);
    db_array_i16(&c[6], (int16_t)row->kind);
    split_bytes(&c[7], t->text);
    split_bytes(&c[8], t->type);
    split_bytes(&c[9], t->data);
    db_array_i64(&c[10], (int64_t)row->key_id);
    db_array_i64(&c[11], row->time_ms);
    split_bytes(&c[12], t->trace);
    db_array_i32(&c[13], row->source_part);
    db_array_i64(&c[14], row->source_offset);
    db_array_i64(&c[15], row->conv_offset);
}

int split_message(struct slice key, struct slice packed, struct db_array *c)
{
    struct message_row row;
    struct message_texts t;
    (void)key;
    int rc = message_row_parse(packed, &row, &t);
    if (rc)
        return rc;
    common_columns(&row, &t, c);
    return 0;
}

int split_event(struct slice key, struct slice packed, struct db_array *c)
{
    struct message_row row;
    struct message_texts t;
    (void)key;
    int rc = message_row_parse(packed, &row, &t);
    if (rc)
        return rc;
    common_columns(&row, &t, c);
    split_number(&c[16], (int64_t)row.target);
    split_number(&c[17], (int64_t)row.reply_to);
    split_bytes(&c[18], t.users);
    split_bytes(&c[19], t.logins);
    if (row.role)
        db_array_i16(&c[20], (int16_t)row.role);
    else
        db_array_null(&c[20]);
    if (row.flags)
        db_array_i32(&c[21], (int32_t)row.flags);
    else
        db_array_null(&c[21]);
    split_number(&c[22], row.until_ms);
    return 0;
}
