/* parley-bench: the load generator and the floors it is measured against. */
#include "bench/bench.h"

#include "common/base/log.h"
#include "common/base/macros.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "parley-bench: how fast is it, against what the machine, Kafka and PostgreSQL can do?\n"
    "`make bench` runs all of it and prints a table; bench/README.md says what it means.\n"
    "\n"
    "  parley-bench load          clients against a running pipeline; every message checked\n"
    "  parley-bench group         one sends, thousands in one group receive; every number checked\n"
    "  parley-bench logins        logins by token, each on a connection of its own\n"
    "  parley-bench drain         the persister works off a backlog\n"
    "  parley-bench pages         pages of history by HISTORY_REQ\n"
    "  parley-bench log           messages straight into the log, to make history from\n"
    "  parley-bench accounts      thousands of accounts for these, quickly\n"
    "  parley-bench floor e0      echo over loopback, a frame there and a frame back\n"
    "  parley-bench floor kp      produce → delivery report\n"
    "  parley-bench floor kc      produce → consumed\n"
    "  parley-bench floor chain   three bare hops, and a reader that COPYs to PostgreSQL\n"
    "  parley-bench floor group   a bare loop of writev, with the receivers of `group`\n"
    "  parley-bench floor logins  connect, accept, echo, close\n"
    "  parley-bench floor copy    COPY into a table like messages\n"
    "  parley-bench floor page    a bare keyset SELECT of a page\n"
    "  parley-bench echo-server   the other end of e0, to be run by itself\n"
    "\n"
    "Each has --help. Results: one JSON object on stdout. Exit status: 0 good, 1 failed (a\n"
    "message lost, repeated, out of order; or something did not answer), 2 wrong usage.\n";

static const struct {
    const char *name, *floor;
    int (*fn)(int, char **);
} commands[] = {
    {"load", NULL, command_load},
    {"group", NULL, command_group},
    {"logins", NULL, command_logins},
    {"drain", NULL, command_drain},
    {"pages", NULL, command_pages},
    {"log", NULL, command_log},
    {"accounts", NULL, command_accounts},
    {"echo-server", NULL, command_echo_server},
    {"floor", "e0", command_floor_e0},
    {"floor", "kp", command_floor_kp},
    {"floor", "kc", command_floor_kc},
    {"floor", "chain", command_floor_chain},
    {"floor", "group", command_floor_group},
    {"floor", "logins", command_floor_logins},
    {"floor", "copy", command_floor_copy},
    {"floor", "page", command_floor_page},
};

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    log_setup(&(struct log_options){.process = "parley-bench", .level = LOG_ERRORS, .fd = 2});
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, argv[1]) != 0)
            continue;
        if (!commands[i].floor)
            return commands[i].fn(argc - 1, argv + 1);
        if (argc > 2 && !strcmp(commands[i].floor, argv[2]))
            return commands[i].fn(argc - 2, argv + 2);
    }
    int asked = argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
    fputs(help, asked ? stdout : stderr);
    return asked ? 0 : 2;
}
