/* parley.h: libparley, the client side of Parley, for programs that send and receive messages.
 *
 * One handle is one device of one user. It connects to one of several edges, logs in, reconnects by itself,
 * resends what has no outcome yet, puts the messages of a conversation into order, drops repeats, fetches what
 * is missing and confirms what your program took. docs/protocol.md tells what goes over the wire; you need not
 * know it.
 *
 * Threads: none of its own. A handle belongs to one thread at a time; different handles are independent.
 * Blocking: none but name look-up (numeric addresses never block) and writing the small state file.
 * Callbacks run only inside parley_process(), parley_run_once() and parley_wait(). They may call any function
 * here on the same handle but those three and parley_free(). What they are given is valid until they return.
 * Memory: strings given to functions are copied. Errors: 0 or a negative errno, unless said otherwise.
 *
 * A simple program:
 *     p = parley_new(&options, &callbacks, ctx);
 *     parley_login(p, "alice", password);
 *     parley_send_text(p, "bob", "hello");
 *     while (parley_run_once(p, -1) == 0) {}
 *
 * parley_event.h: what callbacks are given. parley_conversation.h: edits, reactions, groups, friends, receipts.
 * parley_history.h, not included here: questions about lists, history, members, contacts, presence.
 *
 * In an event loop of your own, at every turn: wait for parley_events(p) on parley_fd(p), at most
 * parley_timeout(p) ms, then parley_process(p, revents), also after a time-out (revents 0). The descriptor
 * changes with reconnects, and -1 means that there is none now: ask at each turn. */
#ifndef PARLEY_H
#define PARLEY_H

#include "client/lib/parley_conversation.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PARLEY_TEXT_MAX 60000 /* bytes of text, or of content type and data, in one message */

enum parley_state {
    PARLEY_OFFLINE,    /* nothing to do, or waiting to try again (parley_timeout tells how long) */
    PARLEY_CONNECTING, /* to a server */
    PARLEY_CONNECTED,  /* connected, not logged in (registering, asking, or logging in) */
    PARLEY_ONLINE,     /* logged in */
    PARLEY_ENDED,      /* will not reconnect by itself: stopped, kicked, or the log-in was refused */
};

/* All may be NULL. */
struct parley_callbacks {
    void (*state)(void *ctx, enum parley_state, enum parley_code why, const char *detail);
    /* Messages and announcements. In order per conversation, each once. When it returns, the message counts as taken
     * and is confirmed. NULL: this handle only sends; what comes stays with the server for the next one (which may cut
     * the connection now and then because nothing is confirmed). */
    void (*message)(void *ctx, const struct parley_message *);
    /* Every other event with a number, in the same order; may be the same function. NULL: nobody looks at them. */
    void (*event)(void *ctx, const struct parley_message *);
    /* Each stage of each send once, ACCEPTED at times skipped; SEQUENCED, NOTED or NOT_SENT is the last. */
    void (*sent)(void *ctx, const struct parley_sent *);
    void (*note)(void *ctx, const struct parley_note *);
    void (*receipt)(void *ctx, const struct parley_receipt *);
    void (*typing)(void *ctx, const struct parley_typist *);
    void (*presence)(void *ctx, const struct parley_presence *, size_t n); /* parley_watch() */
    /* A group has events up to `upto` that this device has not got; they follow by themselves. */
    void (*news)(void *ctx, const uint8_t *conversation, uint64_t upto);
    /* What does not end the session: a server that cannot be reached, a refused request, a trouble with the
     * state file. */
    void (*error)(void *ctx, enum parley_code, const char *detail);
    void (*kicked)(void *ctx, enum parley_code, const char *detail);
    /* Answers. user: 16 bytes, NULL unless code is PARLEY_OK (and, for exists, the account exists). */
    void (*registered)(void *ctx, const char *login, enum parley_code, const char *detail,
                       const uint8_t *user);
    void (*exists)(void *ctx, const char *login, enum parley_code, bool exists, const uint8_t *user);
    /* All that was pending has been given to `message` (PARLEY_BEHIND: but for groups whose history is not there yet).
     * rest_in_history: the queue had overflowed. */
    void (*pulled)(void *ctx, enum parley_code, bool rest_in_history);
};

/* Zero or NULL takes the default. */
struct parley_options {
    const char *servers;      /* "host:port[,host:port…]", IPv6 as [::1]:7000; needed */
    const char *device_id;    /* the same at every start of this device, 1–64 bytes; default: from the state
                                 file, else random */
    const char *device_class; /* "terminal" */
    const char *client;       /* "libparley" */
    const char *state_file;   /* token, numbers, cursors, sends without outcome; made with mode 0600, replaced
                      * atomically. Survives a crash of the program. NULL: a restart remembers nothing and
                      * asks the server. One handle at a time: a second gets EBUSY from parley_new(). */
    uint32_t backoff_min_ms, backoff_max_ms; /* 250, 30000: between attempts, doubling, with jitter */
    uint32_t connect_timeout_ms;             /* 5000 */
    uint32_t answer_timeout_ms; /* 20000: for log-in and other requests, then another server is tried */
    uint32_t gap_patience_ms;   /* 20000: how long later messages wait for a missing one */
    uint32_t queue_max;         /* 1000 sends waiting or without outcome */
    uint32_t
        conversations_max; /* 10000 remembered, the one used longest ago goes first; the rest is asked of the server when
                                   needed. Of more groups with news than that, the oldest are fetched after the next log-in */
    uint32_t
        catch_up_max;  /* 1000: events of one conversation fetched from history; older ones are `missed` */
    bool no_delivered; /* do not tell the senders of direct messages that they arrived */
    bool
        group_delivered; /* tell it in groups too. Off, because each message brings one receipt back from every
                             device of every member; in groups above the server's router.receipt_cap nobody else is told anyway */
};

/* NULL: errno says why (EINVAL: options; EBUSY, EACCES …: state file). Connects to nothing yet. */
struct parley *parley_new(const struct parley_options *, const struct parley_callbacks *, void *ctx);
void parley_free(struct parley *); /* closes; says good-bye to nobody (parley_stop does) */

/* From now on: be logged in, and again after each disconnect. The password is wiped from memory once a token
 * is there. A state file of another user: -EEXIST. */
int parley_login(struct parley *, const char *login, const char *password);
/* With a token of an earlier log-in; NULL: the one of the state file (-ENOENT: it has none). */
int parley_login_token(struct parley *, const char *token);
int parley_register(struct parley *, const char *login, const char *password, const char *display_name);
int parley_exists(struct parley *, const char *login);
/* Everything that is pending for this device; `pulled` ends it. After a log-in it comes by itself; this is to
 * know when. */
int parley_pull(struct parley *);
/* Sends what is left to send (waits at most linger_ms for its acceptance), confirms, ends; `logout` as well
 * on the wire. */
int parley_stop(struct parley *, uint32_t linger_ms);

/* Queues a message. Returns its id (> 0), or: -EINVAL not UTF-8, a NUL, no recipient; -EMSGSIZE; -ENOBUFS
 * queue_max. Sends leave in this order, at most 64 without outcome at a time. */
struct parley_outgoing {
    const char *to;              /* login name, or */
    const uint8_t *to_user;      /* 16 bytes, or */
    const uint8_t *conversation; /* a group's id */
    const char *text;
    size_t text_n;
    const char *content_type; /* with data instead of text */
    const void *data;
    size_t data_n;
    uint64_t reply_to;                    /* seq of an earlier message; 0: none */
    const uint8_t (*mentions)[PARLEY_ID]; /* users; groups only, PARLEY_USERS_MAX */
    size_t mentions_n;
};
int64_t parley_send(struct parley *, const struct parley_outgoing *);
int64_t parley_send_text(struct parley *, const char *to, const char *text);
int64_t parley_send_group(struct parley *, const uint8_t *conversation, const char *text);

int parley_fd(const struct parley *);
short parley_events(const struct parley *); /* POLLIN, POLLOUT */
int parley_timeout(
    const struct parley *); /* ms until parley_process() is due; -1: not before the fd is ready */
int parley_process(struct parley *,
                   short revents); /* -ESHUTDOWN once PARLEY_ENDED, and everything was told */

/* poll and process once; timeout_ms -1: as long as it takes. 0, -ETIMEDOUT, -ESHUTDOWN. */
int parley_run_once(struct parley *, int timeout_ms);
/* Until done(arg). 0, -ETIMEDOUT, -ESHUTDOWN. */
int parley_wait(struct parley *, bool (*done)(void *arg), void *arg, int timeout_ms);

enum parley_state parley_state(const struct parley *);
const char *parley_login_name(const struct parley *); /* as registered; "" before the first log-in */
const uint8_t *parley_user_id(const struct parley *); /* 16 bytes; zero before the first log-in of this run */
const char *parley_token(const struct parley *);      /* "": none. A secret */
const char *parley_device_id(const struct parley *);
const char *parley_server(const struct parley *); /* host:port of this or the last connection; "" */
const char *parley_edge(const struct parley *);   /* the edge's own name; "" */
size_t parley_unresolved(const struct parley *);  /* sends queued or without an outcome */

#ifdef __cplusplus
}
#endif
#endif
