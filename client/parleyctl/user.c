/* user.c: makes an account over the wire, as any client does: there is no other way in. What a client may not ask for goes
 * into the log by itself (operate.h). */
#include "client/parleyctl/operate.h"

#include "client/lib/parley.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *at_server, *password_file;
static int64_t only_device; /* 0: all */

struct asked {
    bool done;
    enum parley_code code;
    char detail[200];
};

static void registered(void *ctx, const char *login, enum parley_code code, const char *detail,
                       const uint8_t *user)
{
    struct asked *a = ctx;
    (void)login, (void)user;
    a->done = true;
    a->code = code;
    snprintf(a->detail, sizeof a->detail, "%s", detail);
}

static bool done(void *arg)
{
    return ((struct asked *)arg)->done;
}

/* From the file, the environment, else the first line of stdin (piped, or typed without echo). */
static char *password(void)
{
    const char *env = getenv("PARLEY_PASSWORD");
    static char line[512];
    if (!password_file && env && *env)
        return (snprintf(line, sizeof line, "%s", env), line);
    if (!password_file && isatty(STDIN_FILENO)) {
        const char *typed = getpass("Password for the new account: ");
        return typed ? (snprintf(line, sizeof line, "%s", typed), line) : NULL;
    }
    FILE *f = password_file ? fopen(password_file, "re") : stdin;
    if (!f || !fgets(line, sizeof line, f)) {
        ctl_complain("cannot read a password from %s", password_file ? password_file : "stdin");
        return NULL;
    }
    if (f != stdin)
        fclose(f);
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

static int said(struct ctl *c, int rc, const char *login, const char *what)
{
    if (rc == CTL_OK && c->json)
        ctl_put(json_pack("{ss ss}", "login", login, "done", what));
    else if (rc == CTL_OK)
        ctl_say(c, "%s: %s", login, what);
    return rc;
}

static int command_admin(struct ctl *c, int argc, char **argv)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InAdmin admin = IM__IN_ADMIN__INIT;
    if (argc != 4 || (strcmp(argv[3], "on") != 0 && strcmp(argv[3], "off") != 0))
        return ctl_usage("user admin NAME on|off");
    admin.on = strcmp(argv[3], "on") == 0;
    m.body_case = IM__INBOUND__BODY_ADMIN;
    m.admin = &admin;
    return said(c, operate(c, argv[2], &m, IM__USER_KIND__USER_ADMIN), argv[2],
                admin.on ? "may announce" : "may not announce");
}

static int command_revoke(struct ctl *c, int argc, char **argv)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InRevoke revoke = IM__IN_REVOKE__INIT;
    if (argc != 3)
        return ctl_usage("user revoke NAME [--device N]");
    revoke.device = (uint32_t)only_device;
    revoke.all = only_device == 0;
    m.body_case = IM__INBOUND__BODY_REVOKE;
    m.revoke = &revoke;
    Im__UserKind done = only_device ? IM__USER_KIND__USER_DEVICE_DROPPED : IM__USER_KIND__USER_TOKENS_REVOKED;
    return said(c, operate(c, argv[2], &m, done), argv[2],
                only_device ? "device dropped" : "all sessions ended, no token works");
}

static int command_add(struct ctl *c, int argc, char **argv)
{
    struct asked a = {0};
    const char *server = getenv("PARLEY_SERVER");
    if (argc < 3 || argc > 4)
        return ctl_usage("user add NAME [SHOWN NAME] [--server HOST:PORT] [--password-file F]");
    struct parley_options o = {.servers = at_server           ? at_server
                                          : server && *server ? server
                                                              : "127.0.0.1:7000",
                               .client = "parleyctl"};
    struct parley_callbacks cb = {.registered = registered};
    char *secret = password();
    if (!secret)
        return CTL_USAGE;
    struct parley *p = parley_new(&o, &cb, &a);
    if (!p) {
        ctl_complain("--server must be host:port[,host:port…]");
        return CTL_USAGE;
    }
    int rc = parley_register(p, argv[2], secret, argc > 3 ? argv[3] : "");
    explicit_bzero(secret, strlen(secret));
    if (!rc)
        rc = parley_wait(p, done, &a, c->timeout_ms > 0 ? c->timeout_ms : 30000);
    parley_free(p);
    if (rc) {
        ctl_complain("no edge answered at %s: %s", o.servers, strerror(-rc));
        return CTL_FAILED;
    }
    if (c->json)
        ctl_put(json_pack("{ss ss}", "login", argv[2], "code", parley_code_name(a.code)));
    else if (a.code)
        ctl_complain("%s: %s (%s)%s%s", argv[2], parley_code_text(a.code), parley_code_name(a.code),
                     *a.detail ? ": " : "", a.detail);
    else
        ctl_say(c, "added %s", argv[2]);
    return a.code ? CTL_FAILED : CTL_OK;
}

static int run(struct ctl *c, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*fn)(struct ctl *, int argc, char **argv);
    } verbs[] = {{"add", command_add}, {"admin", command_admin}, {"revoke", command_revoke}};
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].fn(c, argc, argv);
    return ctl_usage("user add|admin|revoke NAME …");
}

static int take(int option, const char *arg)
{
    switch (option) {
    case CTL_OWN:
        at_server = arg;
        return 0;
    case CTL_OWN + 1:
        password_file = arg;
        return 0;
    default:
        return ctl_number(arg, "--device", 1, &only_device);
    }
}

static const struct option options[] = {{"server", required_argument, NULL, CTL_OWN},
                                        {"password-file", required_argument, NULL, CTL_OWN + 1},
                                        {"device", required_argument, NULL, CTL_OWN + 2},
                                        {0}};

const struct ctl_command ctl_user = {
    .name = "user",
    .about = "makes an account, gives it the admin right, ends its sessions",
    .help = "Examples\n"
            "  parleyctl user add alice \"Alice B.\"   an account (asks for a password)\n"
            "  parleyctl user admin alice on          she may announce to everybody\n"
            "  parleyctl user revoke alice            ends all her sessions and tokens\n"
            "  parleyctl user revoke alice --device 2\n"
            "\n"
            "Verbs\n"
            "  add NAME [SHOWN]     over the wire, as any client does\n"
            "  admin NAME on|off    the right to announce to everybody\n"
            "  revoke NAME          no session goes on, no token works; with --device N that\n"
            "                       device is dropped for good\n"
            "\n"
            "Options\n"
            "  --server ADDR        add: edges; $PARLEY_SERVER; default 127.0.0.1:7000\n"
            "  --password-file F    add: first line; else $PARLEY_PASSWORD, else asked for\n"
            "  --device N           revoke: only this one\n",
    .options = options,
    .take = take,
    .run = run,
};
