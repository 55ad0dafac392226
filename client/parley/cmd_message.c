/* cmd_message.c: messages, and what is done to them. */
#include "client/parley/commands.h"

#include "client/parley/resolve.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void send_now(struct call *c, const uint8_t (*mentions)[PARLEY_ID], size_t n)
{
    struct parley_outgoing o = {.reply_to = c->mark, .mentions = mentions, .mentions_n = n};
    if (c->place.group)
        o.conversation = c->place.id;
    else
        o.to = c->place.login;
    if (c->opt.type) {
        o.content_type = c->opt.type;
        o.data = c->text;
        o.data_n = c->text_n;
    } else {
        o.text = c->text;
        o.text_n = c->text_n;
    }
    bool wait = c->se->run->s->wait || c->se->chat;
    c->at_accepted = !wait;
    int64_t id = parley_send(c->se->run->p, &o);
    if (id > 0 && c->se->sending) { /* the chat follows it with ticks of its own */
        c->se->sending(c->se, &c->place, id, c->opt.type ? "[data]" : c->text);
        call_end(c, EXIT_FINE);
        return;
    }
    call_deed(c, id, wait ? "sequenced" : "accepted");
}

static void on_mentioned(struct call *c, const struct parley_answer *a)
{
    uint8_t ids[PARLEY_USERS_MAX][PARLEY_ID];
    size_t wanted = c->q.logins_n, n = a->n < PARLEY_USERS_MAX ? a->n : PARLEY_USERS_MAX;
    for (size_t i = 0; i < n; i++)
        memcpy(ids[i], a->users[i].person.user, PARLEY_ID);
    if (n < wanted)
        call_fail(c, PARLEY_UNKNOWN_USER, "of those mentioned");
    else
        send_now(c, (const uint8_t(*)[PARLEY_ID])ids, n);
}

static void send_to(struct call *c)
{
    const char *logins[PARLEY_USERS_MAX];
    size_t n = 0;
    if (!c->opt.mention) {
        send_now(c, NULL, 0);
        return;
    }
    if (!c->place.group) {
        call_usage(c, "--mention is for groups");
        return;
    }
    c->mention = strdup(c->opt.mention);
    for (char *rest = c->mention, *name; (name = strsep(&rest, ",")) && n < 50;)
        if (*name)
            logins[n++] = name + (*name == '@');
    call_ask(
        c, &(struct parley_question){.about = PARLEY_ASK_USERS, .logins = logins, .logins_n = n, .limit = 50},
        false, on_mentioned);
}

void cmd_send(struct call *c)
{
    c->mark = c->opt.reply;
    send_to(c);
}

void cmd_reply(struct call *c)
{
    c->mark = c->args.n;
    send_to(c);
}

void cmd_edit(struct call *c)
{
    call_do(c, &(struct parley_op){.kind = PARLEY_EDIT, .target = c->args.n, .text = c->text}, "changed");
}

void cmd_recall(struct call *c)
{
    call_do(c, &(struct parley_op){.kind = PARLEY_RECALL, .target = c->args.n}, "taken back");
}

void cmd_react(struct call *c)
{
    const char *text = c->args.n_words ? c->args.words[0] : "";
    call_do(c, &(struct parley_op){.kind = PARLEY_REACT, .target = c->args.n, .text = text},
            *text ? "reacted" : "reaction taken back");
}

void cmd_pin(struct call *c)
{
    call_do(c, &(struct parley_op){.kind = PARLEY_PIN, .target = c->args.n}, "pinned");
}

void cmd_unpin(struct call *c)
{
    call_do(c, &(struct parley_op){.kind = PARLEY_UNPIN, .target = c->args.n}, "unpinned");
}

void cmd_announce(struct call *c)
{
    call_deed(c, parley_announce(c->se->run->p, c->text), "announced");
}

/* ---- read: nobody answers it, so the list is asked until it says so ---- */
#define READ_TRIES 100

static void on_read(struct call *c, const struct parley_answer *a)
{
    const struct parley_conversation *v = a->conversations;
    if (a->n != 1) {
        call_fail(c, PARLEY_NOT_A_MEMBER, "");
        return;
    }
    if (!c->mark) {
        c->mark = c->args.n && c->args.n < v->head ? c->args.n : v->head;
        if (c->mark > v->read && parley_read(c->se->run->p, v->id, c->mark)) {
            call_fail(c, PARLEY_INTERNAL, "");
            return;
        }
        struct place *p = book_get(&c->se->book, v->id);
        if (p && p->seen < c->mark)
            p->seen = c->mark;
    }
    if (c->mark > v->read && c->tries++ < READ_TRIES) {
        call_ask(c, &(struct parley_question){.about = PARLEY_ASK_CONVERSATION, .no_wait = true}, true,
                 on_read);
        return;
    }
    if (c->mark > v->read)
        call_fail(c, PARLEY_BEHIND, "");
    else if (call_is_json(c))
        call_json(c, json_pack("{sI sI}", "read", (json_int_t)v->read, "unread", (json_int_t)v->unread));
    else
        call_say(c, "read up to #%" PRIu64 "; %u unread", v->read, (unsigned)v->unread);
    if (c->mark <= v->read)
        call_end(c, EXIT_FINE);
}

void cmd_read(struct call *c)
{
    call_ask(c, &(struct parley_question){.about = PARLEY_ASK_CONVERSATION}, true, on_read);
}

static void type(struct call *c)
{
    bool stopped = c->args.n_words && !strcmp(c->args.words[0], "off");
    if (stopped) /* only what was told before can be taken back */
        parley_typing(c->se->run->p, c->place.id, false);
    parley_typing(c->se->run->p, c->place.id, stopped);
    call_end(c, EXIT_FINE);
}

void cmd_typing(struct call *c)
{
    if (c->args.n_words && strcmp(c->args.words[0], "off") != 0)
        call_usage(c, "off, or nothing");
    else
        resolve_id(c, type);
}
