/* cmd_people.c: people: finding them, friends, blocking, who is online. */
#include "client/parley/commands.h"

#include "client/parley/show_rows.h"

#include <stdlib.h>
#include <string.h>

#define ASK(...) (&(struct parley_question){__VA_ARGS__})

static const char *const *logins_of(struct call *c)
{
    for (size_t i = 0; i < c->args.n_words; i++)
        c->args.words[i] += *c->args.words[i] == '@';
    return c->args.words;
}

static void user_row(struct call *c, const struct parley_answer *a, size_t i)
{
    char line[ROW];
    row_user(line, &a->users[i]);
    if (call_is_json(c))
        call_json(c, row_user_json(&a->users[i]));
    else
        call_line(c, "%s", line);
}

void cmd_users(struct call *c)
{
    call_rows(c, ASK(.about = PARLEY_ASK_USERS, .text = c->args.words[0]), false, 20, user_row,
              "nobody's name begins so");
}

static void on_who(struct call *c, const struct parley_answer *a)
{
    for (size_t i = 0; i < a->n; i++)
        user_row(c, a, i);
    if (a->n >= c->args.n_words) {
        call_end(c, EXIT_FINE);
        return;
    }
    call_fail(c, PARLEY_UNKNOWN_USER, "");
}

void cmd_who(struct call *c)
{
    size_t n = c->args.n_words < 50 ? c->args.n_words : 50;
    call_ask(c, ASK(.about = PARLEY_ASK_USERS, .logins = logins_of(c), .logins_n = n, .limit = 50), false,
             on_who);
}

/* ---- friends ---- */
static void contact_row(struct call *c, const struct parley_answer *a, size_t i)
{
    char line[ROW];
    row_contact(line, &a->contacts[i]);
    if (call_is_json(c))
        call_json(c, row_contact_json(&a->contacts[i]));
    else
        call_line(c, "%s", line);
}

void cmd_friends(struct call *c)
{
    call_rows(c, ASK(.about = PARLEY_ASK_CONTACTS), false, 100, contact_row, "no friends and no requests");
}

void cmd_blocked(struct call *c)
{
    call_rows(c, ASK(.about = PARLEY_ASK_CONTACTS, .blocked = true), false, 100, contact_row, "nobody");
}

static void two(struct call *c, enum parley_kind kind, const char *said)
{
    const struct parley_op o = {.kind = kind, .to = logins_of(c)[0], .text = c->text};
    call_deed(c, parley_do(c->se->run->p, &o), said);
}

void cmd_friend_add(struct call *c)
{
    two(c, PARLEY_FRIEND_REQUEST, "asked");
}

void cmd_friend_confirm(struct call *c)
{
    two(c, PARLEY_FRIEND_CONFIRM, "you are friends");
}

void cmd_friend_refuse(struct call *c)
{
    two(c, PARLEY_FRIEND_REFUSE, "refused");
}

void cmd_friend_remove(struct call *c)
{
    two(c, PARLEY_FRIEND_REMOVE, "removed");
}

void cmd_block(struct call *c)
{
    two(c, PARLEY_BLOCK, "blocked");
}

void cmd_unblock(struct call *c)
{
    two(c, PARLEY_UNBLOCK, "unblocked");
}

/* ---- presence: pushes come by the session, which prints them (session_presence in cmd_live.c, chat.c) ---- */
static void watch_these(struct call *c, const uint8_t (*ids)[PARLEY_ID], const char *const *logins, size_t n)
{
    if (!n) {
        call_say(c, "nobody to watch");
        call_end(c, EXIT_FINE);
        return;
    }
    session_watch(c->se, ids, logins, n);
    if (parley_watch(c->se->run->p, ids, n, NULL))
        call_fail(c, PARLEY_INTERNAL, "");
    else if (c->se->chat)
        call_end(c, EXIT_FINE);
    /* else it goes on until interrupted, or --count */
}

static void on_watched(struct call *c, const struct parley_answer *a)
{
    static uint8_t ids[500][PARLEY_ID];
    static const char *logins[500];
    size_t n = a->n < 500 ? a->n : 500;
    for (size_t i = 0; i < n; i++) {
        const struct parley_user *u = a->about == PARLEY_ASK_USERS ? &a->users[i] : &a->contacts[i].user;
        memcpy(ids[i], u->person.user, PARLEY_ID);
        logins[i] = u->person.login;
    }
    watch_these(c, (const uint8_t(*)[PARLEY_ID])ids, logins, n);
}

void cmd_watch(struct call *c)
{
    size_t n = c->args.n_words < 50 ? c->args.n_words : 50;
    if (n)
        call_ask(c, ASK(.about = PARLEY_ASK_USERS, .logins = logins_of(c), .logins_n = n, .limit = 50), false,
                 on_watched);
    else
        call_ask(c, ASK(.about = PARLEY_ASK_CONTACTS, .friend_state = PARLEY_FRIEND, .limit = 500), false,
                 on_watched);
}
