#include "persister/split.h"

#include <errno.h>

static bool is_zero(struct id16 id)
{
    return id_eq(id, (struct id16){{0}});
}

static void optional_id(struct db_array *a, struct id16 id)
{
    split_bytes(a, (struct slice){id.b, is_zero(id) ? 0 : ID_SIZE});
}

static void text_if(struct db_array *a, bool there, struct slice s)
{
    if (there)
        db_array_bytes(a, s.p, s.n);
    else
        db_array_null(a);
}

const Oid conversation_types[CONVERSATION_COLUMNS] = {DB_OID_BYTEA, DB_OID_INT2, DB_OID_TEXT,
                                                      DB_OID_TEXT,  DB_OID_INT4, DB_OID_BYTEA,
                                                      DB_OID_INT4,  DB_OID_INT8, DB_OID_INT8};

int split_conversation(struct slice key, struct slice packed, struct db_array *c)
{
    struct conversation_row r;
    int rc = conversation_row_parse(packed, &r);
    if (rc)
        return rc;
    db_array_bytes(&c[0], key.p, key.n);
    db_array_i16(&c[1], (int16_t)r.type);
    text_if(&c[2], r.named, r.name);
    text_if(&c[3], r.noticed, r.notice);
    db_array_i32(&c[4], (int32_t)r.flags);
    optional_id(&c[5], r.owner);
    db_array_i32(&c[6], (int32_t)r.members);
    db_array_i64(&c[7], r.created_ms);
    split_number(&c[8], r.dissolved_ms);
    return 0;
}

const Oid member_types[MEMBER_COLUMNS] = {DB_OID_BYTEA, DB_OID_BYTEA, DB_OID_BYTEA, DB_OID_TEXT, DB_OID_TEXT,
                                          DB_OID_INT2,  DB_OID_TEXT,  DB_OID_INT8,  DB_OID_INT8, DB_OID_INT2,
                                          DB_OID_TEXT,  DB_OID_INT8,  DB_OID_INT2};

int split_member(struct slice key, struct slice packed, struct db_array *c)
{
    struct member_row r;
    int rc = member_row_parse(packed, &r);
    if (rc == 0)
        rc = split_pair(key, &c[0], &c[1]);
    if (rc)
        return rc;
    optional_id(&c[2], r.peer);
    text_if(&c[3], !is_zero(r.peer), r.peer_login);
    db_array_bytes(&c[4], r.login.p, r.login.n);
    db_array_i16(&c[5], (int16_t)r.role);
    db_array_bytes(&c[6], r.visible.p, r.visible.n);
    db_array_i64(&c[7], (int64_t)r.joined);
    db_array_i64(&c[8], r.muted_until_ms);
    db_array_i16(&c[9], (int16_t)r.friend);
    text_if(&c[10], r.has_text, r.friend_text);
    split_number(&c[11], r.friend_ms);
    db_array_i16(&c[12], r.blocked);
    return 0;
}

const Oid marks_types[MARKS_COLUMNS] = {DB_OID_BYTEA, DB_OID_BYTEA, DB_OID_INT8, DB_OID_INT8};

int split_marks(struct slice key, struct slice packed, struct db_array *c)
{
    struct marks_row r;
    int rc = marks_row_parse(packed, &r);
    if (rc == 0)
        rc = split_pair(key, &c[0], &c[1]);
    if (rc)
        return rc;
    db_array_i64(&c[2], (int64_t)r.read);
    db_array_i64(&c[3], (int64_t)r.delivered);
    return 0;
}

const Oid ask_types[ASK_COLUMNS] = {DB_OID_BYTEA, DB_OID_BYTEA, DB_OID_TEXT, DB_OID_TEXT, DB_OID_INT8};

int split_ask(struct slice key, struct slice packed, struct db_array *c)
{
    struct ask_row r;
    int rc = ask_row_parse(packed, &r);
    if (rc == 0)
        rc = split_pair(key, &c[0], &c[1]);
    if (rc)
        return rc;
    db_array_bytes(&c[2], r.login.p, r.login.n);
    db_array_bytes(&c[3], r.text.p, r.text.n);
    db_array_i64(&c[4], r.time_ms);
    return 0;
}

const Oid block_types[BLOCK_COLUMNS] = {DB_OID_BYTEA, DB_OID_INT8};

int split_block(struct slice key, struct slice packed, struct db_array *c)
{
    const uint8_t *p = key.p;
    uint64_t block = 0;
    (void)packed;
    if (key.n != KEY_BLOCK)
        return -EBADMSG;
    for (size_t i = ID_SIZE; i < KEY_BLOCK; i++)
        block = block << 8 | p[i];
    db_array_bytes(&c[0], p, ID_SIZE);
    db_array_i64(&c[1], (int64_t)block);
    return 0;
}
