/* trace_command.c: where is a message, and how did it get there? */
#include "client/parleyctl/trace.h"
#include "client/parleyctl/when.h"

#include "common/base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_S 600

static struct {
    int64_t window_s;
    const char *since, *until;
    bool no_fold, no_stores;
} asked = {.window_s = WINDOW_S};

int64_t trace_begin(const struct trace *t)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < t->n_frames; i++)
        at = t->frames[i].time_ms < at ? t->frames[i].time_ms : at;
    for (size_t i = 0; i < t->n_records; i++)
        at = t->records[i].time_ms < at ? t->records[i].time_ms : at;
    return at;
}

static int all(struct trace *t)
{
    int rc = trace_find(t);
    if (rc)
        return CTL_FAILED;
    if (!t->n_frames && !t->n_records) {
        ctl_complain("nothing of it in im.inbound (which keeps 7 days) nor in im.conversation%s",
                     asked.since || asked.until ? " between these times" : "");
        return CTL_FAILED;
    }
    trace_judge_by_row(t);
    if (trace_judge(t))
        return CTL_FAILED;
    trace_frames_told(t);
    if (t->n_records && trace_after(t))
        return CTL_FAILED;
    if (!asked.no_stores)
        trace_stores(t);
    if (t->window_ms && t->n_records && clock_wall_ms() - trace_begin(t) > t->window_ms)
        ctl_say(t->c, "Deliveries within %" PRId64 " s were looked for; --window 0 looks to the end.",
                asked.window_s);
    trace_show(t);
    return CTL_OK;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct trace t = {
        .c = c, .window_ms = asked.window_s * 1000, .until_ms = INT64_MAX, .no_fold = asked.no_fold};
    if (argc != 2 || !trace_parse(argv[1], &t.ask))
        return ctl_usage("trace MSGID | ACCOUNT[/DEVICE]:NUMBER | ACCOUNT~ACCOUNT:SEQ | CONVERSATION:SEQ");
    if ((asked.since && when_option(asked.since, "--since", &t.since_ms)) ||
        (asked.until && when_option(asked.until, "--until", &t.until_ms)))
        return CTL_USAGE;
    int rc = ctl_kafka(c);
    if (rc)
        return rc;
    t.scan = scan_new(c);
    if (!t.scan)
        return CTL_FAILED;
    if (!asked.no_stores)
        trace_stores_open(&t);
    rc = all(&t);
    trace_stores_close(&t);
    scan_free(t.scan);
    conv_free(t.fold);
    for (size_t i = 0; i < t.n_hops; i++)
        json_decref(t.hops[i].json);
    free(t.hops);
    return rc;
}

static int take(int option, const char *arg)
{
    switch (option) {
    case CTL_OWN:
        asked.since = arg;
        return 0;
    case CTL_OWN + 1:
        asked.until = arg;
        return 0;
    case CTL_OWN + 2:
        return ctl_number(arg, "--window", 0, &asked.window_s);
    case CTL_OWN + 3:
        asked.no_fold = true;
        return 0;
    default:
        asked.no_stores = true;
        return 0;
    }
}

static const struct option options[] = {
    {"since", required_argument, NULL, CTL_OWN},      {"until", required_argument, NULL, CTL_OWN + 1},
    {"window", required_argument, NULL, CTL_OWN + 2}, {"no-fold", no_argument, NULL, CTL_OWN + 3},
    {"log-only", no_argument, NULL, CTL_OWN + 4},     {0}};

const struct ctl_command ctl_trace = {
    .name = "trace",
    .about = "every hop of one message, with times",
    .help = "Examples\n"
            "  parleyctl trace alice~bob:17      number 17 of their conversation\n"
            "  parleyctl trace alice:1041        what alice's device numbered 1041\n"
            "  parleyctl trace 3f0c…9a --json    by message id, one object a hop\n"
            "  parleyctl trace alice~bob:17 --log-only   ask no store, compute it\n"
            "\n"
            "The message, one of\n"
            "  MSGID                 32 hexadecimal digits, from MSG_ACK, a push or a log line\n"
            "  ACCOUNT:NUMBER        the sender's own number (client_seq), of any device;\n"
            "                        ACCOUNT/DEVICE:NUMBER of that device\n"
            "  ACCOUNT~ACCOUNT:SEQ   its place in the conversation of the two (a comma will do)\n"
            "  CONVERSATION:SEQ      its place in any conversation, 32 digits\n"
            "\n"
            "Everything comes from the topics; PostgreSQL and Redis are asked last and may be\n"
            "away. An id alone does not say where to look: im.inbound and im.conversation are\n"
            "then read backwards from now, so --since and --until save time. Without a row in\n"
            "PostgreSQL the outcome is computed from the conversation's partition, from its\n"
            "beginning.\n"
            "\n"
            "Options\n"
            "  --since T, --until T   2026-05-01T12:00:00Z, Unix milliseconds, or 2h, 30m, 7d\n"
            "                         ago: when it was sent\n"
            "  --window SECONDS       how long after it deliveries are looked for; 0: to the\n"
            "                         end; default 600. Confirmations: always to the end\n"
            "  --no-fold              do not compute the outcome\n"
            "  --log-only             ask neither PostgreSQL nor Redis\n"
            "\n"
            "Exit code 1 when there is no such message.\n",
    .options = options,
    .take = take,
    .run = run,
};
