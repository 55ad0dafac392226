#include "client/parley/command.h"

#include "client/parley/commands.h"

#include <stdio.h>
#include <string.h>

#define PAGE "limit"

/* clang-format off */
static const struct command table[] = {
    {"send", "msg", "TO TEXT…", "reply type mention", "send a message", FAMILY_TALK, 0, cmd_send, NULL},
    {"reply", "r", "CONV N TEXT…", "mention", "answer message N", FAMILY_TALK, 0, cmd_reply, NULL},
    {"edit", NULL, "CONV N TEXT…", "", "change a message of yours", FAMILY_TALK, 0, cmd_edit, NULL},
    {"recall", NULL, "CONV N", "", "take a message back", FAMILY_TALK, 0, cmd_recall, NULL},
    {"react", NULL, "CONV N [REACTION]", "", "react to it; without: take yours back", FAMILY_TALK, 0, cmd_react, NULL},
    {"pin", NULL, "CONV N", "", "pin a message", FAMILY_TALK, 0, cmd_pin, NULL},
    {"unpin", NULL, "CONV N", "", "unpin it", FAMILY_TALK, 0, cmd_unpin, NULL},
    {"read", NULL, "CONV [N]", "", "it is read, up to N or all of it", FAMILY_TALK, 0, cmd_read, NULL},
    {"typing", NULL, "CONV [off]", "", "tell that you are typing", FAMILY_TALK, 0, cmd_typing, NULL},
    {"announce", NULL, "TEXT…", "", "to everybody; needs the admin right", FAMILY_TALK, 0, cmd_announce, NULL},

    {"list", "ls", "", "limit groups unread", "your conversations", FAMILY_READ, 0, cmd_list, NULL},
    {"unread", NULL, "", PAGE, "those with unread messages", FAMILY_READ, 0, cmd_unread, NULL},
    {"history", NULL, "CONV", "limit before after around at events", "what was said", FAMILY_READ, 0, cmd_history, NULL},
    {"search", NULL, "TEXT…", PAGE, "messages with all these words", FAMILY_READ, 0, cmd_search, NULL},
    {"find", NULL, "CONV TEXT…", PAGE, "the same in one conversation", FAMILY_READ, 0, cmd_find, NULL},
    {"changes", NULL, "CONV N", PAGE, "what was done to a message", FAMILY_READ, 0, cmd_changes, NULL},
    {"pins", NULL, "CONV", "", "the pinned messages", FAMILY_READ, 0, cmd_pins, NULL},
    {"info", NULL, "CONV", "", "a conversation: settings, numbers, id", FAMILY_READ, 0, cmd_info, NULL},
    {"keep", NULL, "CONV on|off", "", "keep it at the top of the list", FAMILY_READ, 0, cmd_keep, NULL},
    {"silence", NULL, "CONV on|off", "", "no bell for it", FAMILY_READ, 0, cmd_silence, NULL},
    {"remark", NULL, "CONV [TEXT…]", "", "a note of your own on it", FAMILY_READ, 0, cmd_remark, NULL},

    {"users", NULL, "BEGINNING", PAGE, "find people by how the name begins", FAMILY_PEOPLE, 0, cmd_users, NULL},
    {"who", NULL, "PERSON…", "", "who they are, and whether online", FAMILY_PEOPLE, 0, cmd_who, NULL},
    {"watch", NULL, "[PERSON…]", "", "tell who comes and goes; default: friends", FAMILY_PEOPLE, 0, cmd_watch, NULL},
    {"friends", NULL, "", PAGE, "your friends and open requests", FAMILY_PEOPLE, 0, cmd_friends, NULL},
    {"friend add", NULL, "PERSON [TEXT…]", "", "ask to be friends, with a word", FAMILY_PEOPLE, 0, cmd_friend_add, NULL},
    {"friend confirm", NULL, "PERSON", "", "say yes", FAMILY_PEOPLE, 0, cmd_friend_confirm, NULL},
    {"friend refuse", NULL, "PERSON", "", "say no", FAMILY_PEOPLE, 0, cmd_friend_refuse, NULL},
    {"friend remove", NULL, "PERSON", "", "end it, or take the request back", FAMILY_PEOPLE, 0, cmd_friend_remove, NULL},
    {"block", NULL, "PERSON", "", "get nothing from them any more", FAMILY_PEOPLE, 0, cmd_block, NULL},
    {"unblock", NULL, "PERSON", "", "the opposite", FAMILY_PEOPLE, 0, cmd_unblock, NULL},
    {"blocked", NULL, "", PAGE, "whom you blocked", FAMILY_PEOPLE, 0, cmd_blocked, NULL},

    {"group list", "groups", "", PAGE, "your groups", FAMILY_GROUP, 0, cmd_group_list, NULL},
    {"group create", NULL, "NAME [PERSON…]", "set", "make a group; prints its id", FAMILY_GROUP, 0, cmd_group_create, NULL},
    {"group join", "join", "ID [TEXT…]", "", "join, or ask to, with a word", FAMILY_GROUP, 0, cmd_group_join, NULL},
    {"group leave", "leave", "GROUP", "", "leave it", FAMILY_GROUP, 0, cmd_group_leave, NULL},
    {"members", NULL, "GROUP", PAGE, "who is in it", FAMILY_GROUP, 0, cmd_members, NULL},
    {"group invite", "invite", "GROUP PERSON…", "", "take people in", FAMILY_GROUP, 0, cmd_group_people, NULL},
    {"group remove", "remove", "GROUP PERSON…", "", "put people out", FAMILY_GROUP, 0, cmd_group_people, NULL},
    {"group role", "role", "GROUP admin|member PERSON…", "", "make them admins, or not", FAMILY_GROUP, 0, cmd_group_role, NULL},
    {"group hand-over", NULL, "GROUP PERSON", "", "make somebody the owner", FAMILY_GROUP, 0, cmd_group_people, NULL},
    {"group mute", "mute", "GROUP PERSON…", "for", "they may not write", FAMILY_GROUP, 0, cmd_group_mute, NULL},
    {"group unmute", "unmute", "GROUP PERSON…", "", "they may again", FAMILY_GROUP, 0, cmd_group_people, NULL},
    {"group rename", "rename", "GROUP TEXT…", "", "another name", FAMILY_GROUP, 0, cmd_group_rename, NULL},
    {"group notice", "notice", "GROUP [TEXT…]", "", "the notice; without text: none", FAMILY_GROUP, 0, cmd_group_notice, NULL},
    {"group set", "set", "GROUP [no-]FLAG…", "", "approval, history, quiet, private", FAMILY_GROUP, 0, cmd_group_set, NULL},
    {"group asks", "asks", "GROUP", PAGE, "who asked to join", FAMILY_GROUP, 0, cmd_group_asks, NULL},
    {"group approve", "approve", "GROUP PERSON…", "", "let them in", FAMILY_GROUP, 0, cmd_group_people, NULL},
    {"group decline", "decline", "GROUP PERSON…", "", "do not", FAMILY_GROUP, 0, cmd_group_people, NULL},
    {"group dissolve", NULL, "GROUP", "yes", "end it for everybody", FAMILY_GROUP, 0, cmd_group_dissolve, NULL},

    {"register", NULL, "NAME [SHOWN]", "", "make an account (asks for a password)", FAMILY_ACCOUNT, COMMAND_SHELL, NULL, shell_register},
    {"login", NULL, "[NAME]", "", "log in once; the token is kept", FAMILY_ACCOUNT, COMMAND_SHELL, NULL, shell_login},
    {"exists", NULL, "NAME", "", "is there such an account?", FAMILY_ACCOUNT, COMMAND_SHELL, NULL, shell_exists},
    {"me", NULL, "", "", "who and where you are", FAMILY_ACCOUNT, 0, cmd_me, NULL},
    {"profile", NULL, "", "name presence", "change what others see of you", FAMILY_ACCOUNT, 0, cmd_profile, NULL},
    {"devices", NULL, "", "", "where you are logged in", FAMILY_ACCOUNT, 0, cmd_devices, NULL},
    {"revoke", NULL, "[DEVICE]", "all others yes", "end a device, by its number, or many", FAMILY_ACCOUNT, 0, cmd_revoke, NULL},
    {"token", NULL, "", "", "take a new token for this device", FAMILY_ACCOUNT, 0, cmd_token, NULL},

    {"chat", NULL, "[TO]", "", "talk interactively (the default)", FAMILY_PROGRAM, COMMAND_SHELL, NULL, shell_chat},
    {"listen", NULL, "", "", "print messages as they come", FAMILY_PROGRAM, COMMAND_SHELL, NULL, shell_listen},
    {"pull", NULL, "", "", "print what waits for this device, and end", FAMILY_PROGRAM, COMMAND_SHELL, NULL, shell_pull},
    {"open", "to", "TO", "", "talk there from now on", FAMILY_PROGRAM, COMMAND_CHAT, cmd_open, NULL},
    {"help", "h", "[COMMAND…]", "", "this list, or more on one", FAMILY_PROGRAM, 0, cmd_help, NULL},
    {"quit", "q", "", "", "leave", FAMILY_PROGRAM, COMMAND_CHAT, cmd_quit, NULL},
};
/* clang-format on */

size_t command_count(void)
{
    return sizeof table / sizeof *table;
}

const struct command *command_at(size_t i)
{
    return &table[i];
}

const char *command_family(enum command_family f)
{
    static const char *const names[] = {"Messages", "Reading", "People", "Groups", "Account", "The program"};
    return names[f];
}

static bool word_in(const char *list, const char *word, size_t n)
{
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, " ");
        if (len == n && !strncmp(at, word, n))
            return true;
        at += len + strspn(at + len, " ");
    }
    return false;
}

bool command_takes(const struct command *c, const char *option)
{
    return word_in(c->options, option, strlen(option));
}

bool command_left_out(const char *token)
{
    return word_in("CONV GROUP", token, strcspn(token, " "));
}

/* How many words the name takes when it is this one; 0: it is not. */
static int named(const struct command *c, char *const *words, int n)
{
    size_t first = strcspn(c->name, " ");
    if (strncmp(c->name, words[0], first) != 0 || words[0][first])
        return 0;
    if (!c->name[first])
        return 1;
    return n > 1 && !strcmp(c->name + first + 1, words[1]) ? 2 : 0;
}

const struct command *command_find(char *const *words, int n, bool chat, int *used)
{
    for (size_t i = 0; n > 0 && i < command_count(); i++) {
        const struct command *c = &table[i];
        if (c->where == (chat ? COMMAND_SHELL : COMMAND_CHAT))
            continue;
        *used = named(c, words, n);
        if (!*used && chat && c->alias && !strcmp(c->alias, words[0]))
            *used = 1;
        if (*used)
            return c;
    }
    return NULL;
}

/* ---- what the words mean ---- */
struct reading {
    const struct command *c;
    bool chat;
    int argc, at;
    char *const *argv;
    struct args *a;
    char *err;
    size_t err_n;
};

static bool is(const char *token, size_t n, const char *what)
{
    return n == strlen(what) && !strncmp(token, what, n);
}

static bool read_token(struct reading *r, const char *t, size_t n, bool optional)
{
    struct args *a = r->a;
    bool many = n > 3 && !strncmp(t + n - 3, "…", 3), left = r->at < r->argc;
    if (is(t, n, "TO") || is(t, n, "CONV") || is(t, n, "GROUP")) {
        a->needs_to = true;
        a->group = is(t, n, "GROUP");
        if (r->chat && !is(t, n, "TO"))
            return true;
        if (left)
            a->to = r->argv[r->at++];
    } else if (is(t, n, "TEXT…")) {
        a->text = r->at;
        a->takes_text = true;
        a->needs_text = !optional;
        r->at = r->argc;
        return true; /* the caller looks: it may come through stdin */
    } else if (is(t, n, "N")) {
        if (left && !options_number(r->argv[r->at++], &a->n)) {
            snprintf(r->err, r->err_n, "\"%.40s\" is no message number, like #12", r->argv[r->at - 1]);
            return false;
        }
    } else {
        while (r->at < r->argc && a->n_words < COMMAND_WORDS) {
            a->words[a->n_words++] = r->argv[r->at++];
            if (!many)
                break;
        }
    }
    if (!left && !optional) {
        snprintf(r->err, r->err_n, "%.*s is missing", (int)(many ? n - 3 : n), t);
        return false;
    }
    return true;
}

bool args_read(const struct command *c, bool chat, int argc, char *const *argv, struct args *a, char *err,
               size_t err_n)
{
    struct reading r = {.c = c, .chat = chat, .argc = argc, .argv = argv, .a = a, .err = err, .err_n = err_n};
    *a = (struct args){.text = argc};
    for (const char *t = c->args; *t; t += strspn(t, " ")) {
        size_t n = strcspn(t, " ");
        bool optional = *t == '[' && t[n - 1] == ']';
        if (!read_token(&r, t + optional, n - 2 * optional, optional))
            return false;
        t += n;
    }
    if (r.at < argc) {
        snprintf(err, err_n, "too much: \"%.60s\"", argv[r.at]);
        return false;
    }
    return true;
}
