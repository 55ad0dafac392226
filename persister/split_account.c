#include "persister/split.h"

#include <errno.h>

const Oid account_types[ACCOUNT_COLUMNS] = {DB_OID_BYTEA, DB_OID_TEXT, DB_OID_TEXT, DB_OID_INT8,
                                            DB_OID_INT4,  DB_OID_INT8, DB_OID_INT8, DB_OID_INT2,
                                            DB_OID_INT2,  DB_OID_INT8, DB_OID_INT8, DB_OID_INT8};

int split_account(struct slice key, struct slice packed, struct db_array *c)
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
    db_array_i16(&c[7], (int16_t)a.presence);
    db_array_i16(&c[8], (int16_t)a.admin);
    db_array_i64(&c[9], a.seen_ms);
    db_array_i64(&c[10], a.profile_offset);
    db_array_i64(&c[11], a.admin_offset);
    return 0;
}

const Oid device_types[DEVICE_COLUMNS] = {DB_OID_BYTEA, DB_OID_INT4, DB_OID_TEXT,
                                          DB_OID_TEXT,  DB_OID_INT8, DB_OID_INT8};

int split_device(struct slice key, struct slice packed, struct db_array *c)
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

const Oid verifier_types[VERIFIER_COLUMNS] = {DB_OID_BYTEA, DB_OID_INT4, DB_OID_BYTEA};

int split_verifier(struct slice key, struct slice packed, struct db_array *c)
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

const Oid prefs_types[PREFS_COLUMNS] = {DB_OID_BYTEA, DB_OID_BYTEA, DB_OID_INT2,
                                        DB_OID_INT2,  DB_OID_TEXT,  DB_OID_INT8};

int split_prefs(struct slice key, struct slice packed, struct db_array *c)
{
    struct prefs_row r;
    int rc = prefs_row_parse(packed, &r);
    if (rc == 0)
        rc = split_pair(key, KEY_PAIR, &c[0], &c[1]);
    if (rc)
        return rc;
    db_array_i16(&c[2], r.pinned);
    db_array_i16(&c[3], r.muted);
    db_array_bytes(&c[4], r.remark.p, r.remark.n);
    db_array_i64(&c[5], r.source_offset);
    return 0;
}

const Oid erased_types[ERASED_COLUMNS] = {DB_OID_BYTEA, DB_OID_INT8, DB_OID_INT8};

int split_erased(struct slice key, struct slice packed, struct db_array *c)
{
    struct erased_row e;
    int rc = key.n < ID_SIZE ? -EBADMSG : erased_row_parse(packed, &e);
    if (rc)
        return rc;
    db_array_bytes(&c[0], key.p, ID_SIZE);
    db_array_i64(&c[1], e.source_offset);
    db_array_i64(&c[2], e.erased_ms);
    return 0;
}
