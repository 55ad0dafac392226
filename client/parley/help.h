/* help.h: what there is, from the tables of commands and options: at most 80 columns wide. */
#ifndef PARLEY_TERMINAL_HELP_H
#define PARLEY_TERMINAL_HELP_H

#include "client/parley/command.h"

struct session;

/* "parley edit CONV N TEXT…", in the chat "/edit N TEXT…", with options. */
void help_usage(char *out, size_t n, const struct command *, bool chat);
void help_command(struct session *, const struct command *); /* one, at length */
/* Everything; line by line, without line ends. */
void help_all(bool chat, bool ascii, void (*line)(void *arg, const char *text), void *arg);
/* docs/commands.md. */
void help_markdown(void (*line)(void *arg, const char *text), void *arg);

#endif
