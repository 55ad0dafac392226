/* commands.h: the functions of the table in command.c, one file per family. Each ends its call, now or later. */
#ifndef PARLEY_TERMINAL_COMMANDS_H
#define PARLEY_TERMINAL_COMMANDS_H

#include "client/parley/call.h"

/* cmd_message.c */
void cmd_send(struct call *);
void cmd_reply(struct call *);
void cmd_edit(struct call *);
void cmd_recall(struct call *);
void cmd_react(struct call *);
void cmd_pin(struct call *);
void cmd_unpin(struct call *);
void cmd_read(struct call *);
void cmd_typing(struct call *);
void cmd_announce(struct call *);

/* cmd_history.c */
void cmd_list(struct call *);
void cmd_unread(struct call *);
void cmd_history(struct call *);
void cmd_search(struct call *);
void cmd_find(struct call *);
void cmd_changes(struct call *);
void cmd_pins(struct call *);
void cmd_info(struct call *);
void cmd_keep(struct call *);
void cmd_silence(struct call *);
void cmd_remark(struct call *);

/* cmd_people.c */
void cmd_users(struct call *);
void cmd_who(struct call *);
void cmd_friends(struct call *);
void cmd_friend_add(struct call *);
void cmd_friend_confirm(struct call *);
void cmd_friend_refuse(struct call *);
void cmd_friend_remove(struct call *);
void cmd_block(struct call *);
void cmd_unblock(struct call *);
void cmd_blocked(struct call *);
void cmd_watch(struct call *);

/* cmd_group.c */
void cmd_group_list(struct call *);
void cmd_group_create(struct call *);
void cmd_group_people(struct call *); /* invite, remove, hand-over, unmute, approve, decline */
void cmd_group_mute(struct call *);
void cmd_group_role(struct call *);
void cmd_group_join(struct call *);
void cmd_group_leave(struct call *);
void cmd_group_rename(struct call *);
void cmd_group_notice(struct call *);
void cmd_group_set(struct call *);
void cmd_group_dissolve(struct call *);
void cmd_group_asks(struct call *);
void cmd_members(struct call *);

/* cmd_account.c */
void cmd_me(struct call *);
void cmd_profile(struct call *);
void cmd_devices(struct call *);
void cmd_revoke(struct call *);
void cmd_token(struct call *);
int shell_register(struct settings *, const struct options *, int argc, char **argv);
int shell_login(struct settings *, const struct options *, int argc, char **argv);
int shell_exists(struct settings *, const struct options *, int argc, char **argv);
int shell_listen(struct settings *, const struct options *, int argc, char **argv); /* cmd_live.c */
int shell_pull(struct settings *, const struct options *, int argc, char **argv);

/* chat.c, help.c */
int shell_chat(struct settings *, const struct options *, int argc, char **argv);
void cmd_open(struct call *);
void cmd_quit(struct call *);
void cmd_help(struct call *);

#endif
