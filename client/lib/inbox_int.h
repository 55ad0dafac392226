/* inbox_int.h: what inbox.c (conversations and their order) and inbox_gap.c (holes, and whom to ask about them) share. */
#ifndef PARLEY_CLIENT_INBOX_INT_H
#define PARLEY_CLIENT_INBOX_INT_H

#include "client/lib/inbox.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define NEVER INT64_MAX
#define NONE  (-1)

struct held {
    struct held *next;
    uint64_t seq;
    uint32_t delivery; /* 0: came in a page */
    size_t n;
    uint8_t payload[];
};

struct talk {
    struct id16 id;
    struct ranges have; /* empty: the start is not known */
    struct ranges own; /* places of this device's own messages that are not reached yet: never pushed to it */
    struct held *held; /* ascending */
    uint32_t n_held;
    uint32_t asks;
    uint64_t news; /* there are events up to here, as the server says; 0 or not above `have`: nothing open */
    uint64_t missed; /* given up before what is delivered next */
    bool group;      /* its events are not queued: holes are filled from history */
    bool history;    /* the next question goes there */
    bool put_off;    /* history did not have the news in time: asked for now and then */
    bool dirty, asking, overflowed, queued;
    bool guess; /* the start is not from our own memory: own messages before it may be the next hole */
    int64_t hole_since, ask_at;
    UT_hash_handle hh;
    struct talk *prev, *next;   /* by last use, the oldest first */
    struct talk *wprev, *wnext; /* those with something open */
};

struct inbox {
    struct inbox_conf c;
    struct talk *by_id, *lru, *waiting;
    struct talk **dirty;
    size_t n_dirty, cap_dirty;
    size_t n_held;
    uint32_t seen;    /* the highest delivery number of this connection */
    uint32_t blocked; /* a push dropped for want of room: from it on nothing may be confirmed; 0: none */
    bool no_history;  /* this server has none */
};

/* ---- inbox.c ---- */
struct talk *talk_find(const struct inbox *, struct id16);
struct talk *talk_get(struct inbox *, struct id16); /* NULL: no memory */
void talk_dirty(struct inbox *, struct talk *);
void talk_take(struct inbox *, struct talk *, uint64_t seq);
struct held *talk_unhold(struct inbox *, struct talk *); /* the first */
void talk_drain(struct inbox *, struct talk *);          /* hands on what follows without a hole */
void talk_deliver(struct inbox *, struct talk *, const void *payload, size_t n, bool late);
uint64_t talk_own_between(const struct talk *, uint64_t from, uint64_t upto);

/* ---- inbox_gap.c ---- */
void gap_open(struct inbox *, struct talk *, int64_t now);
void gap_close(struct inbox *, struct talk *); /* when nothing is open any more */

#endif
