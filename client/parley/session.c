/* session.c: what commands share while they run; one command from the shell. */
#include "client/parley/call.h"
#include "client/parley/commands.h"
#include "client/parley/show_rows.h"
#include "common/base/hex.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

static void said_created(struct call *c, const struct parley_sent *s)
{
    char id[2 * PARLEY_ID + 1];
    hex_encode(id, s->conversation, PARLEY_ID);
    call_line(c, "%s", id);
    call_say(c, "%s", c->said);
}

bool session_sent(struct session *se, const struct parley_sent *s)
{
    struct call *c;
    DL_SEARCH_SCALAR(se->calls, c, deed, (int64_t)s->id);
    if (!s->id || !c)
        return false;
    if (s->stage == PARLEY_ACCEPTED && !c->at_accepted)
        return true;
    if (s->stage == PARLEY_NOT_SENT) {
        if (call_is_json(c)) {
            show_sent_json(stdout, s);
            run_complain(c->cmd->name, s->code, s->detail);
            call_end(c, run_exit_of(s->code));
        } else {
            call_fail(c, s->code, s->detail);
        }
        return true;
    }
    if (call_is_json(c))
        show_sent_json(stdout, s);
    else if (s->kind == PARLEY_GROUP_CREATE)
        said_created(c, s);
    else if (c->said && s->stage == PARLEY_SEQUENCED && !se->chat)
        call_say(c, "%s (#%" PRIu64 ")", c->said, s->seq);
    else if (c->said)
        call_say(c, "%s", c->said);
    call_end(c, EXIT_FINE);
    return true;
}

/* ---- who comes and goes ---- */
void session_watch(struct session *se, const uint8_t (*users)[PARLEY_ID], const char *const *logins, size_t n)
{
    free(se->watched);
    se->watched = calloc(n ? n : 1, sizeof *se->watched);
    se->n_watched = se->watched ? n : 0;
    for (size_t i = 0; i < se->n_watched; i++) {
        memcpy(se->watched[i].user, users[i], PARLEY_ID);
        snprintf(se->watched[i].login, sizeof se->watched[i].login, "%s", logins[i]);
    }
}

void session_presence(struct session *se, const struct parley_presence *v, size_t n)
{
    char line[ROW];
    for (size_t i = 0; i < n; i++) {
        const char *login = "";
        for (size_t k = 0; k < se->n_watched; k++)
            if (!memcmp(se->watched[k].user, v[i].user, PARLEY_ID))
                login = se->watched[k].login;
        row_presence(line, *login ? login : "somebody", &v[i]);
        if (!se->chat && se->run->s->json)
            show_put_json(stdout, row_presence_json(login, &v[i]));
        else
            se->print(se, "", line, true);
        fflush(stdout);
        if (se->left > 0 && --se->left == 0) {
            run_finish(se->run, EXIT_FINE);
            return;
        }
    }
}

void session_release(struct session *se)
{
    struct call *c, *tmp;
    DL_FOREACH_SAFE(se->calls, c, tmp)
    {
        DL_DELETE(se->calls, c);
        call_free(c);
    }
    book_release(&se->book);
    free(se->watched);
    se->watched = NULL;
}

/* ---- the shell ---- */
static void on_sent(void *ctx, const struct parley_sent *m)
{
    struct run *r = ctx;
    session_sent(r->of, m); /* others: what an earlier run left without an outcome */
}

static void on_presence(void *ctx, const struct parley_presence *v, size_t n)
{
    struct run *r = ctx;
    session_presence(r->of, v, n);
}

static void print(struct session *se, const char *head, const char *text, bool data)
{
    (void)se;
    if (data)
        printf("%s%s%s\n", head, *head ? " " : "", text);
    else
        complain("%s", text);
}

int session_shell(struct settings *s, const struct command *cmd, int argc, char **argv)
{
    struct parley_callbacks cb = {.sent = on_sent, .presence = on_presence};
    struct run r = {.s = s};
    struct session se = {.run = &r, .print = print};
    int rc = 0;
    r.of = &se;
    struct call *c = call_new(&se, cmd, argc, argv, NULL, &rc);
    if (c && cmd->fn == cmd_help) {
        call_start(c);
        rc = r.exit_code;
        c = NULL;
    }
    if (c && s->timeout_ms == TIMEOUT_DEFAULT)
        s->timeout_ms = cmd->fn == cmd_watch ? -1 : 30000;
    if (c)
        rc = settings_finish(s);
    if (c && !rc)
        rc = run_open(&r, s, &cb, "terminal");
    if (c && !rc)
        rc = run_login(&r);
    if (c && !rc) {
        se.left = s->count;
        call_start(c);
        rc = run_until_done(&r);
        if (cmd->fn == cmd_watch && (rc == 128 + 2 || rc == 128 + 15)) /* that is how one ends it */
            rc = EXIT_FINE;
    }
    if (r.p)
        run_close(&r);
    session_release(&se);
    if (fflush(stdout) || ferror(stdout)) {
        complain("cannot write: %s", strerror(errno));
        rc = EXIT_TROUBLE;
    }
    return rc;
}
