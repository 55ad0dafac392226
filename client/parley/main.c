/* parley: the terminal client. */
#include "client/parley/commands.h"

#include "client/parley/run.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Examples\n"
    "  parley register alice                 make an account (asks for a password)\n"
    "  parley --user alice login             log in once; the token is kept\n"
    "  parley                                talk: type, :to bob, :help, :q\n"
    "  parley send bob 'on my way'           from a script; ends when it is durable\n"
    "  date | parley send bob                text from stdin\n"
    "  parley send --wait sequenced bob hi   … when it has its place in the conversation\n"
    "  parley listen --json | jq .text       one object a line, as messages come\n"
    "  parley exists bob && echo yes\n"
    "\n"
    "Commands\n"
    "  chat [NAME]            talk interactively (the default)\n"
    "  register NAME [SHOWN]  make an account\n"
    "  login [NAME]           log in with a password and keep the token\n"
    "  send TO [TEXT…]        send one message\n"
    "  listen                 print messages as they come, until interrupted\n"
    "  pull                   print what is waiting for this device, and end\n"
    "  exists NAME            is there such an account?\n"
    "\n"
    "Options\n"
    "  -s, --server HOST:PORT[,HOST:PORT]  edges; PARLEY_SERVER; default 127.0.0.1:7000\n"
    "  -u, --user NAME        who you are; PARLEY_USER; default: the last log-in\n"
    "  -d, --device NAME      which device; PARLEY_DEVICE; default terminal\n"
    "      --password-file F  first line is the password; else PARLEY_PASSWORD, else\n"
    "                         it is asked for. Never an argument: others see those\n"
    "      --json             data as JSON, one object a line\n"
    "  -w, --wait STAGE       send: accepted (durable; the default) or sequenced (has\n"
    "                         its place in the conversation)\n"
    "  -n, --count N          listen: end after N messages\n"
    "  -t, --timeout SECONDS  give up after; default 30; listen and chat: never\n"
    "      --no-state         keep nothing in $XDG_STATE_HOME/parley\n"
    "  -q, --quiet            no messages but errors\n"
    "  -h, --help   -V, --version\n"
    "\n"
    "Data goes to stdout, everything else to stderr. Colours only on a terminal, and\n"
    "not when NO_COLOR is set.\n"
    "\n"
    "Exit codes\n"
    "  0 done   1 the answer is no (no such account, refused, name taken)   2 usage\n"
    "  3 log-in refused   4 no server, or no answer in time: try again\n"
    "  5 trouble on this machine\n";

static const struct {
    const char *name;
    int (*fn)(struct settings *, int argc, char **argv);
    bool endless;
} commands[] = {
    {"chat", command_chat, true},      {"register", command_register, false}, {"login", command_login, false},
    {"send", command_send, false},     {"listen", command_listen, true},      {"pull", command_pull, false},
    {"exists", command_exists, false},
};

static long number(const char *text, const char *option)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (*end || end == text || v < 0 || v > 1000000) {
        complain("%s needs a number, not \"%s\"", option, text);
        exit(EXIT_USAGE);
    }
    return v;
}

#define SHORT_OPTIONS "s:u:d:w:n:t:qhV"
enum { O_PASSWORD = 256, O_JSON, O_NO_STATE };
static const struct option options[] = {
    {"server", required_argument, NULL, 's'},
    {"user", required_argument, NULL, 'u'},
    {"device", required_argument, NULL, 'd'},
    {"password-file", required_argument, NULL, O_PASSWORD},
    {"json", no_argument, NULL, O_JSON},
    {"wait", required_argument, NULL, 'w'},
    {"count", required_argument, NULL, 'n'},
    {"timeout", required_argument, NULL, 't'},
    {"no-state", no_argument, NULL, O_NO_STATE},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

static void take(struct settings *s, int o)
{
    switch (o) {
    case 's':
        snprintf(s->servers, sizeof s->servers, "%s", optarg);
        break;
    case 'u':
        snprintf(s->user, sizeof s->user, "%s", optarg);
        break;
    case 'd':
        s->device = optarg;
        break;
    case O_PASSWORD:
        s->password_file = optarg;
        break;
    case O_JSON:
        s->json = true;
        break;
    case 'w':
        s->wait = !strcmp(optarg, "sequenced");
        if (!s->wait && strcmp(optarg, "accepted") != 0) {
            complain("--wait is accepted or sequenced, not \"%s\"", optarg);
            exit(EXIT_USAGE);
        }
        break;
    case 'n':
        s->count = number(optarg, "--count");
        break;
    case 't':
        s->timeout_ms = (int)number(optarg, "--timeout") * 1000;
        break;
    case O_NO_STATE:
        s->no_state = true;
        break;
    case 'q':
        s->quiet = true;
        break;
    case 'h':
        fputs(help, stdout);
        exit(EXIT_FINE);
    case 'V':
        puts("parley 1");
        exit(EXIT_FINE);
    default:
        fputs("parley --help tells what there is.\n", stderr);
        exit(EXIT_USAGE);
    }
}

int main(int argc, char **argv)
{
    static struct settings s;
    int o;
    setlocale(LC_ALL, "");
    settings_init(&s);
    s.timeout_ms = -2;
    while ((o = getopt_long(argc, argv, "+" SHORT_OPTIONS, options, NULL)) != -1)
        take(&s, o);
    char chat[] = "chat", *one[] = {chat, NULL}, **args = one;
    int n = 1;
    if (optind < argc) { /* options after the command, but not among the words of a message */
        char *name = argv[optind];
        const char *shorts = strcmp(name, "send") ? SHORT_OPTIONS : "+" SHORT_OPTIONS;
        args = argv + optind;
        n = argc - optind;
        optind = 0;
        while ((o = getopt_long(n, args, shorts, options, NULL)) != -1)
            take(&s, o);
        args += optind - 1;
        n -= optind - 1;
        args[0] = name;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, args[0]) != 0)
            continue;
        if (s.timeout_ms == -2)
            s.timeout_ms = commands[i].endless ? -1 : 30000;
        run_catch_signals();
        int rc = settings_finish(&s);
        return rc ? rc : commands[i].fn(&s, n, args);
    }
    complain("there is no command \"%s\"; parley --help tells what there is", args[0]);
    return EXIT_USAGE;
}
