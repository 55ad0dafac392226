#include "client/parley/resolve.h"

#include "client/parley/commands.h"
#include "client/parley/show.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void on_info(struct call *c, const struct parley_answer *a)
{
    void (*then)(struct call *) = c->then;
    if (a->n != 1) {
        call_fail(c, PARLEY_NOT_A_MEMBER, "");
        return;
    }
    place_take(&c->place, &a->conversations[0]);
    struct place *p = book_get(&c->se->book, c->place.id);
    if (p)
        place_take(p, &a->conversations[0]);
    then(c);
}

void resolve_id(struct call *c, void (*then)(struct call *))
{
    c->then = then;
    c->resolving = true; /* not to begin again by what it asks */
    if (c->place.has_id)
        then(c);
    else
        call_ask(c, &(struct parley_question){.about = PARLEY_ASK_CONVERSATION}, true, on_info);
}

static void on_groups(struct call *c, const struct parley_answer *a)
{
    char name[400];
    for (size_t i = 0; i < a->n; i++) {
        if (!place_fits(&a->conversations[i], c->wanted))
            continue;
        c->hits++;
        place_take(&c->place, &a->conversations[i]);
    }
    if (a->next_n && a->next_n <= sizeof c->page) {
        struct parley_question q = c->q;
        memcpy(c->page, a->next, a->next_n);
        q.after = c->page;
        q.after_n = a->next_n;
        call_ask(c, &q, false, on_groups);
        return;
    }
    show_clean(name, sizeof name, c->wanted, " ");
    if (!c->hits && call_again(c))
        resolve_group(c, c->wanted, c->then);
    else if (c->hits == 1)
        c->then(c);
    else if (c->hits)
        call_usage(c, "%zu groups of yours are called %s; name it by its id: +3f2a91 (see `list`)", c->hits,
                   name);
    else
        call_usage(c, "%sno group of yours is called %s", c->cmd->fn == cmd_open ? "nobody and " : "", name);
}

static bool known_group(struct call *c, const char *name)
{
    const struct place *hit = NULL;
    for (struct place *p = c->se->book.all; p; p = p->hh.next)
        if (p->group && !strcmp(p->name, name)) {
            if (hit)
                return false;
            hit = p;
        }
    if (hit)
        c->place = *hit;
    return hit != NULL;
}

void resolve_group(struct call *c, const char *name, void (*then)(struct call *))
{
    if (name != c->wanted)
        snprintf(c->wanted, sizeof c->wanted, "%s", name);
    c->then = then;
    if (c->se->chat && known_group(c, c->wanted))
        then(c);
    else
        call_ask(c,
                 &(struct parley_question){.about = PARLEY_ASK_CONVERSATIONS,
                                           .limit = 100,
                                           .groups = strcasecmp(c->wanted, "system") != 0},
                 false, on_groups);
}

void resolve(struct call *c, void (*then)(struct call *))
{
    bool chat = c->se->chat;
    c->then = then;
    if (!c->args.needs_to) {
        then(c);
        return;
    }
    if (!c->args.to) {
        c->place = c->se->open;
        if (!c->place.has_id && !*c->place.login)
            call_usage(c, "no conversation is open: /open bob or /open +lunch");
        else if (c->args.group && !c->place.group)
            call_usage(c, "this is no group: /open +lunch");
        else
            then(c);
        return;
    }
    switch (place_typed(c->args.to, c->args.group, c->wanted, sizeof c->wanted, c->place.id)) {
    case PLACE_PERSON:
        place_person(&c->place, c->wanted);
        const struct place *known = book_person(&c->se->book, c->wanted);
        if (known)
            c->place = *known;
        then(c);
        return;
    case PLACE_ID: /* whether it is a group is not known; nothing but a group is named so */
        c->place.has_id = c->place.group = true;
        if (chat)
            call_ask(c, &(struct parley_question){.about = PARLEY_ASK_CONVERSATION}, true, on_info);
        else
            then(c);
        return;
    case PLACE_GROUP:
        resolve_group(c, c->wanted, then);
        return;
    case PLACE_BAD:
        call_usage(c, "\"%.60s\" names no conversation", c->args.to);
        return;
    }
}
