#include "client/parley/run.h"

#include "common/base/clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define GOODBYE_MS 2000
#define OUTCOME_MS 500

volatile int run_signal;

static void on_signal(int n)
{
    run_signal = n;
}

void run_catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: a wait ends */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int run_exit_of(enum parley_code code)
{
    switch (code) {
    case PARLEY_OK:
    case PARLEY_STOPPED:
        return EXIT_FINE;
    case PARLEY_NOT_LOGGED_IN:
    case PARLEY_BAD_CREDENTIALS:
    case PARLEY_BAD_TOKEN:
    case PARLEY_TOKEN_EXPIRED:
    case PARLEY_SESSION_REPLACED:
    case PARLEY_SESSION_REVOKED:
    case PARLEY_TOO_MANY_DEVICES:
        return EXIT_LOGIN;
    case PARLEY_UNREACHABLE:
    case PARLEY_DISCONNECTED:
    case PARLEY_PROTOCOL:
    case PARLEY_BUSY:
    case PARLEY_BEHIND:
    case PARLEY_TOO_MANY_UNRESOLVED:
    case PARLEY_TOO_MANY_REQUESTS:
    case PARLEY_TOO_MANY_CONNECTIONS:
    case PARLEY_INTERNAL:
    case PARLEY_SHUTTING_DOWN:
    case PARLEY_LOGIN_TIMEOUT:
        return EXIT_AWAY;
    case PARLEY_STATE_FILE:
        return EXIT_TROUBLE;
    default:
        return EXIT_NO;
    }
}

void run_complain(const char *what, enum parley_code code, const char *detail)
{
    complain("%s%s%s (%s)%s%s", what ? what : "", what ? ": " : "", parley_code_text(code),
             parley_code_name(code), *detail ? ": " : "", detail);
}

void run_finish(struct run *r, int code)
{
    r->done = true;
    r->exit_code = code;
}

void run_state(void *ctx, enum parley_state st, enum parley_code why, const char *detail)
{
    struct run *r = ctx;
    if (st == PARLEY_OFFLINE || st == PARLEY_ENDED)
        r->why = why;
    if (st == PARLEY_ONLINE) {
        settings_remember(r->s, parley_login_name(r->p));
        r->told_away = false;
    }
    if (st != PARLEY_ENDED || r->done || why == PARLEY_STOPPED)
        return;
    bool token = why == PARLEY_BAD_TOKEN || why == PARLEY_TOKEN_EXPIRED || why == PARLEY_SESSION_REVOKED;
    if (token && r->by_token && r->s->user[0]) { /* the token is of no use any more: the password */
        char *password = password_get(r->s, r->s->user, false, true);
        r->by_token = false;
        if (password && parley_login(r->p, r->s->user, password) == 0) {
            password_free(password);
            return;
        }
        password_free(password);
    }
    run_complain(NULL, why, detail);
    run_finish(r, run_exit_of(why));
}

static void on_error(void *ctx, enum parley_code code, const char *detail)
{
    struct run *r = ctx;
    if (code == PARLEY_UNREACHABLE && r->told_away)
        return;
    r->told_away |= code == PARLEY_UNREACHABLE;
    run_complain(NULL, code, detail);
}

static void on_kicked(void *ctx, enum parley_code code, const char *detail)
{
    (void)ctx, (void)detail;
    if (code != PARLEY_SESSION_REPLACED && code != PARLEY_SESSION_REVOKED)
        complain("%s", parley_code_text(code));
}

int run_open(struct run *r, struct settings *s, struct parley_callbacks *cb, const char *device_class)
{
    struct parley_options o = {.servers = s->servers,
                               .device_class = device_class,
                               .client = "parley 1",
                               .state_file = s->state_file[0] ? s->state_file : NULL};
    char device[65], host[64] = "";
    if (s->no_state) { /* nothing to keep a random name in */
        gethostname(host, sizeof host - 1);
        snprintf(device, sizeof device, "%.30s@%.32s", s->device, host);
        o.device_id = device;
    }
    r->s = s;
    r->exit_code = EXIT_AWAY;
    if (!cb->state)
        cb->state = run_state;
    if (!cb->error)
        cb->error = on_error;
    if (!cb->kicked)
        cb->kicked = on_kicked;
    r->p = parley_new(&o, cb, r);
    if (r->p)
        return 0;
    if (errno == EINVAL)
        complain("--server must be host:port[,host:port…], not \"%s\"", s->servers);
    else if (errno == EBUSY)
        complain(
            "another parley runs as %s on this device; give this one a name of its own with --device NAME",
            s->user);
    else
        complain("cannot use the state file %s: %s", s->state_file, strerror(errno));
    return errno == EINVAL ? EXIT_USAGE : EXIT_TROUBLE;
}

int run_login(struct run *r)
{
    r->by_token = parley_login_token(r->p, NULL) == 0;
    if (r->by_token)
        return 0;
    if (!r->s->user[0]) {
        complain("who are you? Use --user NAME, or log in once: parley --user NAME login");
        return EXIT_LOGIN;
    }
    char *password = password_get(r->s, r->s->user, false, false);
    int rc = password ? parley_login(r->p, r->s->user, password) : -EACCES;
    password_free(password);
    if (rc == -EEXIST)
        complain("the state file %s belongs to another user", r->s->state_file);
    return rc ? EXIT_LOGIN : 0;
}

int run_until_done(struct run *r)
{
    int64_t by = r->s->timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + r->s->timeout_ms;
    while (!r->done && !run_signal) {
        int64_t left = by == INT64_MAX ? -1 : by - clock_mono_ms();
        if (by != INT64_MAX && left <= 0) {
            complain("no answer within %d s%s%s", r->s->timeout_ms / 1000, r->why ? ": " : "",
                     r->why ? parley_code_text(r->why) : "");
            run_finish(r, EXIT_AWAY);
            break;
        }
        int rc = parley_run_once(r->p, (int)left);
        if (rc && rc != -ETIMEDOUT && !r->done)
            run_finish(r, run_exit_of(r->why));
    }
    return r->done ? r->exit_code : 128 + run_signal;
}

static bool settled(void *arg)
{
    return run_signal || !parley_unresolved(arg);
}

void run_close(struct run *r)
{
    /* What is accepted mostly has its place in a moment; else the next start asks for it again. */
    if (r->p && parley_state(r->p) == PARLEY_ONLINE && r->exit_code == EXIT_FINE)
        (void)parley_wait(r->p, settled, r->p, OUTCOME_MS);
    if (r->p && parley_state(r->p) == PARLEY_ONLINE && !parley_stop(r->p, 0)) {
        int64_t by = clock_mono_ms() + GOODBYE_MS;
        while (clock_mono_ms() < by && parley_run_once(r->p, 200) != -ESHUTDOWN)
            ;
    }
    parley_free(r->p);
    r->p = NULL;
}
