/* cmd_history.c: reading: the list of conversations, what was said in them, one's own marks on them. */
#include "client/parley/commands.h"

#include "client/parley/show_rows.h"
#include "common/base/hex.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ASK(...) (&(struct parley_question){__VA_ARGS__})
#define LIST     50 /* rows when --limit does not say */

/* ---- the list ---- */
static void list_row(struct call *c, const struct parley_answer *a, size_t i)
{
    const struct parley_conversation *v = &a->conversations[i];
    char line[ROW];
    struct place *p = book_get(&c->se->book, v->id);
    if (p)
        place_take(p, v);
    row_conversation(line, v);
    if (call_is_json(c))
        call_json(c, row_conversation_json(v));
    else
        call_line(c, "%s", line);
}

static void list(struct call *c, bool groups, bool unread, const char *none)
{
    call_rows(c, ASK(.about = PARLEY_ASK_CONVERSATIONS, .groups = groups, .unread = unread), false, LIST,
              list_row, none);
}

void cmd_list(struct call *c)
{
    list(c, c->opt.groups, c->opt.unread, "no conversation yet");
}

void cmd_unread(struct call *c)
{
    list(c, false, true, "nothing is unread");
}

void cmd_group_list(struct call *c)
{
    list(c, true, false, "you are in no group");
}

/* ---- messages ---- */
static void put_item(struct call *c, const struct parley_item *m, const char *where)
{
    static char text[3 * PARLEY_TEXT_MAX + 4000];
    char number[32];
    if (call_is_json(c)) {
        call_json(c, row_item_json(m));
        return;
    }
    snprintf(number, sizeof number, "#%" PRIu64, m->message.seq);
    row_item(text, sizeof text, m, where, c->se->chat ? "\n" : "\\n");
    c->se->print(c->se, number, text, true);
}

static void on_history(struct call *c, const struct parley_answer *a)
{
    bool after = c->q.direction == PARLEY_AFTER;
    uint64_t left = c->most > c->rows ? c->most - c->rows : 0;
    size_t n = a->n < left ? a->n : (size_t)left;
    for (size_t i = 0; i < n; i++)
        put_item(c, &a->items[i], "");
    c->rows += n;
    if (after && a->more_after && n && c->rows < c->most) { /* pages follow each other only forwards */
        struct parley_question q = c->q;
        q.seq = a->items[a->n - 1].message.seq;
        call_ask(c, &q, false, on_history);
        return;
    }
    if (!c->rows)
        call_say(c, "nothing");
    if (c->se->shown && !a->more_after)
        c->se->shown(c->se, c, a->conversation, a->head);
    if (!after && a->more_before && a->n)
        call_say(c, "(older: --before %" PRIu64 ")", a->items[0].message.seq);
    call_end(c, EXIT_FINE);
}

void cmd_history(struct call *c)
{
    const struct options *o = &c->opt;
    struct parley_question q = {.about = PARLEY_ASK_HISTORY, .events = o->events, .time_ms = o->at_ms};
    if (!!o->before + !!o->after + !!o->around + !!o->at_ms > 1) {
        call_usage(c, "one of --before, --after, --around, --at");
        return;
    }
    q.seq = o->before ? o->before : o->after ? o->after : o->around;
    q.direction = o->after || !o->limit   ? PARLEY_AFTER
                  : o->around || o->at_ms ? PARLEY_AROUND
                                          : PARLEY_BEFORE;
    c->most = o->limit < 0 ? LIST : o->limit ? (uint64_t)o->limit : UINT64_MAX;
    if (!o->limit && (o->before || o->around || o->at_ms)) {
        call_usage(c, "--limit 0 is everything, from the beginning or --after N on");
        return;
    }
    q.limit = c->most > 200 ? 200 : (uint32_t)c->most;
    if (c->most > 200 && q.direction != PARLEY_AFTER)
        call_say(c, "200 at a time; more with --after");
    call_ask(c, &q, true, on_history);
}

static void search_row(struct call *c, const struct parley_answer *a, size_t i)
{
    const struct parley_message *m = &a->items[i].message;
    char where[420], label[400];
    struct place p = {.group = m->group};
    const struct place *known = book_get(&c->se->book, m->conversation);
    if (known && (*known->login || *known->name))
        p = *known;
    memcpy(p.id, m->conversation, PARLEY_ID);
    if (!m->group && !*p.login)
        snprintf(p.login, sizeof p.login, "%.79s", m->own ? m->peer_login : m->sender_login);
    place_label(label, sizeof label, &p);
    show_column(where, sizeof where, label, -20);
    put_item(c, &a->items[i], c->place.has_id || *c->place.login ? "" : where);
}

void cmd_search(struct call *c)
{
    call_rows(c, ASK(.about = PARLEY_ASK_SEARCH, .text = c->text), false, 20, search_row,
              "nothing has all of it");
}

void cmd_find(struct call *c)
{
    call_rows(c, ASK(.about = PARLEY_ASK_SEARCH, .text = c->text), true, 20, search_row,
              "nothing has all of it");
}

static void change_row(struct call *c, const struct parley_answer *a, size_t i)
{
    put_item(c, &(struct parley_item){.message = a->messages[i]}, "");
}

void cmd_changes(struct call *c)
{
    call_rows(c, ASK(.about = PARLEY_ASK_CHANGES, .seq = c->args.n), true, LIST, change_row, "nothing");
}

/* ---- pins: numbers first, then each message ---- */
static void on_pinned(struct call *c, const struct parley_answer *a)
{
    const uint64_t *pins = (const uint64_t *)(const void *)c->mention;
    for (size_t i = 0; i < a->n; i++)
        if (a->items[i].message.seq == pins[c->mark])
            put_item(c, &a->items[i], "");
    if (++c->mark == c->rows) {
        call_end(c, EXIT_FINE);
        return;
    }
    struct parley_question q = c->q;
    q.seq = pins[c->mark];
    call_ask(c, &q, false, on_pinned);
}

static void on_pins(struct call *c, const struct parley_answer *a)
{
    size_t n = a->n ? a->conversations[0].pins_n : 0;
    if (!n) {
        call_say(c, "nothing is pinned");
        call_end(c, EXIT_FINE);
        return;
    }
    c->mention = malloc(n * sizeof(uint64_t));
    memcpy(c->mention, a->conversations[0].pins, n * sizeof(uint64_t));
    c->rows = n;
    call_ask(c,
             ASK(.about = PARLEY_ASK_HISTORY, .direction = PARLEY_AROUND, .limit = 2,
                 .seq = a->conversations[0].pins[0]),
             true, on_pinned);
}

void cmd_pins(struct call *c)
{
    call_ask(c, ASK(.about = PARLEY_ASK_CONVERSATION), true, on_pins);
}

/* ---- one conversation ---- */
static void info_text(struct call *c, const struct parley_conversation *v)
{
    char id[2 * PARLEY_ID + 1], text[8000], flags[80], when[32], label[200];
    struct place p = {0};
    place_take(&p, v);
    place_label(label, sizeof label, &p);
    hex_encode(id, v->id, PARLEY_ID);
    call_line(c, "%s", label);
    call_line(c, "  id       %s", id);
    if (v->group) {
        options_flags_text(flags, sizeof flags, v->flags);
        call_line(c, "  members  %u; you: %s%s", (unsigned)v->members, row_role(v->role),
                  v->dissolved ? "; dissolved" : "");
        call_line(c, "  settings %s", *flags ? flags : "none");
        show_clean(text, sizeof text, v->notice, c->se->chat ? "\n" : "\\n");
        if (*text)
            call_line(c, "  notice   %s", text);
    } else if (!v->system) {
        show_clean(text, sizeof text, v->peer_name, " ");
        call_line(c, "  name     %s", text);
        call_line(c, "  friend   %s%s",
                  v->friend_state == PARLEY_FRIEND     ? "yes"
                  : v->friend_state == PARLEY_ASKED    ? "you asked"
                  : v->friend_state == PARLEY_ASKED_ME ? "asks you"
                                                       : "no",
                  v->blocked ? "; blocked" : "");
        call_line(c, "  they have delivered #%" PRIu64 ", read #%" PRIu64, v->peer_delivered, v->peer_read);
    }
    call_line(c, "  messages up to #%" PRIu64 ", read #%" PRIu64 ", %u unread, %zu pinned", v->head, v->read,
              (unsigned)v->unread, v->pins_n);
    show_iso(when, v->created_ms);
    show_clean(text, sizeof text, v->remark, " ");
    call_line(c, "  began    %s%s%s%s%s", when, v->pinned ? "; kept on top" : "", v->muted ? "; silent" : "",
              *text ? "; remark: " : "", text);
    if (v->muted_until_ms)
        call_line(c, "  you are muted here");
}

static void on_info(struct call *c, const struct parley_answer *a)
{
    if (a->n && call_is_json(c))
        call_json(c, row_conversation_json(&a->conversations[0]));
    else if (a->n)
        info_text(c, &a->conversations[0]);
    call_end(c, EXIT_FINE);
}

void cmd_info(struct call *c)
{
    call_ask(c, ASK(.about = PARLEY_ASK_CONVERSATION), true, on_info);
}

/* ---- marks of one's own: each by itself; what is marked has to be one's own, so it is asked for first ---- */
static void on_done(struct call *c, const struct parley_answer *a)
{
    (void)a;
    call_say(c, "done");
    call_end(c, EXIT_FINE);
}

static void on_marks(struct call *c, const struct parley_answer *a)
{
    if (!a->n) {
        call_fail(c, PARLEY_NOT_A_MEMBER, "");
        return;
    }
    const struct parley_conversation *v = &a->conversations[0];
    struct parley_question q = {.about = PARLEY_DO_PREFS};
    bool on = c->args.n_words && !strcmp(c->args.words[0], "on");
    if (c->cmd->fn == cmd_keep) {
        q.marks = PARLEY_MARK_PINNED;
        q.pinned = on;
    } else if (c->cmd->fn == cmd_silence) {
        struct place *p = book_get(&c->se->book, v->id);
        q.marks = PARLEY_MARK_MUTED;
        q.muted = on;
        if (p)
            p->silent = on;
    } else {
        q.marks = PARLEY_MARK_REMARK;
        q.text = c->text ? c->text : "";
    }
    call_ask(c, &q, true, on_done);
}

static void marks(struct call *c)
{
    if (c->args.n_words && strcmp(c->args.words[0], "on") != 0 && strcmp(c->args.words[0], "off") != 0)
        call_usage(c, "on or off");
    else
        call_ask(c, ASK(.about = PARLEY_ASK_CONVERSATION), true, on_marks);
}

void cmd_keep(struct call *c)
{
    marks(c);
}

void cmd_silence(struct call *c)
{
    marks(c);
}

void cmd_remark(struct call *c)
{
    marks(c);
}
