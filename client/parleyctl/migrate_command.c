#include "client/parleyctl/ctl.h"

#include "common/im/schema.h"

#include <errno.h>

static void note(void *ctx, const char *line)
{
    ctl_say(ctx, "%s", line);
}

static const char *folder; /* NULL: the installed ones */

static int take(int option, const char *arg)
{
    (void)option;
    folder = arg;
    return 0;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct migrate_result r = {0};
    enum migrate_state st;
    (void)argv;
    if (argc != 1)
        return ctl_usage("migrate [--dir FOLDER WITH NNN_name.sql] [--dry-run]");
    int rc = ctl_load(c);
    if (rc)
        return rc;
    const char *where = c->settings.deploy.postgres;
    if (c->dry_run) {
        rc = migrate_check(&(struct migrate){.conninfo = where, .newest = SCHEMA_NEWEST}, &st, &r);
        if (!rc)
            ctl_say(c, "the schema is at %d, this release has %d: %s", r.before, SCHEMA_NEWEST,
                    migrate_state_name(st));
    } else {
        rc = schema_migrate(where, folder, note, c, &r);
        if (!rc)
            ctl_say(c, r.before == r.after ? "the schema is at %d already" : "the schema is at %d now",
                    r.after);
    }
    if (rc) {
        ctl_complain("%s%s", r.error,
                     rc == -EPROTO ? "\n  Use the release that made it, or a newer one."
                     : rc == -EIO  ? "\n  postgres.conninfo, or PARLEY_POSTGRES, says where PostgreSQL is."
                                   : "");
        return CTL_FAILED;
    }
    if (c->json)
        ctl_put(json_pack("{si si}", "before", r.before, "after", r.after));
    return CTL_OK;
}

static const struct option options[] = {{"dir", required_argument, NULL, CTL_OWN}, {0}};

const struct ctl_command ctl_migrate = {
    .name = "migrate",
    .about = "brings PostgreSQL to this release's schema",
    .help = "Examples\n"
            "  parleyctl migrate             the PostgreSQL schema; safe to repeat\n"
            "  parleyctl migrate --dry-run   where it stands\n"
            "\n"
            "Options\n"
            "  --dir FOLDER   where the NNN_name.sql files are\n"
            "\n"
            "A schema newer than this release is refused (1).\n",
    .options = options,
    .take = take,
    .run = run,
};
