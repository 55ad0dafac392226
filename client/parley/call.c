#include "client/parley/call.h"

#include "client/parley/help.h"
#include "client/parley/resolve.h"
#include "client/parley/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

bool call_is_json(const struct call *c)
{
    return c->se->run->s->json && !c->se->chat;
}

static void vput(struct call *c, bool data, const char *fmt, va_list ap)
{
    static char text[3 * PARLEY_TEXT_MAX + 400];
    vsnprintf(text, sizeof text, fmt, ap);
    c->se->print(c->se, "", text, data);
}

void call_say(struct call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!c->se->run->s->quiet || c->se->chat)
        vput(c, false, fmt, ap);
    va_end(ap);
}

void call_line(struct call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vput(c, true, fmt, ap);
    va_end(ap);
}

void call_json(struct call *c, json_t *j)
{
    (void)c;
    show_put_json(stdout, j);
}

void call_free(struct call *c)
{
    if (c->text)
        free(c->text);
    for (char **v = c->argv; v && *v; v++)
        free(*v);
    free(c->argv);
    free(c->mention);
    free(c);
}

void call_end(struct call *c, int code)
{
    struct session *se = c->se;
    DL_DELETE(se->calls, c);
    call_free(c);
    if (!se->chat)
        run_finish(se->run, code);
}

void call_fail(struct call *c, enum parley_code code, const char *detail)
{
    char clean[300];
    if (c->se->chat && code == PARLEY_STOPPED) { /* one is leaving: nobody waits for it */
        call_end(c, EXIT_AWAY);
        return;
    }
    if (c->se->chat) {
        show_clean(clean, sizeof clean, detail, " ");
        call_say(c, "%s: %s%s%s", c->cmd->name, parley_code_text(code), *clean ? ": " : "", clean);
    } else {
        if (call_is_json(c))
            call_json(
                c, json_pack("{ss ss}", "code", parley_code_name(code), "message", parley_code_text(code)));
        show_clean(clean, sizeof clean, detail, " ");
        run_complain(c->cmd->name, code, clean);
    }
    call_end(c, run_exit_of(code));
}

static void usage_line(struct session *se, const struct command *cmd, const char *why)
{
    char usage[300], text[900], clean[500];
    show_clean(clean, sizeof clean, why, " ");
    help_usage(usage, sizeof usage, cmd, se->chat);
    snprintf(text, sizeof text, "%s. Usage: %s", clean, usage);
    se->print(se, "", text, false);
}

void call_usage(struct call *c, const char *fmt, ...)
{
    char why[500];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    usage_line(c->se, c->cmd, why);
    call_end(c, EXIT_USAGE);
}

bool call_confirmed(struct call *c, const char *question)
{
    char answer[16] = "";
    if (c->opt.yes)
        return true;
    if (c->se->chat || !isatty(STDIN_FILENO)) {
        call_usage(c, "%s Say --yes", question);
        return false;
    }
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y'))
        return true;
    call_say(c, "nothing was done");
    call_end(c, EXIT_NO);
    return false;
}

/* ---- beginning ---- */
static char *from_stdin(size_t *n)
{
    char *text = calloc(1, PARLEY_TEXT_MAX + 2);
    *n = text ? fread(text, 1, PARLEY_TEXT_MAX + 1, stdin) : 0;
    return text;
}

static char *joined(int argc, char **argv)
{
    size_t n = 1;
    for (int i = 0; i < argc; i++)
        n += strlen(argv[i]) + 1;
    char *text = calloc(1, n);
    for (int i = 0; text && i < argc; i++) {
        size_t have = strlen(text);
        snprintf(text + have, n - have, "%s%s", i ? " " : "", argv[i]);
    }
    return text;
}

/* false: it takes text and there is none. */
static bool take_text(struct call *c, int argc, const char *raw)
{
    char **words = c->argv + c->args.text;
    int left = argc - c->args.text;
    bool dash = !c->se->chat && left == 1 && !strcmp(words[0], "-");
    if (!c->args.takes_text)
        return true;
    if (raw && *raw) {
        c->text = strdup(raw);
    } else if (!c->se->chat && (dash || (left == 0 && c->args.needs_text))) {
        c->text = from_stdin(&c->text_n);
        while (c->text && !c->opt.type && c->text_n && c->text[c->text_n - 1] == '\n')
            c->text[--c->text_n] = '\0';
        return c->text && (c->text_n || c->opt.type);
    } else if (left) {
        c->text = joined(left, words);
    }
    c->text_n = c->text ? strlen(c->text) : 0;
    return c->text_n || !c->args.needs_text || c->opt.type;
}

struct call *call_new(struct session *se, const struct command *cmd, int argc, char **argv, const char *raw,
                      int *code)
{
    char err[300] = "";
    struct call *c = calloc(1, sizeof *c);
    *code = EXIT_USAGE;
    c->se = se;
    c->cmd = cmd;
    c->argv = calloc((size_t)argc + 2, sizeof *c->argv);
    c->argv[0] = strdup(cmd->name); /* where getopt looks for the program's name */
    for (int i = 0; i < argc; i++)
        c->argv[i + 1] = strdup(argv[i]);
    int at = options_read(se->chat ? NULL : se->run->s, &c->opt, cmd, argc + 1, c->argv, err, sizeof err);
    bool fine = at >= 0 && (c->opt.help ||
                            args_read(cmd, se->chat, argc + 1 - at, c->argv + at, &c->args, err, sizeof err));
    if (fine)
        c->args.text += at;
    if (fine && !c->opt.help && !take_text(c, argc + 1, raw)) {
        snprintf(err, sizeof err, "TEXT is missing");
        fine = false;
    }
    if (!fine || c->opt.help) {
        if (fine)
            help_command(se, cmd);
        else
            usage_line(se, cmd, err);
        *code = fine ? EXIT_FINE : EXIT_USAGE;
        call_free(c);
        return NULL;
    }
    DL_APPEND(se->calls, c);
    return c;
}

void call_start(struct call *c)
{
    resolve(c, c->cmd->fn);
}

/* ---- deeds ---- */
void call_deed(struct call *c, int64_t id, const char *said)
{
    c->said = said;
    if (id > 0)
        c->deed = id;
    else if (id == -ENOBUFS)
        call_fail(c, PARLEY_TOO_MANY_UNRESOLVED, "");
    else if (id == -EMSGSIZE)
        call_usage(c, "longer than %d bytes", PARLEY_TEXT_MAX);
    else if (id == -EINVAL)
        call_usage(c, "something is missing, too long, or not UTF-8");
    else
        call_usage(c, "%s", strerror((int)-id));
}

void call_do(struct call *c, struct parley_op *o, const char *said)
{
    if (c->place.has_id)
        o->conversation = c->place.id;
    else
        o->to = c->place.login;
    call_deed(c, parley_do(c->se->run->p, o), said);
}

/* ---- questions ---- */
bool call_again(struct call *c)
{
    if (c->se->chat || c->tries >= 5)
        return false;
    c->tries++;
    usleep(100000);
    return true;
}

static void answered(void *arg, const struct parley_answer *a)
{
    struct call *c = arg;
    bool no_such = a->code == PARLEY_NOT_A_MEMBER && !c->place.has_id && *c->place.login;
    if (no_such && call_again(c)) {
        struct parley_question q = c->q;
        call_ask(c, &q, false, c->got);
    } else if (no_such) {
        call_say(c, "nothing was said yet");
        call_end(c, c->se->chat ? EXIT_FINE : EXIT_NO);
    } else if (a->code)
        call_fail(c, a->code, a->detail);
    else
        c->got(c, a);
}

static void ask_now(struct call *c)
{
    call_ask(c, &c->wanted_q, true, c->wanted_got);
}

void call_ask(struct call *c, const struct parley_question *q, bool here, call_answer_fn *got)
{
    if (here && !c->place.has_id && !c->resolving &&
        !c->se->chat) { /* by id, so that what this device did is waited for */
        c->wanted_q = *q;
        c->wanted_got = got;
        resolve_id(c, ask_now);
        return;
    }
    c->q = *q;
    c->got = got;
    if (here && c->place.has_id)
        c->q.conversation = c->place.id;
    else if (here)
        c->q.with = c->place.login;
    int64_t id = parley_ask(c->se->run->p, &c->q, answered, c);
    if (id == -ESHUTDOWN)
        call_fail(c, PARLEY_STOPPED, "");
    else if (id < 0)
        call_usage(c, "%s",
                   id == -EINVAL ? "something is missing, too long, or not UTF-8" : strerror((int)-id));
}

static void got_rows(struct call *c, const struct parley_answer *a)
{
    for (size_t i = 0; i < a->n && c->rows < c->most; i++, c->rows++)
        c->row(c, a, i);
    bool more = a->about == PARLEY_ASK_CHANGES ? a->more && a->n : a->next_n && a->next_n <= sizeof c->page;
    if (more && c->rows < c->most) {
        struct parley_question q = c->q;
        if (a->about == PARLEY_ASK_CHANGES) {
            q.after_seq = a->messages[a->n - 1].seq;
        } else {
            memcpy(c->page, a->next, a->next_n);
            q.after = c->page;
            q.after_n = a->next_n;
        }
        call_ask(c, &q, false, got_rows);
        return;
    }
    if (!c->rows && c->none)
        call_say(c, "%s", c->none);
    else if (more)
        call_say(c, "(more: --limit %" PRIu64 ")", c->most * 4);
    call_end(c, EXIT_FINE);
}

void call_rows(struct call *c, const struct parley_question *q, bool here, uint64_t most, call_row_fn *row,
               const char *none)
{
    c->row = row;
    c->none = none;
    c->most = c->opt.limit < 0 ? most : c->opt.limit ? (uint64_t)c->opt.limit : UINT64_MAX;
    call_ask(c, q, here, got_rows);
}
