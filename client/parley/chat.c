/* chat.c: talking: what is typed goes to the one chosen, what comes in scrolls above. */
#include "client/parley/commands.h"

#include "client/parley/run.h"
#include "client/parley/screen.h"
#include "client/parley/show.h"
#include "common/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define KEPT      1000  /* lines of :history */
#define LINGER_MS 10000 /* at the end, for what is not accepted yet */
#define TEXT_SIZE (3 * PARLEY_TEXT_MAX + 8)

struct line {
    int64_t id; /* of a send; 0: came in */
    long place;
    enum parley_stage stage; /* 0: on its way */
    char *head, *text;
};

struct chat {
    struct run run;
    char to[128];    /* "": nobody chosen */
    char asked[128]; /* :to waits for the answer */
    struct line kept[KEPT];
    size_t n; /* ever kept; the last KEPT are there */
    bool open, ending;
    char scratch[TEXT_SIZE];
};

static volatile sig_atomic_t window_changed;

static void on_winch(int n)
{
    (void)n;
    window_changed = 1;
}

static const char *mark_of(enum parley_stage s)
{
    bool u = screen_utf8();
    switch (s) {
    case PARLEY_ACCEPTED:
        return u ? "✓" : "+";
    case PARLEY_SEQUENCED:
        return u ? "✓✓" : "++";
    case PARLEY_NOT_SENT:
        return u ? "✗" : "x";
    default:
        return u ? "·" : ".";
    }
}

static enum screen_colour colour_of(enum parley_stage s)
{
    return s == PARLEY_NOT_SENT ? SCREEN_RED : s == PARLEY_SEQUENCED ? SCREEN_GREEN : SCREEN_DIM;
}

static void notice(const char *text)
{
    screen_print("", SCREEN_DIM, text, "");
}

static void prompt(struct chat *c)
{
    char text[200], me[100], to[100];
    const char *name = parley_login_name(c->run.p);
    show_clean(me, sizeof me, *name ? name : c->run.s->user, "?");
    show_clean(to, sizeof to, c->to, "?");
    snprintf(text, sizeof text, "%.64s%s%s%.64s> ", me,
             parley_state(c->run.p) == PARLEY_ONLINE ? "" : " (offline)",
             !*to            ? ""
             : screen_utf8() ? " → "
                             : " to ",
             to);
    screen_prompt(text);
}

static struct line *keep(struct chat *c, int64_t id, const char *head, const char *text)
{
    struct line *l = &c->kept[c->n++ % KEPT];
    free(l->head);
    free(l->text);
    *l = (struct line){.id = id, .head = strdup(head), .text = strdup(text)};
    return l;
}

static void head_of(char *out, size_t size, int64_t time_ms, const char *from, const char *to)
{
    char when[16], a[100], b[100];
    show_time(when, time_ms);
    show_clean(a, sizeof a, from, "?");
    show_clean(b, sizeof b, to, "?");
    snprintf(out, size, "%s %.64s%s%.64s: ", when, a, !*b ? "" : screen_utf8() ? " → " : " to ", b);
}

/* ---- what libparley tells ---- */
static void on_message(void *ctx, const struct parley_message *m)
{
    struct chat *c = ((struct run *)ctx)->of;
    char head[200], earlier[100];
    if (m->missed) {
        snprintf(earlier, sizeof earlier, "(%" PRIu64 " before this one are only in history)", m->missed);
        notice(earlier);
    }
    head_of(head, sizeof head, m->time_ms, m->sender_login, m->own ? m->peer_login : "");
    if (*m->content_type)
        snprintf(c->scratch, sizeof c->scratch, "[%zu bytes of data]", m->data_n);
    else
        show_clean(c->scratch, sizeof c->scratch, m->text, screen_is_terminal() ? "\n   " : "\\n");
    struct line *l = keep(c, 0, head, c->scratch);
    l->place = screen_print("", SCREEN_CYAN, head, c->scratch);
    if (!c->to[0] && !m->own) {
        snprintf(c->to, sizeof c->to, "%s", m->sender_login);
        prompt(c);
    }
}

static void on_sent(void *ctx, const struct parley_sent *s)
{
    struct chat *c = ((struct run *)ctx)->of;
    char text[300], to[100];
    for (size_t i = c->n; i-- > 0 && c->n - i <= KEPT;) {
        struct line *l = &c->kept[i % KEPT];
        if (l->id != (int64_t)s->id)
            continue;
        l->stage = s->stage;
        screen_mark(l->place, mark_of(s->stage), colour_of(s->stage));
        break;
    }
    if (s->stage == PARLEY_NOT_SENT) {
        show_clean(to, sizeof to, s->to, "?");
        snprintf(text, sizeof text, "not sent to %s: %s", to, parley_code_text(s->code));
        screen_print(mark_of(s->stage), SCREEN_RED, text, "");
    } else if (!screen_is_terminal()) {
        snprintf(text, sizeof text, "[%" PRIu64 "] %s", s->id,
                 s->stage == PARLEY_ACCEPTED ? "accepted" : "sequenced");
        screen_print("", SCREEN_NONE, text, "");
    }
}

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
        notice(text);
    } else if (st == PARLEY_OFFLINE && r->why != why) {
        snprintf(text, sizeof text, "offline: %s%s%s", parley_code_text(why), *clean ? ": " : "", clean);
        notice(text);
    } else if (st == PARLEY_ENDED && why != PARLEY_STOPPED) {
        snprintf(text, sizeof text, "%s%s%s", parley_code_text(why), *clean ? ": " : "", clean);
        screen_print("", SCREEN_RED, text, "");
    }
    r->why = st == PARLEY_ONLINE ? PARLEY_OK : st == PARLEY_OFFLINE || st == PARLEY_ENDED ? why : r->why;
    if (st == PARLEY_ENDED)
        run_finish(r, run_exit_of(why));
    prompt(c);
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
        notice(text);
    else
        complain("%s", text);
}

static void on_exists(void *ctx, const char *login, enum parley_code code, bool exists, const uint8_t *user)
{
    struct chat *c = ((struct run *)ctx)->of;
    char text[300];
    (void)user;
    if (strcmp(login, c->asked) != 0)
        return;
    c->asked[0] = '\0';
    if (code || exists) { /* when it cannot be asked, it is taken on trust */
        snprintf(c->to, sizeof c->to, "%s", login);
        prompt(c);
    } else {
        snprintf(text, sizeof text, "there is no account %s", login);
        notice(text);
    }
}

/* ---- what is typed ---- */
static void say(struct chat *c, const char *to, const char *text)
{
    char head[200];
    int64_t id = parley_send_text(c->run.p, to, text);
    if (id < 0) {
        notice(id == -ENOBUFS    ? "too many messages wait already"
               : id == -EMSGSIZE ? "too long"
                                 : "that is not text (UTF-8)");
        return;
    }
    head_of(head, sizeof head, clock_wall_ms(), parley_login_name(c->run.p), to);
    show_clean(c->scratch, sizeof c->scratch, text, " ");
    struct line *l = keep(c, id, head, c->scratch);
    if (screen_is_terminal())
        l->place = screen_print(mark_of(0), SCREEN_DIM, head, c->scratch);
}

static void history_lines(struct chat *c)
{
    for (size_t i = c->n > KEPT ? c->n - KEPT : 0; i < c->n; i++) {
        const struct line *l = &c->kept[i % KEPT];
        screen_print(l->id ? mark_of(l->stage) : "", l->id ? colour_of(l->stage) : SCREEN_CYAN,
                     l->head ? l->head : "", l->text ? l->text : "");
    }
    if (!c->n)
        notice("nothing was said yet");
}

static void who(struct chat *c)
{
    static const char *const names[] = {"offline", "connecting", "connected", "online", "ended"};
    char text[400];
    struct parley *p = c->run.p;
    snprintf(text, sizeof text, "%s as %s, device %s", names[parley_state(p)], parley_login_name(p),
             parley_device_id(p));
    notice(text);
    snprintf(text, sizeof text, "server %s (%s); %zu messages without an outcome", parley_server(p),
             parley_edge(p), parley_unresolved(p));
    notice(text);
}

static void help(void)
{
    static const char *const lines[] = {
        ":to NAME     talk to NAME from now on",
        "NAME: text   one message to NAME (a leading space: no)",
        ":who         am I online, where, as whom",
        ":history     what was said since this program started",
        ":q           leave",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        notice(lines[i]);
    notice(screen_utf8()
               ? "· on its way  ✓ accepted: it is durable  ✓✓ sequenced: it has its place  ✗ refused"
               : ". on its way  + accepted: it is durable  ++ sequenced: it has its place  x refused");
}

static void leave(struct chat *c)
{
    if (c->ending)
        return;
    c->ending = true;
    if (parley_unresolved(c->run.p) && parley_state(c->run.p) != PARLEY_ONLINE)
        notice("waiting for what is not sent yet; Ctrl-C leaves at once");
    parley_stop(c->run.p, LINGER_MS);
}

/* "NAME: text": the name's length, 0 when it is none. */
static size_t prefix(const char *text)
{
    size_t n = 0;
    while (text[n] &&
           (isalnum((unsigned char)text[n]) || strchr("._-", text[n]) || (unsigned char)text[n] >= 0x80))
        n++;
    return n >= 2 && n <= 64 && text[n] == ':' && text[n + 1] == ' ' ? n : 0;
}

static void command(struct chat *c, char *text)
{
    char *arg = text + strcspn(text, " ");
    if (*arg)
        *arg++ = '\0';
    arg += strspn(arg, " ");
    arg[strcspn(arg, " ")] = '\0';
    if (!strcmp(text, ":q") || !strcmp(text, ":quit"))
        leave(c);
    else if (!strcmp(text, ":help") || !strcmp(text, ":h"))
        help();
    else if (!strcmp(text, ":who"))
        who(c);
    else if (!strcmp(text, ":history"))
        history_lines(c);
    else if (!strcmp(text, ":to") && *arg) {
        snprintf(c->asked, sizeof c->asked, "%s", arg);
        if (parley_state(c->run.p) == PARLEY_ONLINE)
            parley_exists(c->run.p, arg);
        else
            on_exists(&c->run, arg, PARLEY_UNREACHABLE, false, NULL);
    } else
        notice("there is no such command; :help lists them");
}

static void on_line(void *ctx, char *text)
{
    struct chat *c = ctx;
    size_t n;
    if (!text) {
        leave(c);
    } else if (text[0] == ':') {
        command(c, text);
    } else if ((n = prefix(text)) != 0) {
        text[n] = '\0';
        if (text[n + 1 + strspn(text + n + 1, " ")])
            say(c, text, text + n + 1 + strspn(text + n + 1, " "));
    } else if (text[strspn(text, " \t")]) {
        if (c->to[0])
            say(c, c->to, text);
        else
            notice("to whom? :to NAME, or NAME: text");
    }
}

static bool logged_in(void *arg)
{
    const struct run *r = arg;
    return r->done || run_signal || parley_state(r->p) == PARLEY_ONLINE || r->told_away;
}

static void loop(struct chat *c)
{
    struct run *r = &c->run;
    while (!r->done && !run_signal) {
        struct pollfd f[2] = {{.fd = c->ending ? -1 : screen_fd(), .events = POLLIN},
                              {.fd = parley_fd(r->p), .events = parley_events(r->p)}};
        int n = poll(f, 2, parley_timeout(r->p));
        if (window_changed) {
            window_changed = 0;
            screen_resize();
        }
        if (n > 0 && f[0].revents)
            screen_input();
        if (parley_process(r->p, n > 0 ? f[1].revents : 0) && !r->done)
            run_finish(r, run_exit_of(r->why));
    }
}

int command_chat(struct settings *s, int argc, char **argv)
{
    static struct chat c;
    struct parley_callbacks cb = {
        .state = on_state, .message = on_message, .sent = on_sent, .error = on_error, .exists = on_exists};
    struct sigaction sa = {.sa_handler = on_winch};
    if (argc > 2) {
        complain("usage: parley [options] chat [NAME]");
        return EXIT_USAGE;
    }
    c.run.of = &c;
    if (argc == 2)
        snprintf(c.to, sizeof c.to, "%s", argv[1]);
    int rc = run_open(&c.run, s, &cb, "terminal");
    if (!rc)
        rc = run_login(&c.run);
    if (!rc && parley_wait(c.run.p, logged_in, &c.run, 3000) != -ETIMEDOUT && c.run.done)
        rc = c.run.exit_code;
    if (!rc && !run_signal) {
        sigaction(SIGWINCH, &sa, NULL);
        rc = screen_open(on_line, &c) ? EXIT_TROUBLE : 0;
        c.open = true;
        prompt(&c);
        if (!rc) {
            notice(":help lists the commands, :q leaves");
            loop(&c);
            rc = c.run.done ? c.run.exit_code : EXIT_FINE;
        }
        screen_close();
    }
    run_close(&c.run);
    for (size_t i = 0; i < KEPT; i++) {
        free(c.kept[i].head);
        free(c.kept[i].text);
    }
    return rc;
}
