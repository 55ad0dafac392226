/* parley: the terminal client. */
#include "client/parley/commands.h"
#include "client/parley/help.h"
#include "client/parley/run.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_line(void *arg, const char *text)
{
    (void)arg;
    puts(text);
}

/* A command with a life of its own (register, login, listen, chat …). */
static int shell(struct settings *s, const struct command *cmd, int argc, char **argv)
{
    struct options o;
    struct args a;
    char err[300], usage[300];
    int at = options_read(s, &o, cmd, argc, argv, err, sizeof err);
    bool fine = at >= 0 && (o.help || args_read(cmd, false, argc - at, argv + at, &a, err, sizeof err));
    help_usage(usage, sizeof usage, cmd, false);
    if (!fine) {
        complain("%s. Usage: %s", err, usage);
        return EXIT_USAGE;
    }
    if (o.help) {
        printf("%s\n  %s\n", usage, cmd->help);
        return EXIT_FINE;
    }
    if (s->timeout_ms == TIMEOUT_DEFAULT)
        s->timeout_ms = cmd->shell == shell_listen || cmd->shell == shell_chat ? -1 : 30000;
    int rc = settings_finish(s);
    return rc ? rc : cmd->shell(s, &o, argc - at, argv + at);
}

int main(int argc, char **argv)
{
    static struct settings s;
    struct options o;
    char err[300];
    int used = 0;
    setlocale(LC_ALL, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) /* messages are UTF-8, and their width is needed */
        setlocale(LC_CTYPE, "C.UTF-8");
    settings_init(&s);
    if (argc == 2 && !strcmp(argv[1], "--help-markdown")) { /* for docs/commands.md */
        help_markdown(put_line, NULL);
        return EXIT_FINE;
    }
    int at = options_read(&s, &o, NULL, argc, argv, err, sizeof err);
    if (at < 0) {
        complain("%s; parley --help tells what there is", err);
        return EXIT_USAGE;
    }
    if (s.version) {
        puts("parley 1");
        return EXIT_FINE;
    }
    if (o.help) {
        help_all(false, false, put_line, NULL);
        return EXIT_FINE;
    }
    char chat[] = "chat", *one[] = {chat, NULL}, **words = at < argc ? argv + at : one;
    int n = at < argc ? argc - at : 1;
    const struct command *cmd = command_find(words, n, false, &used);
    if (!cmd) {
        complain("there is no command \"%s\"; parley --help tells what there is", words[0]);
        return EXIT_USAGE;
    }
    run_catch_signals();
    if (!cmd->shell)
        return session_shell(&s, cmd, n - used, words + used);
    return shell(&s, cmd, n - used + 1, words + used - 1); /* its last word is where a program's name is */
}
