/* commands.h: what `parley COMMAND` does; each returns an exit code. argv[0] is the command's name. */
#ifndef PARLEY_TERMINAL_COMMANDS_H
#define PARLEY_TERMINAL_COMMANDS_H

#include "client/parley/settings.h"

int command_register(struct settings *, int argc, char **argv);
int command_login(struct settings *, int argc, char **argv);
int command_exists(struct settings *, int argc, char **argv);
int command_send(struct settings *, int argc, char **argv);
int command_listen(struct settings *, int argc, char **argv);
int command_pull(struct settings *, int argc, char **argv);
int command_chat(struct settings *, int argc, char **argv); /* chat.c */

#endif
