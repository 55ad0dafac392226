/* call.h: one command under way, in the shell or in the chat, and where its words go.
 *
 * A command's function gets a call whose words are read and whose conversation is found; it queues deeds or asks
 * questions and returns; the call ends when call_end() or call_fail() was called, which frees it. In the shell there
 * is one call, and its end ends the program; in the chat many may be under way. One thread. */
#ifndef PARLEY_TERMINAL_CALL_H
#define PARLEY_TERMINAL_CALL_H

#include "client/parley/command.h"
#include "client/parley/place.h"
#include "client/parley/run.h"
#include "common/base/macros.h"

#include <jansson.h>

struct session {
    struct run *run; /* settings and handle */
    bool chat;
    struct book book;
    struct place open; /* chat: where what is typed goes; login and id empty: nowhere */
    struct call *calls;
    /* A line that is clean: `head` stands in columns of its own ("#12"), or is "". data: else it is a message. */
    void (*print)(struct session *, const char *head, const char *text, bool data);
    void (*sending)(struct session *, const struct place *, int64_t id,
                    const char *text); /* chat: a send began */
    void (*shown)(struct session *, const struct call *, const uint8_t *conv,
                  uint64_t head); /* chat: its newest */
    struct watched {
        uint8_t user[PARLEY_ID];
        char login[80];
    } * watched;
    size_t n_watched;
    long left; /* watch: so many more lines; 0: no end */
};

typedef void call_answer_fn(struct call *, const struct parley_answer *);
typedef void call_row_fn(struct call *, const struct parley_answer *, size_t i);

struct call {
    struct call *prev, *next; /* in the session */
    struct session *se;
    const struct command *cmd;
    struct options opt;
    struct args args;
    struct place place; /* of args.to, or the open one */
    char *text;         /* TEXT…; NULL: none was given */
    size_t text_n;
    char *mention; /* command's own; freed */
    char **argv;   /* a copy; args points into it */
    int64_t deed;  /* whose outcome is waited for; 0: none */
    const char *said;
    bool at_accepted; /* and not for its place */
    call_answer_fn *got;
    call_row_fn *row;
    const char *none; /* said when there is no row */
    struct parley_question q;
    uint64_t rows, most;
    uint8_t page[512];           /* the next one's mark */
    uint64_t mark;               /* the command's own */
    void (*then)(struct call *); /* resolve.c: */
    char wanted[132];
    size_t hits;
    bool resolving;
    struct parley_question wanted_q; /* asked once the conversation's id is known */
    call_answer_fn *wanted_got;
    int tries;
};

/* A command whose words were read. argv: its words after the name, copied; raw: TEXT… as it was typed (chat), NULL: of
 * the words. NULL: there is nothing to do; what is wrong (or the help asked for) was said, `*code` the exit code. */
struct call *call_new(struct session *, const struct command *, int argc, char **argv, const char *raw,
                      int *code);
void call_start(struct call *);
void call_end(struct call *, int exit_code);
void call_fail(struct call *, enum parley_code, const char *detail); /* says so */
void call_usage(struct call *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void call_say(struct call *, const char *fmt, ...) PRINTF_LIKE(2, 3);  /* a message; clean */
void call_line(struct call *, const char *fmt, ...) PRINTF_LIKE(2, 3); /* data; clean */
void call_json(struct call *, json_t *);                               /* stolen */
bool call_is_json(const struct call *);
bool call_confirmed(struct call *, const char *question); /* --yes, or asked; false: the call is over */

/* Waits for the outcome of parley_do() or parley_send(), says it, ends. said: what was done, "invited carol". */
void call_deed(struct call *, int64_t id, const char *said);
void call_do(struct call *, struct parley_op *, const char *said); /* in the call's conversation */
/* Asks; answers other than OK end the call. With the call's conversation when `here`. */
void call_ask(struct call *, const struct parley_question *, bool here, call_answer_fn *);
/* In the shell, for half a second: what is not there may have been made by the command before. Then false. */
bool call_again(struct call *);
/* Every row of every page, at most opt.limit (`most` when not given; 0: all), then ends. */
void call_rows(struct call *, const struct parley_question *, bool here, uint64_t most, call_row_fn *,
               const char *none);

/* ---- session.c ---- */
/* The `sent` callback's part. False: no call waits for it. */
bool session_sent(struct session *, const struct parley_sent *);
void session_watch(struct session *, const uint8_t (*users)[PARLEY_ID], const char *const *logins, size_t n);
void session_presence(struct session *, const struct parley_presence *, size_t n); /* prints */
void session_release(struct session *); /* its book, and calls that did not end */
/* One command from the shell; argv: without its name. Returns the exit code. */
int session_shell(struct settings *, const struct command *, int argc, char **argv);
void call_free(struct call *);

#endif
