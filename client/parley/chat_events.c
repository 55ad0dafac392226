/* chat_events.c: what the chat shows of what comes: messages, events, ticks, receipts, typing. */
#include "client/parley/chat.h"

#include "client/parley/screen.h"
#include "client/parley/show_rows.h"
#include "common/base/clock.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

void chat_notice(const char *text)
{
    screen_print(NULL, SCREEN_DIM, "* ", text);
}

bool chat_is_open(const struct chat *c, const uint8_t conv[PARLEY_ID])
{
    return c->se.open.has_id && !memcmp(c->se.open.id, conv, PARLEY_ID);
}

void chat_prompt(struct chat *c)
{
    char text[400], me[100], to[100] = "", typist[100], more[40] = "";
    const char *name = parley_login_name(c->run.p);
    unsigned unread = 0;
    for (const struct place *p = c->se.book.all; p; p = p->hh.next)
        unread += p->unread && !chat_is_open(c, p->id);
    if (unread)
        snprintf(more, sizeof more, " [%u unread]", unread);
    show_column(me, sizeof me, *name ? name : c->run.s->user, -20);
    if (c->se.open.has_id || *c->se.open.login) {
        char label[420];
        place_label(label, sizeof label, &c->se.open);
        show_column(to, sizeof to, label, -24);
    }
    show_column(typist, sizeof typist, c->typing_until ? c->typist : "", -12);
    snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s> ", me,
             parley_state(c->run.p) == PARLEY_ONLINE ? "" : " (offline)", more,
             !*to            ? ""
             : screen_utf8() ? " → "
                             : " to ",
             to, *typist ? " (" : "", typist, *typist ? " types)" : "");
    screen_prompt(text);
}

/* ---- ticks ---- */
static const char *tick_of(const struct chat_line *l, const struct place *p)
{
    bool u = screen_utf8();
    if (l->stage == PARLEY_NOT_SENT)
        return u ? "✗" : "x";
    if (!l->stage)
        return u ? "·" : ".";
    if (l->stage == PARLEY_SEQUENCED && p && p->read >= l->seq)
        return u ? "✓✓r" : "++r";
    if (l->stage == PARLEY_SEQUENCED && p && p->delivered >= l->seq)
        return u ? "✓✓" : "++";
    return u ? "✓" : "+";
}

static enum screen_colour colour_of(const char *tick)
{
    size_t n = strlen(tick);
    return *tick == 'x' || !strcmp(tick, "✗") ? SCREEN_RED
           : n && tick[n - 1] == 'r'          ? SCREEN_GREEN
                                              : SCREEN_DIM;
}

/* "✓✓r #12"; the number is left out when it does not fit. */
static void mark_of(char *out, size_t n, const char *tick, uint64_t seq)
{
    int w = show_width(tick);
    char number[24] = "";
    if (seq && seq < 100000)
        snprintf(number, sizeof number, "#%" PRIu64, seq);
    snprintf(out, n, "%s%*s%s", tick, w < 4 ? 4 - w : 0, "", number);
}

static void show_tick(struct chat *c, struct chat_line *l, const struct place *p)
{
    char mark[48];
    const char *tick = tick_of(l, p);
    bool numbered = l->stage == PARLEY_SEQUENCED;
    if (!strcmp(l->tick, tick) && !numbered)
        return;
    snprintf(l->tick, sizeof l->tick, "%s", tick);
    mark_of(mark, sizeof mark, tick, l->seq);
    screen_mark(l->place, mark, colour_of(tick));
    (void)c;
}

void chat_ticks(struct chat *c, const struct place *p)
{
    for (size_t i = c->n_lines > CHAT_KEPT ? c->n_lines - CHAT_KEPT : 0; i < c->n_lines; i++) {
        struct chat_line *l = &c->lines[i % CHAT_KEPT];
        if (l->seq && !memcmp(l->conv, p->id, PARLEY_ID) && strcmp(l->tick, tick_of(l, p)) != 0)
            show_tick(c, l, p);
    }
}

void chat_sending(struct session *se, const struct place *p, int64_t id, const char *text)
{
    struct chat *c = se->run->of;
    char head[300], when[16], label[420], to[120], mark[48], me[100];
    struct chat_line *l = &c->lines[c->n_lines++ % CHAT_KEPT];
    *l = (struct chat_line){.id = id};
    show_time(when, clock_wall_ms());
    place_label(label, sizeof label, p);
    show_column(to, sizeof to, label, -40);
    show_column(me, sizeof me, parley_login_name(c->run.p), -40);
    snprintf(head, sizeof head, "%s %s%s%s: ", when, me, screen_utf8() ? " → " : " to ", to);
    show_clean(c->scratch, sizeof c->scratch, text, screen_is_terminal() ? "\n" : "\\n");
    snprintf(l->tick, sizeof l->tick, "%s", tick_of(l, NULL));
    mark_of(mark, sizeof mark, l->tick, 0);
    if (p->has_id) /* what is typed next is told at once */
        parley_typing(c->run.p, p->id, true);
    if (screen_is_terminal())
        l->place = screen_print(mark, SCREEN_DIM, head, c->scratch);
}

static void on_sent(void *ctx, const struct parley_sent *s)
{
    struct chat *c = ((struct run *)ctx)->of;
    char text[400], to[100];
    struct chat_line *l = NULL;
    if (session_sent(&c->se, s))
        return;
    for (size_t i = c->n_lines > CHAT_KEPT ? c->n_lines - CHAT_KEPT : 0; i < c->n_lines && !l; i++)
        if (c->lines[i % CHAT_KEPT].id == (int64_t)s->id)
            l = &c->lines[i % CHAT_KEPT];
    const struct place *p = NULL;
    if (s->stage == PARLEY_SEQUENCED) {
        struct place *known = book_get(&c->se.book, s->conversation);
        if (known && !*known->login && *s->to)
            snprintf(known->login, sizeof known->login, "%s", s->to);
        if (known && *known->login && !c->se.open.has_id && !strcasecmp(c->se.open.login, known->login))
            c->se.open = *known;
        if (known && known->head < s->seq)
            known->head = s->seq;
        p = known;
    }
    if (l) {
        l->stage = s->stage;
        l->seq = s->seq;
        memcpy(l->conv, s->conversation, PARLEY_ID);
        show_tick(c, l, p);
    }
    show_clean(to, sizeof to, s->to, "?");
    if (s->stage == PARLEY_NOT_SENT) {
        snprintf(text, sizeof text, "not sent%s%s: %s", *to ? " to " : "", to, parley_code_text(s->code));
        screen_print(screen_utf8() ? "✗" : "x", SCREEN_RED, text, "");
    } else if (!screen_is_terminal()) {
        snprintf(text, sizeof text, "[%" PRIu64 "] %s", s->id,
                 s->stage == PARLEY_ACCEPTED ? "accepted" : "sequenced");
        if (s->seq)
            snprintf(text + strlen(text), sizeof text - strlen(text), " #%" PRIu64, s->seq);
        screen_print("", SCREEN_NONE, text, "");
    }
}

/* ---- what others do ---- */
static void on_named(void *arg, const struct parley_answer *a)
{
    struct chat *c = arg;
    struct place *p = a->code || a->n != 1 ? NULL : book_get(&c->se.book, a->conversations[0].id);
    if (!p)
        return;
    uint32_t unread = p->unread;
    place_take(p, &a->conversations[0]);
    p->unread = unread;
    if (chat_is_open(c, p->id))
        c->se.open = *p;
    chat_prompt(c);
}

static struct place *place_of(struct chat *c, const struct parley_message *m)
{
    struct place *p = book_get(&c->se.book, m->conversation);
    if (!p)
        return NULL;
    p->group = m->group;
    p->head = m->seq > p->head ? m->seq : p->head;
    if (m->kind == PARLEY_ANNOUNCEMENT) {
        p->system = true;
        snprintf(p->name, sizeof p->name, "system");
    } else if (!m->group && !*p->login) {
        snprintf(p->login, sizeof p->login, "%s", m->own ? m->peer_login : m->sender_login);
    } else if (m->kind == PARLEY_GROUP_CREATE || m->kind == PARLEY_GROUP_RENAME) {
        snprintf(p->name, sizeof p->name, "%s", m->text);
        if (chat_is_open(c, p->id))
            snprintf(c->se.open.name, sizeof c->se.open.name, "%s", m->text);
    } else if (m->group && !*p->name) {
        parley_ask(c->run.p,
                   &(struct parley_question){.about = PARLEY_ASK_CONVERSATION, .conversation = p->id},
                   on_named, c);
    }
    if (!c->se.open.has_id && *c->se.open.login && !strcasecmp(c->se.open.login, p->login))
        c->se.open = *p;
    return p;
}

/* In the open conversation whole; of another one line, and it counts as unread. */
static void print_event(struct chat *c, const struct parley_message *m, const struct place *p, bool here)
{
    char mark[48], head[600], when[16], label[420], place[120], number[32] = "";
    bool message = m->kind == PARLEY_MESSAGE, plain = !screen_is_terminal();
    show_event(c->scratch, sizeof c->scratch, m, here && !plain ? "\n" : plain ? "\\n" : " ");
    show_time(when, m->time_ms);
    mark_of(mark, sizeof mark, "", here ? m->seq : 0);
    if (plain)
        snprintf(number, sizeof number, "#%" PRIu64 " ", m->seq);
    place_label(label, sizeof label, p);
    show_column(place, sizeof place, label, -24);
    size_t who = message ? strcspn(c->scratch, ":") : 0;
    bool tell = !here && (m->group || m->own);
    snprintf(head, sizeof head, "%s%s %s%s%s%.*s%s", number, when, tell ? "(" : "", tell ? place : "",
             tell ? ") " : "", (int)(who > 100 ? 100 : who), c->scratch, message ? ":" : "");
    char *text = c->scratch + who + message;
    if (!here && !plain) { /* one line */
        static char cut[CHAT_LINE_SIZE];
        int left = screen_columns() - SCREEN_MARK - show_width(head) - 1;
        show_column(cut, sizeof cut, text, left > 10 ? -left : -10);
        text = cut;
    }
    screen_print(mark, here ? message ? SCREEN_CYAN : SCREEN_DIM : SCREEN_DIM, head, text);
}

static void on_message(void *ctx, const struct parley_message *m)
{
    struct chat *c = ((struct run *)ctx)->of;
    char earlier[100];
    struct place *p = place_of(c, m);
    if (!p)
        return;
    bool says = m->kind == PARLEY_MESSAGE || m->kind == PARLEY_ANNOUNCEMENT;
    if (!c->se.open.has_id && !*c->se.open.login && says && !m->own && !p->system)
        c->se.open = *p; /* the first who writes is answered */
    bool here = chat_is_open(c, m->conversation);
    if (m->missed) {
        snprintf(earlier, sizeof earlier, "(%" PRIu64 " before this one are only in history)", m->missed);
        chat_notice(earlier);
    }
    print_event(c, m, p, here);
    if (here) {
        parley_read(c->run.p, p->id, m->seq);
        p->seen = m->seq;
        p->unread = 0;
    } else if (says && !m->own) {
        p->unread++;
        if (!p->silent || m->me)
            screen_bell();
    }
    if (!strcmp(c->typist, m->sender_login))
        c->typing_until = 0;
    chat_prompt(c);
}

static void on_note(void *ctx, const struct parley_note *m)
{
    struct chat *c = ((struct run *)ctx)->of;
    char text[5000], line[5600], label[420];
    struct place *p = book_get(&c->se.book, m->conversation);
    show_note(text, sizeof text, m);
    if (p)
        place_label(label, sizeof label, p);
    snprintf(line, sizeof line, "%s%s%s%s", p && p->group ? "(" : "", p && p->group ? label : "",
             p && p->group ? ") " : "", text);
    chat_notice(line);
}

static void on_receipt(void *ctx, const struct parley_receipt *m)
{
    struct chat *c = ((struct run *)ctx)->of;
    struct place *p = book_get(&c->se.book, m->conversation);
    if (!p)
        return;
    if (m->own) { /* read on another device */
        p->seen = m->read > p->seen ? m->read : p->seen;
        if (p->seen >= p->head)
            p->unread = 0;
        chat_prompt(c);
        return;
    }
    p->read = m->read > p->read ? m->read : p->read;
    p->delivered = m->delivered > p->delivered ? m->delivered : p->delivered;
    chat_ticks(c, p);
}

static void on_typing(void *ctx, const struct parley_typist *m)
{
    struct chat *c = ((struct run *)ctx)->of;
    if (!chat_is_open(c, m->conversation))
        return;
    snprintf(c->typist, sizeof c->typist, "%s", m->login);
    c->typing_until = m->stopped ? 0 : clock_mono_ms() + CHAT_TYPING_MS;
    chat_prompt(c);
}

static void on_presence(void *ctx, const struct parley_presence *v, size_t n)
{
    struct chat *c = ((struct run *)ctx)->of;
    session_presence(&c->se, v, n);
}

/* ---- the connection ---- */
static void on_state(void *ctx, enum parley_state st, enum parley_code why, const char *detail)
{
    struct run *r = ctx;
    struct chat *c = r->of;
    char text[300], clean[200];
    if (!c->open) {
        run_state(ctx, st, why, detail);
        return;
    }
    show_clean(clean, sizeof clean, detail, " ");
    if (st == PARLEY_ONLINE) {
        settings_remember(r->s, parley_login_name(r->p));
        snprintf(text, sizeof text, "online at %s", parley_server(r->p));
        chat_notice(text);
    } else if (st == PARLEY_OFFLINE && r->why != why) {
        snprintf(text, sizeof text, "offline: %s%s%s", parley_code_text(why), *clean ? ": " : "", clean);
        chat_notice(text);
    } else if (st == PARLEY_ENDED && why != PARLEY_STOPPED) {
        snprintf(text, sizeof text, "%s%s%s", parley_code_text(why), *clean ? ": " : "", clean);
        screen_print("", SCREEN_RED, text, "");
    }
    r->why = st == PARLEY_ONLINE ? PARLEY_OK : st == PARLEY_OFFLINE || st == PARLEY_ENDED ? why : r->why;
    if (st == PARLEY_ENDED)
        run_finish(r, run_exit_of(why));
    chat_prompt(c);
}

static void on_error(void *ctx, enum parley_code code, const char *detail)
{
    struct chat *c = ((struct run *)ctx)->of;
    char text[300], clean[200];
    if (code == PARLEY_UNREACHABLE && c->open)
        return; /* the state tells it, once */
    show_clean(clean, sizeof clean, detail, " ");
    snprintf(text, sizeof text, "%s%s%s", parley_code_text(code), *clean ? ": " : "", clean);
    if (c->open)
        chat_notice(text);
    else
        complain("%s", text);
}

void chat_callbacks(struct parley_callbacks *cb)
{
    *cb = (struct parley_callbacks){.state = on_state,
                                    .message = on_message,
                                    .event = on_message,
                                    .sent = on_sent,
                                    .note = on_note,
                                    .receipt = on_receipt,
                                    .typing = on_typing,
                                    .presence = on_presence,
                                    .error = on_error};
}
