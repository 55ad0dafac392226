#include "client/parleyctl/ctl.h"

#include "common/base/clock.h"
#include "common/im/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>

#define AGAIN_MS 250

static void note(void *ctx, const char *line)
{
    ctl_say(ctx, "%s", line);
}

static const char *folder; /* NULL: the installed ones */
static int64_t wait_s = CTL_WAIT_S;

static int take(int option, const char *arg)
{
    if (option != CTL_OWN)
        return ctl_number(arg, "--wait", 0, &wait_s);
    folder = arg;
    return 0;
}

/* Until PostgreSQL takes connections, or the time is over. A wrong password is no reason to wait. */
static void await_server(const struct ctl *c, const char *where)
{
    int64_t end = clock_mono_ms() + wait_s * 1000;
    for (bool told = false; wait_s > 0 && clock_mono_ms() < end; told = true) {
        PGPing p = PQping(where);
        if (p != PQPING_REJECT && p != PQPING_NO_RESPONSE)
            return;
        if (!told)
            ctl_say(c, "waiting for PostgreSQL, %" PRId64 " s at most: it %s", wait_s,
                    p == PQPING_REJECT ? "is starting" : "does not answer");
        poll(NULL, 0, AGAIN_MS);
    }
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
    if (!c->dry_run)
        await_server(c, where);
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

static const struct option options[] = {
    {"dir", required_argument, NULL, CTL_OWN}, {"wait", required_argument, NULL, CTL_OWN + 1}, {0}};

const struct ctl_command ctl_migrate = {
    .name = "migrate",
    .about = "brings PostgreSQL to this release's schema",
    .help = "Examples\n"
            "  parleyctl migrate             the PostgreSQL schema; safe to repeat\n"
            "  parleyctl migrate --dry-run   where it stands\n"
            "\n"
            "Options\n"
            "  --dir FOLDER      where the NNN_name.sql files are\n"
            "  --wait SECONDS    for a server that is starting; default: 60\n"
            "\n"
            "A schema newer than this release is refused (1).\n",
    .options = options,
    .take = take,
    .run = run,
};
