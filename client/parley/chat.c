/* chat.c: talking: what is typed goes to the open conversation, or is a command. */
#include "client/parley/chat.h"

#include "client/parley/resolve.h"
#include "client/parley/screen.h"
#include "client/parley/show.h"
#include "common/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_MS 10000 /* at the end, for what is not accepted yet */

static volatile sig_atomic_t window_changed;

static void on_winch(int n)
{
    (void)n;
    window_changed = 1;
}

/* ---- what commands do to the chat ---- */
static void print(struct session *se, const char *head, const char *text, bool data)
{
    char mark[32] = "";
    (void)se;
    snprintf(mark, sizeof mark, "%s%.20s%s", screen_is_terminal() ? "    " : "", head,
             screen_is_terminal() ? "" : " ");
    if (*head && screen_is_terminal())
        screen_print(mark, SCREEN_DIM, "", text);
    else if (*head)
        screen_print("", SCREEN_NONE, mark, text);
    else
        screen_print(NULL, SCREEN_DIM, data ? "" : "* ", text);
}

static void open_place(struct session *se, const struct place *p)
{
    struct chat *c = se->run->of;
    char line[] = "/history --limit 10";
    se->open = *p;
    c->typing_until = 0;
    chat_prompt(c);
    chat_say(c, line);
}

/* The newest of a conversation was on the screen. */
static void shown(struct session *se, const struct call *call, const uint8_t *conv, uint64_t head)
{
    struct chat *c = se->run->of;
    struct place *p = book_get(&se->book, conv);
    if (!p)
        return;
    if (!*p->login && *call->place.login)
        snprintf(p->login, sizeof p->login, "%s", call->place.login);
    p->group |= call->place.group;
    p->head = head > p->head ? head : p->head;
    if (!se->open.has_id && *se->open.login && !strcmp(se->open.login, call->place.login))
        se->open = *p;
    if (!chat_is_open(c, conv))
        return;
    if (head)
        parley_read(se->run->p, conv, head);
    p->seen = head;
    p->unread = 0;
    chat_prompt(c);
}

static void leave(struct session *se)
{
    struct chat *c = se->run->of;
    if (c->ending)
        return;
    c->ending = true;
    if (parley_unresolved(c->run.p) && parley_state(c->run.p) != PARLEY_ONLINE)
        chat_notice("waiting for what is not sent yet; Ctrl-C leaves at once");
    parley_stop(c->run.p, LINGER_MS);
}

void cmd_quit(struct call *call)
{
    struct session *se = call->se;
    call_end(call, EXIT_FINE);
    leave(se);
}

/* ---- open ---- */
static void open_now(struct call *call)
{
    struct session *se = call->se;
    struct place p = call->place;
    call_end(call, EXIT_FINE);
    open_place(se, &p);
}

static void on_person(struct call *call, const struct parley_answer *a)
{
    struct session *se = call->se;
    if (a->n) { /* and tell when they come and go */
        const uint8_t(*id)[PARLEY_ID] = &a->users[0].person.user;
        const char *login = a->users[0].person.login;
        snprintf(call->place.login, sizeof call->place.login, "%s", login);
        session_watch(se, id, &login, 1);
        parley_watch(se->run->p, id, 1, NULL);
        open_now(call);
    } else { /* nobody is called so; maybe a group is */
        char name[sizeof call->place.login];
        memcpy(name, call->place.login, sizeof name);
        call->place = (struct place){0};
        resolve_group(call, name, open_now);
    }
}

void cmd_open(struct call *call)
{
    static const char *login;
    login = call->place.login;
    if (strchr(login, ' ')) /* no account is called so */
        on_person(call, &(struct parley_answer){0});
    else if (!*login || parley_state(call->se->run->p) != PARLEY_ONLINE)
        open_now(call); /* who cannot be asked about is taken on trust */
    else
        call_ask(call, &(struct parley_question){.about = PARLEY_ASK_USERS, .logins = &login, .logins_n = 1},
                 false, on_person);
}

/* ---- what is typed ---- */
/* "NAME: text": the name's length, 0 when it is none. */
static size_t prefix(const char *text)
{
    size_t n = 0;
    while (text[n] &&
           (isalnum((unsigned char)text[n]) || strchr("+@._-", text[n]) || (unsigned char)text[n] >= 0x80))
        n++;
    return n >= 2 && n <= 64 && text[n] == ':' && text[n + 1] == ' ' ? n : 0;
}

/* Cuts into words at blanks; "a b" is one. off: where each begins in `text`. */
static int words_of(const char *text, char *copy, char **v, size_t *off, int most)
{
    int n = 0;
    char *to = copy;
    for (const char *at = text; n < most;) {
        at += strspn(at, " \t");
        if (!*at)
            break;
        v[n] = to;
        off[n++] = (size_t)(at - text);
        bool quoted = *at == '"';
        at += quoted;
        while (*at && (quoted ? *at != '"' : *at != ' ' && *at != '\t'))
            *to++ = *at++;
        at += quoted && *at == '"';
        *to++ = '\0';
    }
    return n;
}

/* Where TEXT… of this command begins: after its options and the words that stand before it. */
static int text_at(const struct command *cmd, char **v, int n)
{
    int at = 0;
    while (at < n && !strncmp(v[at], "--", 2)) {
        bool value = false;
        for (size_t i = 0; i < options_count(); i++)
            value |= !strcmp(options_at(i)->name, v[at] + 2) && options_at(i)->arg;
        at += 1 + value;
    }
    for (const char *t = cmd->args; *t; t += strcspn(t, " "), t += strspn(t, " ")) {
        if (!strncmp(t + (*t == '['), "TEXT…", strlen("TEXT…")))
            return at;
        at += !command_left_out(t);
    }
    return n;
}

void chat_say(struct chat *c, char *line)
{
    static char copy[65600];
    char *v[COMMAND_WORDS + 3];
    size_t off[COMMAND_WORDS + 3];
    int used, code;
    const char *text = line + 1;
    int n = words_of(text, copy, v, off, COMMAND_WORDS + 3);
    const struct command *cmd = n ? command_find(v, n, true, &used) : NULL;
    if (!cmd) {
        chat_notice("there is no such command; /help lists them, // begins a message with a slash");
        return;
    }
    char whole[200];
    if (cmd->fn == cmd_open && n - used > 1) { /* a name with blanks in it */
        snprintf(whole, sizeof whole, "%s", text + off[used]);
        v[used] = whole;
        n = used + 1;
    }
    int raw = text_at(cmd, v + used, n - used) + used;
    struct call *call = call_new(&c->se, cmd, n - used, v + used, raw < n ? text + off[raw] : NULL, &code);
    if (call)
        call_start(call);
}

static void message(struct chat *c, const char *to, const char *text)
{
    int code, used;
    char send[] = "send", words[200], *v[] = {send, words, NULL};
    const struct command *cmd = command_find(v, 1, true, &used);
    struct place open = c->se.open;
    snprintf(words, sizeof words, "%s", to ? to : "@open");
    char *args[] = {words, words};
    struct call *call = call_new(&c->se, cmd, 2, args, text, &code);
    if (!call)
        return;
    call->place = open;
    if (to)
        call_start(call);
    else
        cmd->fn(call);
}

/* From a pipe each line waits for what the one before it asked. */
static bool idle(void *arg)
{
    const struct chat *c = arg;
    return c->run.done || run_signal || (!c->se.calls && parley_state(c->run.p) == PARLEY_ONLINE);
}

static void on_line(void *ctx, char *text)
{
    struct chat *c = ctx;
    size_t n;
    if (!screen_is_terminal())
        (void)parley_wait(c->run.p, idle, c, LINGER_MS);
    if (!text) {
        leave(&c->se);
    } else if ((text[0] == '/' || text[0] == ':') && text[1] != '/') {
        chat_say(c, text);
    } else if (text[0] == '/' && (c->se.open.has_id || *c->se.open.login)) {
        message(c, NULL, text + 1);
    } else if ((n = prefix(text)) != 0) {
        text[n] = '\0';
        if (text[n + 1 + strspn(text + n + 1, " ")])
            message(c, text, text + n + 1 + strspn(text + n + 1, " "));
    } else if (text[strspn(text, " \t")]) {
        if (c->se.open.has_id || *c->se.open.login)
            message(c, NULL, text);
        else
            chat_notice("to whom? /open bob, /open +lunch, or bob: text");
    }
}

/* ---- the loop ---- */
static bool logged_in(void *arg)
{
    const struct run *r = arg;
    return r->done || run_signal || parley_state(r->p) == PARLEY_ONLINE || r->told_away;
}

static void turn(struct chat *c, int64_t now)
{
    const char *typed = screen_typed();
    if (window_changed) {
        window_changed = 0;
        screen_resize();
    }
    if (c->typing_until && now >= c->typing_until) {
        c->typing_until = 0;
        chat_prompt(c);
    }
    if (*typed && *typed != '/' && *typed != ':' && !prefix(typed) && c->se.open.has_id && !c->se.open.system)
        parley_typing(c->run.p, c->se.open.id, false);
    if (!c->greeted && parley_state(c->run.p) == PARLEY_ONLINE) {
        char line[] = "/unread";
        c->greeted = true;
        chat_say(c, line);
    }
}

static void loop(struct chat *c)
{
    struct run *r = &c->run;
    while (!r->done && !run_signal) {
        struct pollfd f[2] = {{.fd = c->ending ? -1 : screen_fd(), .events = POLLIN},
                              {.fd = parley_fd(r->p), .events = parley_events(r->p)}};
        int wait = parley_timeout(r->p);
        int64_t left = c->typing_until ? c->typing_until - clock_mono_ms() : -1;
        if (c->typing_until && (wait < 0 || left < wait))
            wait = left > 0 ? (int)left : 0;
        int n = poll(f, 2, wait);
        if (n > 0 && f[0].revents) {
            screen_input();
            turn(c, clock_mono_ms());
        }
        if (parley_process(r->p, n > 0 ? f[1].revents : 0) && !r->done)
            run_finish(r, run_exit_of(r->why));
        if (!(n > 0 && f[0].revents))
            turn(c, clock_mono_ms());
    }
}

int shell_chat(struct settings *s, const struct options *o, int argc, char **argv)
{
    static struct chat c;
    struct parley_callbacks cb;
    struct sigaction sa = {.sa_handler = on_winch};
    (void)o;
    c.run.of = &c;
    c.se = (struct session){
        .run = &c.run, .chat = true, .print = print, .sending = chat_sending, .shown = shown};
    chat_callbacks(&cb);
    screen_look();
    int rc = run_open(&c.run, s, &cb, "terminal");
    if (!rc)
        rc = run_login(&c.run);
    if (!rc && parley_wait(c.run.p, logged_in, &c.run, 3000) != -ETIMEDOUT && c.run.done)
        rc = c.run.exit_code;
    if (!rc && !run_signal) {
        sigaction(SIGWINCH, &sa, NULL);
        rc = screen_open(on_line, &c) ? EXIT_TROUBLE : 0;
        c.open = true;
        chat_prompt(&c);
        if (!rc) {
            chat_notice("/help lists the commands, /q leaves");
            if (argc) {
                char line[200];
                snprintf(line, sizeof line, "/open %s", argv[0]);
                chat_say(&c, line);
            }
            loop(&c);
            rc = c.run.done ? c.run.exit_code : EXIT_FINE;
        }
        screen_close();
    }
    run_close(&c.run);
    session_release(&c.se);
    return rc;
}
