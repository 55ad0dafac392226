#include "common/im/schema.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

int schema_migrate(const char *conninfo, const char *dir, void (*note)(void *ctx, const char *line),
                   void *ctx, struct migrate_result *result)
{
    char found[PATH_MAX];
    int rc = migrate_find(dir, found, sizeof found);
    if (rc) {
        memset(result, 0, sizeof *result);
        snprintf(result->error, sizeof result->error, "no migrations in %s",
                 dir && *dir ? dir : "schema/sql or the installed share/parley/schema/sql");
        return rc;
    }
    const struct migrate m = {
        .conninfo = conninfo, .dir = found, .newest = SCHEMA_NEWEST, .note = note, .ctx = ctx};
    return migrate_apply(&m, result);
}

const char *schema_complaint(int version)
{
    switch (migrate_judge(version, SCHEMA_NEWEST)) {
    case MIGRATE_CURRENT:
        return "";
    case MIGRATE_MISSING:
        return "the database has no tables yet; " SCHEMA_HELP;
    case MIGRATE_OLDER:
        return "the database has an older schema; " SCHEMA_HELP;
    case MIGRATE_NEWER:
        break;
    }
    return "the database has a newer schema than this program; upgrade the program";
}
