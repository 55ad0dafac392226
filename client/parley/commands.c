#include "client/parley/commands.h"

#include "client/parley/run.h"
#include "client/parley/show.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(const char *line)
{
    fprintf(stderr, "usage: parley [options] %s\nparley --help tells more.\n", line);
    return EXIT_USAGE;
}

static void put(json_t *j)
{
    if (j)
        json_dumpf(j, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(j);
}

/* ---- register ---- */
static void registered(void *ctx, const char *login, enum parley_code code, const char *detail,
                       const uint8_t *user)
{
    struct run *r = ctx;
    (void)user;
    if (r->s->json)
        put(json_pack("{ss ss}", "login", login, "code", parley_code_name(code)));
    else if (code)
        run_complain(login, code, detail);
    else if (!r->s->quiet)
        fprintf(stderr, "registered %s; now: parley --user %s login\n", login, login);
    run_finish(r, run_exit_of(code));
}

int command_register(struct settings *s, int argc, char **argv)
{
    struct parley_callbacks cb = {.registered = registered};
    struct run r = {0};
    if (argc < 2 || argc > 3)
        return usage("register NAME [DISPLAY NAME]");
    s->state_file[0] = '\0';
    char *password = password_get(s, argv[1], true, false);
    if (!password)
        return EXIT_LOGIN;
    int rc = run_open(&r, s, &cb, "terminal");
    if (!rc && parley_register(r.p, argv[1], password, argc > 2 ? argv[2] : ""))
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
        put(json_pack("{ss sb ss}", "login", login, "exists", (int)exists, "code", parley_code_name(code)));
    else if (code)
        run_complain(login, code, "");
    else
        puts(exists ? "yes" : "no");
    run_finish(r, code ? run_exit_of(code) : exists ? EXIT_FINE : EXIT_NO);
}

int command_exists(struct settings *s, int argc, char **argv)
{
    struct parley_callbacks cb = {.exists = existence};
    struct run r = {0};
    if (argc != 2)
        return usage("exists NAME");
    s->state_file[0] = '\0';
    int rc = run_open(&r, s, &cb, "terminal");
    if (!rc)
        rc = parley_exists(r.p, argv[1]) ? EXIT_USAGE : run_until_done(&r);
    run_close(&r);
    return rc;
}

/* ---- login ---- */
static bool online(void *arg)
{
    const struct run *r = arg;
    return r->done || run_signal || parley_state(r->p) == PARLEY_ONLINE;
}

int command_login(struct settings *s, int argc, char **argv)
{
    struct parley_callbacks cb = {0};
    struct run r = {0};
    if (argc > 2 || (argc == 1 && !s->user[0]))
        return usage("login NAME");
    if (argc == 2) {
        snprintf(s->user, sizeof s->user, "%s", argv[1]);
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
        put(json_pack("{ss ss ss}", "login", parley_login_name(r.p), "edge", parley_edge(r.p), "state_file",
                      s->state_file));
    else if (!rc && !s->quiet)
        fprintf(stderr, "logged in as %s; the token is kept in %s\n", parley_login_name(r.p), s->state_file);
    run_close(&r);
    return rc;
}

/* ---- send ---- */
static void sent(void *ctx, const struct parley_sent *m)
{
    struct run *r = ctx;
    const int64_t *id = r->of;
    if (r->done || (int64_t)m->id != *id || (m->stage == PARLEY_ACCEPTED && r->s->wait))
        return; /* others: what an earlier run left without an outcome */
    if (r->s->json)
        show_sent_json(stdout, m);
    else if (m->stage == PARLEY_NOT_SENT)
        run_complain(m->to, m->code, m->detail);
    else if (m->stage == PARLEY_SEQUENCED && r->s->wait && !r->s->quiet)
        fprintf(stderr, "sequenced: number %" PRIu64 " of the conversation\n", m->seq);
    else if (!r->s->quiet)
        fprintf(stderr, "accepted\n");
    int code = m->stage == PARLEY_NOT_SENT ? run_exit_of(m->code) : EXIT_FINE;
    run_finish(r, code);
}

/* The words joined by spaces, or stdin; NULL: none. The caller frees it. */
static char *text_of(int argc, char **argv)
{
    size_t n = 0;
    char *text = calloc(1, PARLEY_TEXT_MAX + 2);
    if (!text)
        return NULL;
    if (argc == 0 || (argc == 1 && !strcmp(argv[0], "-"))) {
        n = fread(text, 1, PARLEY_TEXT_MAX + 1, stdin);
        while (n && text[n - 1] == '\n')
            n--;
        text[n] = '\0';
    }
    for (int i = 0; n == 0 && i < argc && !(argc == 1 && !strcmp(argv[0], "-")); i++) {
        size_t have = strlen(text);
        snprintf(text + have, PARLEY_TEXT_MAX + 2 - have, "%s%s", i ? " " : "", argv[i]);
    }
    return text;
}

int command_send(struct settings *s, int argc, char **argv)
{
    struct parley_callbacks cb = {.sent = sent};
    int64_t id = 0;
    struct run r = {.of = &id};
    if (argc < 2)
        return usage("send TO [TEXT…]");
    char *text = text_of(argc - 2, argv + 2);
    int rc = run_open(&r, s, &cb, "terminal");
    if (!rc)
        rc = run_login(&r);
    if (!rc) {
        id = text ? parley_send_text(r.p, argv[1], text) : -ENOMEM;
        if (id == -EMSGSIZE)
            complain("longer than %d bytes", PARLEY_TEXT_MAX);
        else if (id < 0)
            complain("the text must be UTF-8, and not empty");
        rc = id < 0 ? EXIT_USAGE : run_until_done(&r);
    }
    free(text);
    run_close(&r);
    return rc;
}

/* ---- listen, pull ---- */
static void message(void *ctx, const struct parley_message *m)
{
    struct run *r = ctx;
    long *left = r->of;
    if (r->s->json)
        show_json(stdout, m);
    else
        show_line(stdout, m);
    if (fflush(stdout) || ferror(stdout)) { /* nobody reads: it must not count as taken */
        complain("cannot write: %s", strerror(errno));
        _exit(EXIT_TROUBLE);
    }
    if (left && *left > 0 && --*left == 0)
        run_finish(r, EXIT_FINE);
}

int command_listen(struct settings *s, int argc, char **argv)
{
    struct parley_callbacks cb = {.message = message};
    long left = s->count;
    struct run r = {.of = &left};
    (void)argv;
    if (argc != 1)
        return usage("listen [--json] [--count N] [--timeout SECONDS]");
    int rc = run_open(&r, s, &cb, "terminal");
    if (!rc)
        rc = run_login(&r);
    if (!rc)
        rc = run_until_done(&r);
    if (rc == 128 + 2 || rc == 128 + 15) /* that is how one ends it */
        rc = EXIT_FINE;
    run_close(&r);
    return rc;
}

static void pulled(void *ctx, enum parley_code code, bool rest)
{
    struct run *r = ctx;
    if (rest && !r->s->quiet)
        complain("there was more than the queue holds: older messages are only in history");
    run_finish(r, run_exit_of(code));
}

int command_pull(struct settings *s, int argc, char **argv)
{
    struct parley_callbacks cb = {.message = message, .pulled = pulled};
    struct run r = {0};
    (void)argv;
    if (argc != 1)
        return usage("pull [--json]");
    int rc = run_open(&r, s, &cb, "terminal");
    if (!rc)
        rc = run_login(&r);
    if (!rc) {
        parley_pull(r.p);
        rc = run_until_done(&r);
    }
    run_close(&r);
    return rc;
}
