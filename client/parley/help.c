#include "client/parley/help.h"

#include "client/parley/commands.h"
#include "client/parley/screen.h"
#include "client/parley/show.h"

#include <stdio.h>
#include <string.h>

#define INDENT 33 /* columns before what a command does */

typedef void line_fn(void *arg, const char *text);

static const char *const shell_examples[] = {
    "Examples",
    "  parley register alice                make an account (asks for a password)",
    "  parley --user alice login            log in once; the token is kept",
    "  parley                               talk: type, /open bob, /help, /q",
    "  parley send bob 'on my way'          from a script; ends when it is durable",
    "  date | parley send bob               text from stdin",
    "  parley send --wait sequenced bob hi  … when it has its place",
    "  parley listen --json | jq .text      one object a line, as messages come",
    "  parley group create lunch bob carol  prints the group's id",
    "  parley send +lunch 'at noon?'        a group of yours, by its name or id",
    "  parley history bob --limit 20        … --before 100, --at 2026-01-31",
    "  parley search 'red bicycle'          in everything that you may see",
    "  parley react +lunch 12 👍            to message 12 there",
    "  parley list --unread --json          what is there to be read",
    "",
    "TO and CONV are bob or @bob, +lunch, +3f2a91 (how an id begins), an id of 32",
    "digits, or +system (announcements). GROUP is the same; + may be left out.",
    "N is a message's number, 12 or #12. TEXT… is the rest of the line, or stdin.",
};
static const char *const shell_end[] = {
    "Data goes to stdout, everything else to stderr. Colours only on a terminal, and",
    "not when NO_COLOR is set.",
    "",
    "Exit codes",
    "  0 done   1 the answer is no (refused, no such account, name taken)   2 usage",
    "  3 log-in refused   4 no server, or no answer in time: try again",
    "  5 trouble on this machine   128 + signal when interrupted",
};
static const char *const chat_head[] = {
    "What you type is sent to the open conversation. /open bob, /open +lunch",
    "NAME: text          one message to NAME (a leading space: no)",
    "//text              a message that begins with a slash",
    "A number like #12 names a message of the open conversation.",
};

void help_usage(char *out, size_t n, const struct command *c, bool chat)
{
    size_t used = (size_t)snprintf(out, n, "%s%s", chat ? "/" : "parley ",
                                   chat && c->alias && strchr(c->name, ' ') ? c->alias : c->name);
    for (const char *o = c->options; *o && used < n; o += strspn(o, " ")) {
        size_t len = strcspn(o, " ");
        for (size_t i = 0; i < options_count(); i++) {
            const struct option_help *h = options_at(i);
            if (!h->program && strlen(h->name) == len && !strncmp(h->name, o, len) && used < n)
                used += (size_t)snprintf(out + used, n - used, " [--%s%s%s]", h->name, h->arg ? " " : "",
                                         h->arg ? h->arg : "");
        }
        o += len;
    }
    for (const char *t = c->args; *t; t += strspn(t, " ")) {
        size_t len = strcspn(t, " ");
        if ((!chat || !command_left_out(t)) && used < n)
            used += (size_t)snprintf(out + used, n - used, " %.*s", (int)len, t);
        t += len;
    }
}

/* The same without options: for a list. */
static void brief(char *out, size_t n, const struct command *c, bool chat)
{
    struct command plain = *c;
    plain.options = "";
    help_usage(out, n, &plain, chat);
    if (!chat)
        memmove(out, out + strlen("parley "), strlen(out) - strlen("parley ") + 1);
}

static void row(const char *left, const char *right, line_fn *line, void *arg)
{
    char text[800];
    int w = show_width(left);
    if (w > INDENT - 4) { /* it has a line of its own */
        snprintf(text, sizeof text, "  %s", left);
        line(arg, text);
        left = "";
        w = 0;
    }
    snprintf(text, sizeof text, "  %s%*s%s", left, INDENT - 2 - w, "", right);
    line(arg, text);
}

static void commands(bool chat, line_fn *line, void *arg)
{
    char left[200], right[200];
    for (int f = 0; f < N_FAMILIES; f++) {
        line(arg, "");
        line(arg, command_family((enum command_family)f));
        for (size_t i = 0; i < command_count(); i++) {
            const struct command *c = command_at(i);
            if (c->family != (enum command_family)f || c->where == (chat ? COMMAND_SHELL : COMMAND_CHAT))
                continue;
            brief(left, sizeof left, c, chat);
            bool alias = chat && c->alias && !strchr(c->name, ' ');
            snprintf(right, sizeof right, "%s%s%s%s", c->help, alias ? " (/" : "", alias ? c->alias : "",
                     alias ? ")" : "");
            row(left, right, line, arg);
        }
    }
}

static void option_rows(bool program, line_fn *line, void *arg)
{
    char left[100];
    for (size_t i = 0; i < options_count(); i++) {
        const struct option_help *h = options_at(i);
        if (h->program != program)
            continue;
        const char letter[] = {'-', h->letter, ',', ' ', '\0'};
        snprintf(left, sizeof left, "%s--%s%s%s", h->letter ? letter : "    ", h->name, h->arg ? " " : "",
                 h->arg ? h->arg : "");
        row(left, h->help, line, arg);
    }
}

static void ticks(bool ascii, line_fn *line, void *arg)
{
    line(arg, ascii ? ". on its way   + it is safe   ++ delivered   ++r read   x refused"
                    : "· on its way   ✓ it is safe   ✓✓ delivered   ✓✓r read   ✗ refused");
    line(arg, "In a group: delivered to, read by somebody. /history shows by how many.");
}

#define LINES(v)                                         \
    for (size_t i_ = 0; i_ < sizeof v / sizeof *v; i_++) \
    line(arg, v[i_])

void help_all(bool chat, bool ascii, line_fn *line, void *arg)
{
    if (chat) {
        LINES(chat_head);
        commands(true, line, arg);
        line(arg, "");
        ticks(ascii, line, arg);
        line(arg, "/help COMMAND tells more on one.");
        return;
    }
    LINES(shell_examples);
    commands(false, line, arg);
    line(arg, "");
    line(arg, "Options of the program");
    option_rows(true, line, arg);
    line(arg, "");
    line(arg, "Options of commands (`parley help COMMAND` tells which)");
    option_rows(false, line, arg);
    line(arg, "");
    LINES(shell_end);
}

static void at_length(const struct command *c, bool chat, line_fn *line, void *arg)
{
    char text[400];
    help_usage(text, sizeof text, c, chat);
    line(arg, text);
    snprintf(text, sizeof text, "  %s", c->help);
    line(arg, text);
    for (size_t i = 0; i < options_count(); i++) {
        const struct option_help *h = options_at(i);
        if (h->program || !command_takes(c, h->name))
            continue;
        snprintf(text, sizeof text, "--%s%s%s", h->name, h->arg ? " " : "", h->arg ? h->arg : "");
        row(text, h->help, line, arg);
    }
    if (chat && c->alias) {
        snprintf(text, sizeof text, "  also: /%s", c->alias);
        line(arg, text);
    }
}

static void to_session(void *arg, const char *text)
{
    struct session *se = arg;
    se->print(se, "", text, true);
}

void help_command(struct session *se, const struct command *c)
{
    at_length(c, se->chat, to_session, se);
}

void cmd_help(struct call *c)
{
    int used;
    char *words[COMMAND_WORDS];
    int n = (int)c->args.n_words;
    for (int i = 0; i < n; i++)
        words[i] = c->argv[1 + i] + (c->argv[1 + i][0] == '/');
    const struct command *about = n ? command_find(words, n, c->se->chat, &used) : NULL;
    if (n && !about) {
        call_usage(c, "there is no such command");
        return;
    }
    if (about)
        help_command(c->se, about);
    else
        help_all(c->se->chat, c->se->chat && !screen_utf8(), to_session, c->se);
    call_end(c, EXIT_FINE);
}

/* ---- docs/commands.md ---- */
static void cell(char *out, size_t n, const char *text)
{
    size_t used = 0;
    for (; *text && used + 3 < n; text++) {
        if (*text == '|')
            out[used++] = '\\';
        out[used++] = *text;
    }
    out[used] = '\0';
}

static void markdown_row(const struct command *c, line_fn *line, void *arg)
{
    char shell[300], chat[300], a[320], b[320], text[800];
    help_usage(shell, sizeof shell, c, false);
    help_usage(chat, sizeof chat, c, true);
    cell(a, sizeof a, shell);
    cell(b, sizeof b, chat);
    snprintf(text, sizeof text, "| %s%s%s | %s%s%s | %s |", c->where == COMMAND_CHAT ? "" : "`",
             c->where == COMMAND_CHAT ? "" : a, c->where == COMMAND_CHAT ? "" : "`",
             c->where == COMMAND_SHELL ? "" : "`", c->where == COMMAND_SHELL ? "" : b,
             c->where == COMMAND_SHELL ? "" : "`", c->help);
    line(arg, text);
}

void help_markdown(line_fn *line, void *arg)
{
    static const char *const head[] = {
        "# parley: commands",
        "",
        "The terminal client, from the shell and in the chat. This page is made by `parley --help-markdown`",
        "from the table that the program itself works by.",
        "",
        "```text",
    };
    char text[300], name[60];
    LINES(head);
    LINES(shell_examples);
    line(arg, "```");
    for (int f = 0; f < N_FAMILIES; f++) {
        line(arg, "");
        snprintf(text, sizeof text, "## %s", command_family((enum command_family)f));
        line(arg, text);
        line(arg, "");
        line(arg, "| shell | chat | |");
        line(arg, "|---|---|---|");
        for (size_t i = 0; i < command_count(); i++)
            if (command_at(i)->family == (enum command_family)f)
                markdown_row(command_at(i), line, arg);
    }
    line(arg, "");
    line(arg, "## Options");
    line(arg, "");
    line(arg, "| option | | of |");
    line(arg, "|---|---|---|");
    for (size_t i = 0; i < options_count(); i++) {
        const struct option_help *h = options_at(i);
        snprintf(name, sizeof name, "--%s%s%s", h->name, h->arg ? " " : "", h->arg ? h->arg : "");
        snprintf(text, sizeof text, "| `%s` | %s | %s |", name, h->help,
                 h->program ? "the program" : "commands");
        line(arg, text);
    }
    line(arg, "");
    line(arg, "## The chat");
    line(arg, "");
    line(arg, "```text");
    LINES(chat_head);
    ticks(false, line, arg);
    line(arg, "```");
    line(arg, "");
    line(arg, "## Output and exit codes");
    line(arg, "");
    line(arg, "```text");
    LINES(shell_end);
    line(arg, "```");
}
