/* parleyctl: the operator's tool. */
#include "client/parleyctl/ctl.h"

#include "common/base/log.h"

#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Examples\n"
    "  parleyctl init --dir /etc/parley      a master key and parley.json, for you only\n"
    "  parleyctl topics create               all topics and the first commits; safe to repeat\n"
    "  parleyctl topics create --profile cluster --dry-run\n"
    "  parleyctl migrate                     the PostgreSQL schema\n"
    "  parleyctl user add alice              an account (asks for a password)\n"
    "  parleyctl user revoke alice           ends all her sessions and tokens\n"
    "  parleyctl tail inbound                what clients send, as it comes\n"
    "  parleyctl tail conversation --from beginning --until-end --json | jq .value\n"
    "  parleyctl lag                         how far each group is behind\n"
    "  parleyctl doctor                      what is wrong here, and what helps\n"
    "\n"
    "Commands\n"
    "  init                        new deployment: master.key and parley.json (0600)\n"
    "  topics create|check|list    Kafka topics from schema/topics.json. Never changes a\n"
    "                              partition count: keys would move\n"
    "  migrate                     brings PostgreSQL to this release's schema\n"
    "  user add NAME [SHOWN]       over the wire, as any client does\n"
    "  user admin NAME on|off      the right to announce to everybody\n"
    "  user revoke NAME            no session goes on, no token works; with --device N that\n"
    "                              device is dropped for good\n"
    "  tail TOPIC                  records as text or JSON; verifiers are never shown\n"
    "  lag [all]                   committed against written, per group\n"
    "  doctor                      checks key, Kafka, topics, PostgreSQL, schema, Redis\n"
    "\n"
    "Options\n"
    "  -c, --config FILE     default: $PARLEY_CONFIG, ./parley.json, /etc/parley/parley.json\n"
    "      --profile NAME    small or cluster, instead of topics.profile\n"
    "      --dry-run         say what would be done\n"
    "      --dir FOLDER      init: where to; migrate: where the .sql files are\n"
    "      --replication N   topics create: default the broker's, 3 in a cluster of 3\n"
    "      --reset-missing   topics create: lost commits of topics with records start over\n"
    "      --from WHERE      tail: beginning, end (default) or an offset\n"
    "  -n, --count N         tail: end after N records\n"
    "      --until-end       tail: end when all is shown\n"
    "  -s, --server ADDR     user add: edges; $PARLEY_SERVER; default 127.0.0.1:7000\n"
    "      --password-file F user add: first line; else $PARLEY_PASSWORD, else asked for\n"
    "      --device N        user revoke: only this one\n"
    "  -t, --timeout SECONDS for a broker or an edge to answer\n"
    "      --json            data as JSON, one object a line\n"
    "  -q, --quiet   -h, --help   -V, --version\n"
    "\n"
    "Data goes to stdout, everything else to stderr. PARLEY_KAFKA, PARLEY_POSTGRES and\n"
    "PARLEY_REDIS win over the file, as for every process.\n"
    "\n"
    "Exit codes\n"
    "  0 done, all well   1 failed, or something is wrong   2 usage or configuration\n";

static const struct {
    const char *name;
    int (*fn)(struct ctl *, int argc, char **argv);
} commands[] = {
    {"init", command_init}, {"topics", command_topics}, {"migrate", command_migrate}, {"user", command_user},
    {"tail", command_tail}, {"lag", command_lag},       {"doctor", command_doctor},
};

enum { O_PROFILE = 256, O_DRY, O_DIR, O_REPLICATION, O_RESET, O_FROM, O_UNTIL, O_PASSWORD, O_JSON, O_DEVICE };
static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"profile", required_argument, NULL, O_PROFILE},
    {"dry-run", no_argument, NULL, O_DRY},
    {"dir", required_argument, NULL, O_DIR},
    {"replication", required_argument, NULL, O_REPLICATION},
    {"reset-missing", no_argument, NULL, O_RESET},
    {"from", required_argument, NULL, O_FROM},
    {"count", required_argument, NULL, 'n'},
    {"until-end", no_argument, NULL, O_UNTIL},
    {"server", required_argument, NULL, 's'},
    {"password-file", required_argument, NULL, O_PASSWORD},
    {"device", required_argument, NULL, O_DEVICE},
    {"timeout", required_argument, NULL, 't'},
    {"json", no_argument, NULL, O_JSON},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

static long number(const char *text, const char *option)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (*end || end == text || v < 1 || v > 1000000000) {
        ctl_complain("%s needs a number, not \"%s\"", option, text);
        exit(CTL_USAGE);
    }
    return v;
}

static const char *profile(const char *text)
{
    if (!strcmp(text, "small") || !strcmp(text, "cluster"))
        return text;
    ctl_complain("--profile is small or cluster, not \"%s\"", text);
    exit(CTL_USAGE);
}

static void take_words(struct ctl *c, int o)
{
    switch (o) {
    case 'c':
        c->config = optarg;
        break;
    case O_PROFILE:
        c->profile = profile(optarg);
        break;
    case O_DIR:
        c->dir = optarg;
        break;
    case O_FROM:
        c->from = optarg;
        break;
    case 's':
        c->server = optarg;
        break;
    case O_PASSWORD:
        c->password_file = optarg;
        break;
    case O_REPLICATION:
        c->replication = (int)number(optarg, "--replication");
        break;
    case 'n':
        c->count = number(optarg, "--count");
        break;
    case O_DEVICE:
        c->device = number(optarg, "--device");
        break;
    case 't':
        c->timeout_ms = (int)(number(optarg, "--timeout") * 1000);
        break;
    default:
        fputs("parleyctl --help tells what there is.\n", stderr);
        exit(CTL_USAGE);
    }
}

static void take(struct ctl *c, int o)
{
    switch (o) {
    case O_DRY:
        c->dry_run = true;
        break;
    case O_RESET:
        c->reset_missing = true;
        break;
    case O_UNTIL:
        c->until_end = true;
        break;
    case O_JSON:
        c->json = true;
        break;
    case 'q':
        c->quiet = true;
        break;
    case 'h':
        fputs(help, stdout);
        exit(CTL_OK);
    case 'V':
        puts("parleyctl 1");
        exit(CTL_OK);
    default:
        take_words(c, o);
    }
}

int main(int argc, char **argv)
{
    static struct ctl c;
    int o, rc = CTL_USAGE;
    setlocale(LC_ALL, "");
    signal(SIGPIPE, SIG_IGN);
    log_setup(&(struct log_options){.process = "parleyctl", .level = LOG_ERRORS, .fd = 2});
    while ((o = getopt_long(argc, argv, "c:n:s:t:qhV", options, NULL)) != -1)
        take(&c, o);
    if (optind == argc) {
        fputs(help, stderr);
        return CTL_USAGE;
    }
    size_t i = 0;
    while (i < ARRAY_LEN(commands) && strcmp(commands[i].name, argv[optind]) != 0)
        i++;
    if (i < ARRAY_LEN(commands))
        rc = commands[i].fn(&c, argc - optind, argv + optind);
    else
        ctl_complain("there is no command \"%s\"; parleyctl --help tells what there is", argv[optind]);
    ctl_release(&c);
    return fflush(stdout) || ferror(stdout) ? CTL_FAILED : rc;
}
