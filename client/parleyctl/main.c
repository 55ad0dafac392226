/* parleyctl: the operator's tool. */
#include "client/parleyctl/ctl.h"

#include "common/base/log.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct ctl_command *const commands[] = {
    &ctl_init,
    &ctl_topics,
    &ctl_migrate,
    &ctl_user,
    &ctl_erase,
    &ctl_vault,
    &ctl_tail,
    &ctl_send,
    &ctl_lag,
    &ctl_doctor,
    &ctl_ready,
    &ctl_rebuild_history,
    &ctl_rebuild_queues,
    &ctl_rebuild_accounts,
    &ctl_rebuild_checkpoints,
    &ctl_fold,
    &ctl_export,
    &ctl_import,
    &ctl_trace,
    &ctl_dlq_list,
    &ctl_dlq_show,
    &ctl_dlq_retry,
    &ctl_dlq_drop,
    &ctl_webhooks,
};

static const char head[] =
    "Examples\n"
    "  parleyctl init --dir /etc/parley      a master key and parley.json, for you only\n"
    "  parleyctl topics create               all topics and the first commits\n"
    "  parleyctl user add alice              an account (asks for a password)\n"
    "  parleyctl tail inbound                what clients send, as it comes\n"
    "  parleyctl doctor                      what is wrong here, and what helps\n"
    "\n"
    "Commands (parleyctl COMMAND --help tells more)\n";
static const char common_help[] =
    "\n"
    "Options of every command\n"
    "  -c, --config FILE     default: $PARLEY_CONFIG, ./parley.json, /etc/parley/parley.json\n"
    "      --profile NAME    small or cluster, instead of topics.profile\n"
    "  -t, --timeout SECONDS for a broker or an edge to answer\n"
    "      --dry-run         say what would be done\n"
    "  -y, --yes             do not ask\n"
    "      --json            data as JSON, one object a line\n"
    "  -q, --quiet   -h, --help   -V, --version\n"
    "\n"
    "Data goes to stdout, everything else to stderr. PARLEY_KAFKA, PARLEY_POSTGRES and\n"
    "PARLEY_REDIS win over the file, as for every process.\n"
    "\n"
    "Exit codes\n"
    "  0 done, all well   1 failed, or something is wrong   2 usage or configuration\n";

enum { O_PROFILE = 256, O_DRY, O_JSON };
#define COMMON_SHORT "c:t:yqhV"
static const struct option common_options[] = {
    {"config", required_argument, NULL, 'c'},  {"profile", required_argument, NULL, O_PROFILE},
    {"timeout", required_argument, NULL, 't'}, {"dry-run", no_argument, NULL, O_DRY},
    {"yes", no_argument, NULL, 'y'},           {"json", no_argument, NULL, O_JSON},
    {"quiet", no_argument, NULL, 'q'},         {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
};
#define OPTIONS_MAX 64

static void show_help(FILE *to, const struct ctl_command *command)
{
    if (command) {
        fputs(command->help, to);
    } else {
        fputs(head, to);
        for (size_t i = 0; i < ARRAY_LEN(commands); i++)
            fprintf(to, "  %-20s %s\n", commands[i]->name, commands[i]->about);
    }
    fputs(common_help, to);
}

static int take_profile(struct ctl *c, const char *text)
{
    c->profile = text;
    if (!strcmp(text, "small") || !strcmp(text, "cluster"))
        return 0;
    ctl_complain("--profile is small or cluster, not \"%s\"", text);
    return CTL_USAGE;
}

static int take_timeout(struct ctl *c, const char *text)
{
    int64_t seconds;
    int rc = ctl_number(text, "--timeout", 1, &seconds);
    c->timeout_ms = seconds > 86400 ? 86400000 : (int)seconds * 1000;
    return rc;
}

/* 0, or CTL_USAGE. */
static int take(struct ctl *c, const struct ctl_command *command, int o)
{
    switch (o) {
    case 'c':
        c->config = optarg;
        return 0;
    case O_PROFILE:
        return take_profile(c, optarg);
    case 't':
        return take_timeout(c, optarg);
    case O_DRY:
        return (c->dry_run = true, 0);
    case 'y':
        return (c->yes = true, 0);
    case O_JSON:
        return (c->json = true, 0);
    case 'q':
        return (c->quiet = true, 0);
    case 'h':
        show_help(stdout, command);
        exit(fflush(stdout) ? CTL_FAILED : CTL_OK);
    case 'V':
        puts("parleyctl 1");
        exit(CTL_OK);
    default:
        if (o >= CTL_OWN)
            return command->take(o, optarg);
        fprintf(stderr, "parleyctl %s%s--help tells what there is.\n", command ? command->name : "",
                command ? " " : "");
        return CTL_USAGE;
    }
}

/* The common options, and with a command its own; before the command only common ones may stand. */
static int take_all(struct ctl *c, const struct ctl_command *command, int argc, char **argv)
{
    struct option all[OPTIONS_MAX + 1] = {{0}};
    size_t n = ARRAY_LEN(common_options);
    int o, rc = 0;
    memcpy(all, common_options, sizeof common_options);
    for (const struct option *own = command ? command->options : NULL; own && own->name && n < OPTIONS_MAX;
         own++)
        all[n++] = *own;
    optind = command ? 0 : 1; /* 0: getopt begins anew */
    while (!rc && (o = getopt_long(argc, argv, command ? COMMON_SHORT : "+" COMMON_SHORT, all, NULL)) != -1)
        rc = take(c, command, o);
    return rc;
}

/* A command may have two words ("rebuild history"). */
static const struct ctl_command *find(const char *const *argv, int argc, int *words)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const char *name = commands[i]->name, *blank = strchr(name, ' ');
        size_t first = blank ? (size_t)(blank - name) : strlen(name);
        *words = blank ? 2 : 1;
        if (strlen(argv[0]) == first && !strncmp(name, argv[0], first) &&
            (!blank || (argc > 1 && !strcmp(argv[1], blank + 1))))
            return commands[i];
    }
    return NULL;
}

/* The first word of commands of two: tells them. False: it is of none. */
static bool tell_second(const char *first, FILE *to)
{
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const char *blank = strchr(commands[i]->name, ' ');
        if (!blank || strlen(first) != (size_t)(blank - commands[i]->name) ||
            strncmp(first, commands[i]->name, strlen(first)) != 0)
            continue;
        any = true;
        fprintf(to, "  parleyctl %-22s %s\n", commands[i]->name, commands[i]->about);
    }
    return any;
}

static int no_command(const char *const *argv, int argc)
{
    bool asked = argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
    if (tell_second(argv[0], asked ? stdout : stderr))
        return asked ? CTL_OK : CTL_USAGE;
    ctl_complain("there is no command \"%s\"; parleyctl --help tells what there is", argv[0]);
    return CTL_USAGE;
}

int main(int argc, char **argv)
{
    static struct ctl c;
    setlocale(LC_ALL, "");
    signal(SIGPIPE, SIG_IGN);
    log_setup(&(struct log_options){.process = "parleyctl", .level = LOG_ERRORS, .fd = 2});
    if (take_all(&c, NULL, argc, argv))
        return CTL_USAGE;
    if (optind == argc) {
        show_help(stderr, NULL);
        return CTL_USAGE;
    }
    int words;
    argc -= optind;
    argv += optind;
    const struct ctl_command *command = find((const char *const *)argv, argc, &words);
    if (!command)
        return no_command((const char *const *)argv, argc);
    argc -= words - 1;
    argv += words - 1;
    if (take_all(&c, command, argc, argv))
        return CTL_USAGE;
    argv[optind - 1] = argv[0];
    int rc = command->run(&c, argc - optind + 1, argv + optind - 1);
    ctl_release(&c);
    return fflush(stdout) || ferror(stdout) ? CTL_FAILED : rc;
}
