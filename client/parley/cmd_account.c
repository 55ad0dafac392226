/* cmd_account.c: accounts, devices, tokens: one's own. */
#include "client/parley/commands.h"

#include "client/parley/show_rows.h"
#include "common/base/hex.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ASK(...) (&(struct parley_question){__VA_ARGS__})

/* ---- register ---- */
static void registered(void *ctx, const char *login, enum parley_code code, const char *detail,
                       const uint8_t *user)
{
    struct run *r = ctx;
    (void)user;
    if (r->s->json)
        show_put_json(stdout, json_pack("{ss ss}", "login", login, "code", parley_code_name(code)));
    else if (code)
        run_complain(login, code, detail);
    else if (!r->s->quiet)
        fprintf(stderr, "registered %s; now: parley --user %s login\n", login, login);
    run_finish(r, run_exit_of(code));
}

int shell_register(struct settings *s, const struct options *o, int argc, char **argv)
{
    struct parley_callbacks cb = {.registered = registered};
    struct run r = {0};
    (void)o;
    s->state_file[0] = '\0';
    char *password = password_get(s, argv[0], true, false);
    if (!password)
        return EXIT_LOGIN;
    int rc = run_open(&r, s, &cb, "terminal");
    if (!rc && parley_register(r.p, argv[0], password, argc > 1 ? argv[1] : ""))
        rc = EXIT_USAGE;
    password_free(password);
    if (!rc)
        rc = run_until_done(&r);
    run_close(&r);
    return rc;
}

/* ---- exists ---- */
static void existence(void *ctx, const char *login, enum parley_code code, bool exists, const uint8_t *user)
{
    struct run *r = ctx;
    (void)user;
    if (code == PARLEY_UNKNOWN_USER)
        code = PARLEY_OK;
    if (r->s->json)
        show_put_json(stdout, json_pack("{ss sb ss}", "login", login, "exists", (int)exists, "code",
                                        parley_code_name(code)));
    else if (code)
        run_complain(login, code, "");
    else
        puts(exists ? "yes" : "no");
    run_finish(r, code ? run_exit_of(code) : exists ? EXIT_FINE : EXIT_NO);
}

int shell_exists(struct settings *s, const struct options *o, int argc, char **argv)
{
    struct parley_callbacks cb = {.exists = existence};
    struct run r = {0};
    (void)o, (void)argc;
    s->state_file[0] = '\0';
    int rc = run_open(&r, s, &cb, "terminal");
    if (!rc)
        rc = parley_exists(r.p, argv[0]) ? EXIT_USAGE : run_until_done(&r);
    run_close(&r);
    return rc;
}

/* ---- login ---- */
static bool online(void *arg)
{
    const struct run *r = arg;
    return r->done || run_signal || parley_state(r->p) == PARLEY_ONLINE;
}

int shell_login(struct settings *s, const struct options *o, int argc, char **argv)
{
    struct parley_callbacks cb = {0};
    struct run r = {0};
    (void)o;
    if (argc == 0 && !s->user[0]) {
        complain("who are you? parley login NAME");
        return EXIT_USAGE;
    }
    if (argc == 1) {
        snprintf(s->user, sizeof s->user, "%s", argv[0]);
        int rc = settings_finish(s);
        if (rc)
            return rc;
    }
    if (s->no_state) {
        complain("login is for keeping a token, and --no-state keeps none");
        return EXIT_USAGE;
    }
    int rc = run_open(&r, s, &cb, "terminal");
    char *password = rc ? NULL : password_get(s, s->user, false, false);
    if (!rc)
        rc = password && !parley_login(r.p, s->user, password) ? 0 : EXIT_LOGIN;
    password_free(password);
    if (!rc) {
        int waited = parley_wait(r.p, online, &r, s->timeout_ms);
        rc = r.done ? r.exit_code : waited ? EXIT_AWAY : 0;
        if (waited == -ETIMEDOUT)
            complain("no answer within %d s", s->timeout_ms / 1000);
    }
    if (!rc && s->json)
        show_put_json(stdout, json_pack("{ss ss ss}", "login", parley_login_name(r.p), "edge",
                                        parley_edge(r.p), "state_file", s->state_file));
    else if (!rc && !s->quiet)
        fprintf(stderr, "logged in as %s; the token is kept in %s\n", parley_login_name(r.p), s->state_file);
    run_close(&r);
    return rc;
}

/* ---- me ---- */
static void on_me(struct call *c, const struct parley_answer *a)
{
    char id[2 * PARLEY_ID + 1], login[400], device[400], name[400] = "";
    struct parley *p = c->se->run->p;
    hex_encode(id, parley_user_id(p), PARLEY_ID);
    show_clean(login, sizeof login, parley_login_name(p), "?");
    show_clean(device, sizeof device, parley_device_id(p), "?");
    if (a->n)
        show_clean(name, sizeof name, a->users[0].name, "?");
    if (call_is_json(c)) {
        call_json(c, json_pack("{ss ss ss ss ss ss}", "login", login, "name", name, "user", id, "device",
                               device, "server", parley_server(p), "edge", parley_edge(p)));
    } else {
        call_line(c, "%s%s%s%s, device %s", login, *name ? " (" : "", name, *name ? ")" : "", device);
        call_line(c, "  id     %s", id);
        call_line(c, "  server %s (%s); %zu without an outcome", parley_server(p), parley_edge(p),
                  parley_unresolved(p));
    }
    call_end(c, EXIT_FINE);
}

void cmd_me(struct call *c)
{
    const char *login = parley_login_name(c->se->run->p);
    if (!*login)
        login = c->se->run->s->user;
    call_ask(c, ASK(.about = PARLEY_ASK_USERS, .logins = &login, .logins_n = 1), false, on_me);
}

static void on_done(struct call *c, const struct parley_answer *a)
{
    (void)a;
    if (call_is_json(c))
        call_json(c, json_pack("{ss}", "code", "OK"));
    else
        call_say(c, "done");
    call_end(c, EXIT_FINE);
}

void cmd_profile(struct call *c)
{
    if (!c->opt.name && !c->opt.presence)
        call_usage(c, "--name or --presence");
    else
        call_ask(c, ASK(.about = PARLEY_DO_PROFILE, .text = c->opt.name, .privacy = c->opt.presence), false,
                 on_done);
}

/* ---- devices and tokens ---- */
static void on_devices(struct call *c, const struct parley_answer *a)
{
    char line[ROW];
    for (size_t i = 0; i < a->n; i++) {
        row_device(line, &a->devices[i]);
        if (call_is_json(c))
            call_json(c, row_device_json(&a->devices[i]));
        else
            call_line(c, "%s", line);
    }
    call_end(c, EXIT_FINE);
}

void cmd_devices(struct call *c)
{
    call_ask(c, ASK(.about = PARLEY_ASK_DEVICES), false, on_devices);
}

void cmd_revoke(struct call *c)
{
    uint64_t device = 0;
    bool one = c->args.n_words == 1;
    if (one + c->opt.all + c->opt.others != 1 ||
        (one && (!options_number(c->args.words[0], &device) || device > UINT32_MAX)))
        call_usage(c, "one of: a device's number (see devices), --others, --all");
    else if (call_confirmed(c, one ? "Log this device out for good?" : "Log them all out?"))
        call_ask(c,
                 ASK(.about = PARLEY_DO_REVOKE, .device = (uint32_t)device,
                     .all = c->opt.all || c->opt.others, .keep_current = c->opt.others),
                 false, on_done);
}

static void on_token(struct call *c, const struct parley_answer *a)
{
    char when[32];
    show_iso(when, a->token_expires_ms);
    if (call_is_json(c)) /* the token itself is a secret: it goes to the state file and nowhere else */
        call_json(c, json_pack("{ss sI}", "expires", when, "expires_ms", (json_int_t)a->token_expires_ms));
    else
        call_say(c, "a new token is kept; it is good until %s", when);
    call_end(c, EXIT_FINE);
}

void cmd_token(struct call *c)
{
    call_ask(c, ASK(.about = PARLEY_ASK_TOKEN), false, on_token);
}
