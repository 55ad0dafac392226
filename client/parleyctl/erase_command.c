/* erase_command.c: forgets a person: the router destroys the keys, the persister redacts; the command waits until both
 * have, and until all that the person said before was worked off. Then it is said once more: what the persister was
 * writing at that very moment is redacted too. */
#include "client/parleyctl/operate.h"

#include "common/im/ids.h"
#include "common/im/schema.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 60000
#define POLL_MS 100
#define OWN     "(1, 2, 4, 21, 40)" /* as in schema/sql/007_erasure.sql */

struct found { /* what there is of the person, in the read models */
    bool account, erased;
    int64_t messages, clear, devices, conversations, marks;
};

/* One row of numbers; $1 is the user, in hex. */
static bool numbers(PGconn *pg, const char *sql, struct id16 user, int64_t *out, int n)
{
    char hex[ID_HEX];
    const char *value = id_hex(user, hex);
    PGresult *r = PQexecParams(pg, sql, 1, NULL, &value, NULL, NULL, 0);
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 && PQnfields(r) == n;
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        ctl_complain("PostgreSQL: %s", PQerrorMessage(pg));
    for (int i = 0; ok && i < n; i++)
        out[i] = strtoll(PQgetvalue(r, 0, i), NULL, 10);
    PQclear(r);
    return ok;
}

static bool look(PGconn *pg, struct id16 user, struct found *f)
{
    static const char sql[] =
        "WITH u AS (SELECT decode($1, 'hex') AS id), said AS (SELECT m.key_id FROM u, memberships s, "
        "messages m "
        "WHERE s.user_id = u.id AND m.conv = s.conv AND m.sender = u.id AND m.kind IN " OWN
        " AND m.key_id <> -1) "
        "SELECT (SELECT count(*) FROM accounts, u WHERE user_id = u.id), "
        "(SELECT count(*) FROM erasures, u WHERE user_id = u.id), (SELECT count(*) FROM said), "
        "(SELECT count(*) FROM said WHERE key_id = 0), "
        "(SELECT count(*) FROM devices, u WHERE user_id = u.id AND device_id <> ''), "
        "(SELECT count(*) FROM memberships, u WHERE user_id = u.id), "
        "(SELECT count(*) FROM prefs, u WHERE user_id = u.id AND remark <> '')";
    int64_t v[7];
    if (!numbers(pg, sql, user, v, 7))
        return false;
    *f = (struct found){v[0] > 0, v[1] > 0, v[2], v[3], v[4], v[5], v[6]};
    return true;
}

static void show(const struct ctl *c, const char *login, const char *done, const struct found *f)
{
    if (c->json) {
        ctl_put(json_pack("{ss ss sI sI sI sI sI}", "login", login, "done", done, "messages",
                          (json_int_t)f->messages, "clear", (json_int_t)f->clear, "devices",
                          (json_int_t)f->devices, "conversations", (json_int_t)f->conversations, "remarks",
                          (json_int_t)f->marks));
        return;
    }
    printf("%s: %s: %" PRId64 " messages, edits and reactions in %" PRId64 " conversations, %" PRId64
           " devices, %" PRId64 " remarks\n",
           login, done, f->messages, f->conversations, f->devices, f->marks);
    if (f->clear)
        printf("  %" PRId64
               " of them were said in the clear: they are redacted everywhere, but im.conversation keeps "
               "them readable\n",
               f->clear);
}

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Has the persister worked off all that im.conversation held when this began? */
static bool passed(struct ctl *c, PGconn *pg, const int64_t *ends)
{
    const struct topic *t = topics_get(c->deploy.topics, T_CONVERSATION);
    PGresult *r =
        PQexec(pg, "SELECT part, next[1] FROM parley_marks WHERE present AND store = '" SCHEMA_STORE_CONV
                   "' ORDER BY part");
    int ok = 0;
    for (int i = 0; PQresultStatus(r) == PGRES_TUPLES_OK && i < PQntuples(r); i++) {
        long part = strtol(PQgetvalue(r, i, 0), NULL, 10);
        ok += part >= 0 && part < t->parts && strtoll(PQgetvalue(r, i, 1), NULL, 10) >= ends[part];
    }
    PQclear(r);
    for (int32_t p = 0; p < t->parts; p++)
        ok += ends[p] == 0; /* nothing was ever said there: no mark is needed */
    return ok >= t->parts;
}

static int await(struct ctl *c, PGconn *pg, struct id16 user)
{
    const struct topic *t = topics_get(c->deploy.topics, T_CONVERSATION);
    int64_t low, *ends = calloc((size_t)t->parts, sizeof *ends);
    int64_t until = clock_ms() + (c->timeout_ms > 0 ? c->timeout_ms : WAIT_MS);
    struct found f = {0};
    int rc = ends ? 0 : CTL_FAILED;
    for (int32_t p = 0; rc == 0 && p < t->parts; p++)
        if (kadmin_watermarks(c->admin, t->name, p, &low, &ends[p])) {
            ctl_complain("%s: %s", t->name, kadmin_error(c->admin));
            rc = CTL_FAILED;
        }
    while (rc == 0 && !(look(pg, user, &f) && f.erased && passed(c, pg, ends))) {
        if (clock_ms() > until || PQstatus(pg) != CONNECTION_OK) {
            ctl_complain(
                "the keys are destroyed, but the persister has not redacted everything yet.\n"
                "  Is it running? parleyctl lag tells how far it is. The same command again finishes it");
            rc = CTL_FAILED;
        } else {
            poll(NULL, 0, POLL_MS);
        }
    }
    free(ends);
    return rc;
}

static int say_erase(struct ctl *c, const char *login)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InErase erase = IM__IN_ERASE__INIT;
    m.body_case = IM__INBOUND__BODY_ERASE;
    m.erase = &erase;
    return operate(c, login, &m, IM__USER_KIND__USER_ERASED);
}

/* Until nothing is left; what is said twice is worked off by then. */
static int settle(struct ctl *c, PGconn *pg, struct id16 user)
{
    int64_t until = clock_ms() + (c->timeout_ms > 0 ? c->timeout_ms : WAIT_MS);
    struct found f = {.messages = 1};
    while (look(pg, user, &f) && f.messages && clock_ms() < until)
        poll(NULL, 0, POLL_MS);
    if (f.messages == 0)
        return CTL_OK;
    ctl_complain("%" PRId64 " messages are not redacted yet. The same command again finishes it", f.messages);
    return CTL_FAILED;
}

static int erase(struct ctl *c, PGconn *pg, const char *login, struct id16 user, const struct found *before)
{
    char question[256];
    snprintf(
        question, sizeof question,
        "Erase %s? Nobody can take it back: the messages are gone for ever, the name is never given again.",
        login);
    if (!ctl_sure(c, question))
        return CTL_FAILED;
    int rc = say_erase(c, login);
    if (!rc)
        rc = await(c, pg, user);
    if (!rc)
        rc = say_erase(c, login);
    if (!rc)
        rc = settle(c, pg, user);
    if (!rc)
        show(c, login, "erased", before);
    return rc;
}

static int run(struct ctl *c, int argc, char **argv)
{
    char login[LOGIN_MAX + 1];
    struct found f;
    if (argc != 3 || strcmp(argv[1], "user") != 0)
        return ctl_usage("erase user NAME [--dry-run]");
    if (login_normalise(argv[2], strlen(argv[2]), login)) {
        ctl_complain("\"%s\" is not a login name", argv[2]);
        return CTL_USAGE;
    }
    int rc = ctl_kafka(c);
    if (rc)
        return rc;
    struct id16 user = id_user(login);
    PGconn *pg = PQconnectdb(c->settings.deploy.postgres);
    if (PQstatus(pg) != CONNECTION_OK) {
        ctl_complain("PostgreSQL: %s", PQerrorMessage(pg));
        rc = CTL_FAILED;
    } else if (!look(pg, user, &f)) {
        rc = CTL_FAILED;
    } else if (!f.account) {
        ctl_complain("%s: there is no such account", login);
        rc = CTL_FAILED;
    } else if (c->dry_run) {
        show(c, login, f.erased ? "was erased; left are" : "would be erased", &f);
    } else {
        rc = erase(c, pg, login, user, &f);
    }
    PQfinish(pg);
    return rc;
}

const struct ctl_command ctl_erase = {
    .name = "erase",
    .about = "forgets a person: keys, texts, profile, queues; the name stays taken",
    .help = "Examples\n"
            "  parleyctl erase user alice --dry-run   what would go\n"
            "  parleyctl erase user alice             asks, then does it\n"
            "  parleyctl erase user alice --yes --json\n"
            "\n"
            "  All sessions end. The keys that alice's messages are sealed with are destroyed;\n"
            "  history, search words, profile, devices and queues are redacted. Places,\n"
            "  numbers and everybody else's messages stay. The name is never given again.\n"
            "  Done again, it finishes what was left.\n"
            "\n"
            "Arguments\n"
            "  user NAME            the account\n"
            "\n"
            "Exit codes\n"
            "  1 also: no such account, not confirmed, or not all of it is redacted yet\n",
    .run = run,
};
