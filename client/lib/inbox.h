/* inbox.h: what came in, put into order: per conversation a set of numbers that are here, and what waits
 * above a hole.
 *
 * No I/O and no clock. An event is handed on when all before it are, or when the hole before it was given up: the
 * server, asked, had nothing for `patience_ms`. Holes are asked for in the device's queue, those of groups, and what
 * the queue has not, in history. Delivery numbers are the connection's; the inbox says up to which the client may
 * confirm (not past what only waits in memory). */
#ifndef PARLEY_CLIENT_INBOX_H
#define PARLEY_CLIENT_INBOX_H

#include "client/lib/ranges.h"
#include "common/im/ids.h"

#include <stddef.h>

struct inbox;

struct inbox_conf {
    uint32_t patience_ms;
    uint32_t talks_max; /* conversations remembered, those with news to be fetched included: the oldest go */
    uint32_t catch_up_max; /* numbers fetched from history for one hole; those before count as missed */
    /* `payload` is a ChatPush as it came. missed: numbers given up right before it. late: fills in such a
     * place. */
    void (*deliver)(void *ctx, const void *payload, size_t n, uint64_t missed, bool late);
    void *ctx;
};

struct inbox_cursor {
    struct id16 conv;
    uint64_t from, upto;
};

enum inbox_flag {
    INBOX_START = 1, /* if the conversation is not known, it starts here */
    INBOX_GROUP = 2, /* not queued for the device */
};

struct inbox *inbox_new(const struct inbox_conf *);
void inbox_free(struct inbox *);

/* An event, live (delivery > 0) or from a page of the queue (0). */
int inbox_message(struct inbox *, struct id16 conv, uint64_t seq, uint32_t delivery, const void *payload,
                  size_t n, unsigned flags, int64_t now);
/* This device's own event has this place: it is here without having been pushed. */
int inbox_own(struct inbox *, struct id16 conv, uint64_t seq, unsigned flags);
/* A group has events up to here, visible or not. */
int inbox_news(struct inbox *, struct id16 conv, uint64_t upto, unsigned flags, int64_t now);
void inbox_event(struct inbox *, uint32_t delivery);  /* another push, taken at once */
void inbox_refuse(struct inbox *, uint32_t delivery); /* a push nobody takes: it stays the server's */
/* What the state file (memory), or the server, says this device has. */
int inbox_have(struct inbox *, struct id16 conv, uint64_t from, uint64_t upto, bool memory);
/* The server knows nothing of this device: places from before say nothing about what it sends now. */
void inbox_forget(struct inbox *);
void inbox_disconnected(struct inbox *);

/* A conversation the server should be asked about now: its queue, answered by inbox_answered() once the last page is
 * in; or history, the events above `after`, with all up to `upto`: inbox_past() for each, ascending, then
 * inbox_past_end(); or inbox_past_failed(). */
struct inbox_question {
    struct id16 conv;
    bool history;
    uint64_t after, upto;
};
bool inbox_ask(struct inbox *, int64_t now, struct inbox_question *);
void inbox_answered(struct inbox *, struct id16 conv, bool rest_in_history, int64_t now);
/* The first event above `after` that the user may see is this one. */
void inbox_past(struct inbox *, struct id16 conv, uint64_t after, uint64_t seq, const void *payload,
                size_t n);
/* Above `after`, up to `upto`, there is nothing more to see; `more`: above that there is. */
void inbox_past_end(struct inbox *, struct id16 conv, uint64_t after, uint64_t upto, bool more, int64_t now);
/* never: the user may not see it; else it may work later. */
void inbox_past_failed(struct inbox *, struct id16 conv, bool never, int64_t now);
void inbox_no_history(struct inbox *);   /* the server has none; until the next connection */
int64_t inbox_due(const struct inbox *); /* when inbox_ask() has something; INT64_MAX: never */

uint32_t inbox_confirmed(const struct inbox *); /* delivery number up to which all is taken */
size_t inbox_waiting(
    const struct inbox *); /* events above a hole, and conversations with news to be fetched */
uint64_t inbox_known(const struct inbox *,
                     struct id16 conv); /* the highest place here, own ones included; 0 */
bool inbox_behind(
    const struct inbox *); /* there are news that history did not have for patience_ms; not waited for */
/* Cursors that changed since they were last taken, at most `max`; call until 0. */
size_t inbox_take_cursors(struct inbox *, struct inbox_cursor *, size_t max);
/* Every run of every conversation, for the state file. own: places of own messages that are not reached yet. */
void inbox_each(const struct inbox *, void (*fn)(void *arg, const struct inbox_cursor *, bool own),
                void *arg);

#endif
