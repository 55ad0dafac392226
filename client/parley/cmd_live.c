/* cmd_live.c: printing what comes, until interrupted or until that was all. */
#include "client/parley/commands.h"

#include "client/parley/show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

int shell_listen(struct settings *s, const struct options *o, int argc, char **argv)
{
    struct parley_callbacks cb = {.message = message, .event = message};
    long left = s->count;
    struct run r = {.of = &left};
    (void)o, (void)argc, (void)argv;
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

int shell_pull(struct settings *s, const struct options *o, int argc, char **argv)
{
    struct parley_callbacks cb = {.message = message, .event = message, .pulled = pulled};
    struct run r = {0};
    (void)o, (void)argc, (void)argv;
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
