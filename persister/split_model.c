#include "persister/split.h"

#include <errno.h>

/* The number that a key ends with. */
static int64_t tail_of(struct slice key)
{
    const uint8_t *p = (const uint8_t *)key.p + key.n - 8;
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

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

const Oid conversation_types[CONVERSATION_COLUMNS] = {DB_OID_BYTEA, DB_OID_INT2,  DB_OID_TEXT, DB_OID_TEXT,
                                                      DB_OID_INT4,  DB_OID_BYTEA, DB_OID_INT4, DB_OID_INT8,
                                                      DB_OID_INT8,  DB_OID_INT8};

int split_conversation(struct slice key, struct slice packed, struct db_array *c)
{
    struct conversation_row r;
    int rc = conversation_row_parse(packed, &r);
    if (rc || key.n != KEY_CONV)
        return -EBADMSG;
    db_array_bytes(&c[0], key.p, ID_SIZE);
    db_array_i64(&c[9], tail_of(key));
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
                                          DB_OID_TEXT,  DB_OID_INT8,  DB_OID_INT2,  DB_OID_INT8};

int split_member(struct slice key, struct slice packed, struct db_array *c)
{
    struct member_row r;
    int rc = member_row_parse(packed, &r);
    if (rc == 0)
        rc = split_pair(key, KEY_MEMBER, &c[0], &c[1]);
    if (rc)
        return rc;
    db_array_i64(&c[13], tail_of(key));
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
        rc = split_pair(key, KEY_PAIR, &c[0], &c[1]);
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
        rc = split_pair(key, KEY_PAIR, &c[0], &c[1]);
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
    (void)packed;
    if (key.n != KEY_BLOCK)
        return -EBADMSG;
    db_array_bytes(&c[0], key.p, ID_SIZE);
    db_array_i64(&c[1], tail_of(key));
    return 0;
}
