#include "common/im/schema_wait.h"

#include "common/base/log.h"
#include "common/im/schema.h"

const struct db_stmt schema_ask = {.name = "schema_version", .sql = MIGRATE_QUERY};

enum schema_state schema_take(struct daemon_run *run, const struct db_result *r)
{
    if (r->status == DB_DOWN)
        return SCHEMA_DOWN;
    int version =
        r->status == DB_OK && PQntuples(r->results[0]) == 1 ? (int)db_get_i64(r->results[0], 0, 0) : -1;
    const char *complaint = version < 0 ? r->message : schema_complaint(version);
    if (migrate_judge(version, SCHEMA_NEWEST) == MIGRATE_NEWER) {
        log_error("cannot work with this database", log_str("why", complaint), log_int("schema", version),
                  log_int("known", SCHEMA_NEWEST));
        daemon_fail(run);
        return SCHEMA_NEVER;
    }
    if (*complaint) {
        ready_wait(run->ready, "schema", complaint);
        return SCHEMA_LATER;
    }
    ready_ok(run->ready, "schema");
    return SCHEMA_THERE;
}
