/* send_command.c: one message from the shell, and how far up the ladder of acknowledgements it got. */
#include "client/parleyctl/ctl.h"

#include "client/lib/parley.h"
#include "common/base/clock.h"
#include "common/base/hex.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS   30000
#define LINGER_MS 2000

enum rung { RUNG_ACCEPTED, RUNG_SEQUENCED, RUNG_DELIVERED, RUNGS };
static const char *const rungs[RUNGS] = {"accepted", "sequenced", "delivered"};

static struct {
    const char *from, *server, *password_file, *state_file;
    enum rung wait;
} asked = {.wait = RUNG_SEQUENCED};

struct sending {
    struct ctl *c;
    int64_t id, begin_us;
    bool got[RUNGS], ended, refused;
    enum parley_code code;
    uint64_t seq, client_seq;
    uint8_t conversation[PARLEY_ID];
};

static void rung(struct sending *s, enum rung r)
{
    if (s->got[r])
        return;
    s->got[r] = true;
    double ms = (double)(clock_mono_us() - s->begin_us) / 1000;
    if (s->c->json)
        ctl_put(json_pack("{ss sf sI}", "stage", rungs[r], "after_ms", ms, "seq", (json_int_t)s->seq));
    else
        printf("%-10s after %.1f ms%s", rungs[r], ms, r == RUNG_SEQUENCED ? "" : "\n");
    if (!s->c->json && r == RUNG_SEQUENCED)
        printf(", number %" PRIu64 "\n", s->seq);
    fflush(stdout);
}

static void sent(void *ctx, const struct parley_sent *e)
{
    struct sending *s = ctx;
    if ((int64_t)e->id != s->id)
        return;
    s->client_seq = e->client_seq;
    if (e->stage == PARLEY_NOT_SENT) {
        s->refused = s->ended = true;
        s->code = e->code;
        return;
    }
    rung(s, RUNG_ACCEPTED);
    if (e->stage == PARLEY_SEQUENCED) {
        s->seq = e->seq;
        memcpy(s->conversation, e->conversation, PARLEY_ID);
        rung(s, RUNG_SEQUENCED);
    }
}

/* A device of the other one has it. */
static void receipt(void *ctx, const struct parley_receipt *r)
{
    struct sending *s = ctx;
    if (!s->seq || r->own || memcmp(r->conversation, s->conversation, PARLEY_ID) != 0)
        return;
    if (r->delivered >= s->seq || r->read >= s->seq)
        rung(s, RUNG_DELIVERED);
}

static void state(void *ctx, enum parley_state st, enum parley_code why, const char *detail)
{
    struct sending *s = ctx;
    (void)detail;
    if (st == PARLEY_ENDED && !s->ended) {
        s->ended = true;
        s->code = why;
    }
}

static bool done(void *arg)
{
    const struct sending *s = arg;
    return s->ended || s->got[asked.wait];
}

static const char *password(void)
{
    const char *env = getenv("PARLEY_PASSWORD");
    static char line[512];
    if (!asked.password_file && env && *env)
        return env;
    if (!asked.password_file && isatty(STDIN_FILENO))
        return getpass("Password: ");
    FILE *f = asked.password_file ? fopen(asked.password_file, "re") : stdin;
    bool ok = f && fgets(line, sizeof line, f);
    if (f && f != stdin)
        fclose(f);
    line[strcspn(line, "\r\n")] = '\0';
    return ok ? line : NULL;
}

/* A group by its 32 digits, else a person. */
static int64_t say(struct parley *p, const char *to, const char *text)
{
    uint8_t conv[PARLEY_ID];
    if (strlen(to) == 2 * (size_t)PARLEY_ID && hex_decode(conv, PARLEY_ID, to) == 0)
        return parley_send_group(p, conv, text);
    return parley_send_text(p, to, text);
}

static int converse(struct sending *s, struct parley *p, const char *secret, const char *to, const char *text)
{
    int rc = parley_login(p, asked.from, secret);
    s->begin_us = clock_mono_us();
    s->id = rc ? rc : say(p, to, text);
    if (s->id <= 0) {
        ctl_complain("cannot send that: %s", strerror((int)-s->id));
        return CTL_USAGE;
    }
    rc = parley_wait(p, done, s, s->c->timeout_ms > 0 ? s->c->timeout_ms : WAIT_MS);
    if (s->got[asked.wait]) {
        parley_stop(p, LINGER_MS);
        while (parley_run_once(p, LINGER_MS) == 0)
            ;
        return CTL_OK;
    }
    if (s->refused || s->ended)
        ctl_complain("%s: %s (%s)", s->refused ? "not sent" : "the log-in was refused",
                     parley_code_text(s->code), parley_code_name(s->code));
    else if (s->got[RUNG_ACCEPTED])
        ctl_complain("it is safe in the log, but not %s in time; parleyctl trace %s:%" PRIu64
                     " tells where it is",
                     rungs[asked.wait], asked.from, s->client_seq);
    else
        ctl_complain("no edge took it in time; is one running at %s?", asked.server);
    return CTL_FAILED;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct sending s = {.c = c};
    const char *env = getenv("PARLEY_SERVER");
    if (argc != 3 || !asked.from)
        return ctl_usage("send --from ACCOUNT TO TEXT [--wait accepted|sequenced|delivered]");
    asked.server = asked.server ? asked.server : env && *env ? env : "127.0.0.1:7000";
    if (c->dry_run) {
        ctl_say(c, "would send %zu bytes from %s to %s by %s", strlen(argv[2]), asked.from, argv[1],
                asked.server);
        return CTL_OK;
    }
    struct parley_options o = {.servers = asked.server,
                               .client = "parleyctl",
                               .device_class = "operator",
                               .device_id = asked.state_file ? NULL : "parleyctl",
                               .state_file = asked.state_file};
    struct parley_callbacks cb = {.sent = sent, .receipt = receipt, .state = state};
    const char *secret = password();
    if (!secret) {
        ctl_complain("cannot read a password; $PARLEY_PASSWORD, --password-file or the first line of stdin");
        return CTL_USAGE;
    }
    struct parley *p = parley_new(&o, &cb, &s);
    if (!p) {
        ctl_complain("--server must be host:port[,host:port…]%s",
                     errno == EINVAL ? "" : "; the state file cannot be used");
        return CTL_USAGE;
    }
    int rc = converse(&s, p, secret, argv[1], argv[2]);
    parley_free(p);
    return rc;
}

static int take(int option, const char *arg)
{
    switch (option) {
    case CTL_OWN:
        asked.from = arg;
        return 0;
    case CTL_OWN + 1:
        asked.server = arg;
        return 0;
    case CTL_OWN + 2:
        asked.password_file = arg;
        return 0;
    case CTL_OWN + 3:
        asked.state_file = arg;
        return 0;
    default:
        for (size_t i = 0; i < RUNGS; i++)
            if (!strcmp(arg, rungs[i]))
                return (asked.wait = (enum rung)i, 0);
        ctl_complain("--wait is accepted, sequenced or delivered, not \"%s\"", arg);
        return CTL_USAGE;
    }
}

static const struct option options[] = {{"from", required_argument, NULL, CTL_OWN},
                                        {"server", required_argument, NULL, CTL_OWN + 1},
                                        {"password-file", required_argument, NULL, CTL_OWN + 2},
                                        {"state-file", required_argument, NULL, CTL_OWN + 3},
                                        {"wait", required_argument, NULL, CTL_OWN + 4},
                                        {0}};

const struct ctl_command ctl_send = {
    .name = "send",
    .about = "one message, and how far it got",
    .help = "Examples\n"
            "  parleyctl send --from alice bob \"hello\"   until it has its number\n"
            "  parleyctl send --from alice bob hello --wait delivered --json\n"
            "  parleyctl send --from alice 0f3c…9a \"to a group\"\n"
            "\n"
            "Logs in over the wire as any client does, as the device \"parleyctl\" of the\n"
            "account. Each rung of the ladder is told with its time: accepted (in Kafka),\n"
            "sequenced (has its number), delivered (a device of the other one has it).\n"
            "\n"
            "Options\n"
            "  --from ACCOUNT       who sends\n"
            "  --wait RUNG          accepted, sequenced (default) or delivered: exit 1 when it\n"
            "                       does not come within --timeout (30 s)\n"
            "  --server ADDR        edges; $PARLEY_SERVER; default 127.0.0.1:7000\n"
            "  --password-file F    first line; else $PARLEY_PASSWORD, else asked for\n"
            "  --state-file F       be another device, the one of this file\n",
    .options = options,
    .take = take,
    .run = run,
};
