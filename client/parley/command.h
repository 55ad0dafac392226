/* command.h: everything that parley can do, in one table. The shell (`parley history bob`), the chat (`/history`),
 * --help, /help and docs/commands.md all come from it, so that nothing is in one of them only. */
#ifndef PARLEY_TERMINAL_COMMAND_H
#define PARLEY_TERMINAL_COMMAND_H

#include "client/parley/options.h"

#include <stdint.h>

struct call;
struct settings;

enum command_family {
    FAMILY_TALK,
    FAMILY_READ,
    FAMILY_PEOPLE,
    FAMILY_GROUP,
    FAMILY_ACCOUNT,
    FAMILY_PROGRAM,
    N_FAMILIES
};
enum command_where { COMMAND_EVERYWHERE, COMMAND_SHELL, COMMAND_CHAT };

/* `args` is what help shows and what the words are read by. Between blanks:
 *   TO      whom or which group; always written
 *   CONV    the same, GROUP a group: in the chat it is left out, and the open conversation is meant
 *   N       a message's number, 12 or #12
 *   TEXT…   the rest of the line, as it is; in the shell also stdin, when there is none or it is "-"
 *   WORD    anything else: a word; WORD…: one or more
 *   […]     may be missing */
struct command {
    const char *name;    /* one word or two: "group create" */
    const char *alias;   /* in the chat; NULL: none */
    const char *args;    /* "" */
    const char *options; /* names of those it takes, blanks between; "" */
    const char *help;    /* at most COMMAND_HELP columns */
    enum command_family family;
    enum command_where where;
    void (*fn)(struct call *);
    int (*shell)(struct settings *, const struct options *, int argc,
                 char **argv); /* COMMAND_SHELL: instead; argv without the name. Returns the exit code */
};

#define COMMAND_HELP  46
#define COMMAND_WORDS 101 /* at most, of one command */

size_t command_count(void);
const struct command *command_at(size_t i);
const char *command_family(enum command_family); /* its heading */
/* The one whose name these words begin with; *used: how many of them. NULL: none. In the chat also by alias. */
const struct command *command_find(char *const *words, int n, bool chat, int *used);
bool command_takes(const struct command *, const char *option);
bool command_left_out(const char *token); /* in the chat: CONV, GROUP */

/* What the words of a command mean. Points into them. */
struct args {
    const char *to; /* TO, CONV or GROUP; NULL: the open conversation, or none is needed */
    bool group;     /* it is GROUP */
    bool needs_to;  /* the command is about a conversation */
    uint64_t n;     /* 0: none was given */
    const char *words[COMMAND_WORDS];
    size_t n_words;
    int text; /* index of the first word of TEXT…; argc: there is none */
    bool takes_text, needs_text;
};
/* false: they do not fit; `err` says what is wrong. */
bool args_read(const struct command *, bool chat, int argc, char *const *argv, struct args *, char *err,
               size_t err_n);

#endif
