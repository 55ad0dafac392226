/* client.h: what a handle is inside, for the files of libparley only.
 *
 * parley.c, outgoing.c, conversation.c, question.c: the functions others call. life.c: the connection's life
 * (connect, log in, heartbeat, go away, end). inward.c: frames that came; events.c: those about conversations;
 * answer.c: answers to questions. outward.c: frames that leave; fill.c: those that ask for what is missing; ask.c:
 * questions. inbox, outbox, receipts, ranges, state, link: parts without knowledge of each other. Nothing here calls
 * back into parley.c. */
#ifndef PARLEY_CLIENT_CLIENT_H
#define PARLEY_CLIENT_CLIENT_H

#include "client/lib/ask.h"
#include "client/lib/inbox.h"
#include "client/lib/link.h"
#include "client/lib/outbox.h"
#include "client/lib/parley_history.h"
#include "client/lib/receipts.h"
#include "client/lib/state.h"
#include "common/base/arena.h"
#include "common/base/backoff.h"
#include "proto/client.pb-c.h"

#define NEVER     INT64_MAX
#define TYPING_MS 3000 /* between two frames that say the same */

struct request { /* a registration or a question about an account */
    struct request *prev, *next;
    bool registration;
    uint32_t seq_id; /* 0: has not left on this connection */
    int64_t deadline;
    char *login, *password, *display_name;
};

struct pulling {     /* one PULL_OFFLINE_REQ at a time */
    uint32_t seq_id; /* 0: none out */
    bool one;        /* about `conv`; else all */
    struct id16 conv;
    uint64_t after;
    bool chain;   /* pages of `all` are still to come */
    bool rest;    /* rest_in_history was set in one of the pages */
    bool wanted;  /* the application waits for `pulled` … */
    bool started; /* … its first page was asked for … */
    bool done;    /* … its last page is in */
    int64_t at;   /* asked again then, or not before then */
};

struct filling { /* one HISTORY_REQ of the inbox at a time */
    bool on;
    uint32_t seq_id; /* 0: has not left */
    struct inbox_question q;
    int64_t at; /* no answer by then: none will come */
};

struct parley {
    struct parley_callbacks cb;
    void *ctx;
    struct parley_options opt; /* its strings are not kept */
    char *device_class, *client;
    struct state state;
    struct link link;
    struct inbox *inbox;
    struct outbox outbox;
    struct arena *arena;
    struct request *requests;
    struct pulling pull;
    struct filling fill;
    struct receipts *receipts;
    struct asked *asks;
    struct watching watch;
    int64_t last_ask;
    size_t n_asks;
    struct backoff backoff;

    enum parley_state st;
    char *login, *password; /* of the log-in to be made; password NULL: by token */
    bool want_login, fresh, new_device, poked;
    uint32_t seq_id;      /* of the last frame that left */
    uint32_t login_frame; /* 0: not asked */
    uint32_t acked;       /* delivery number confirmed */
    uint32_t max_frame, window, heartbeat_ms;
    size_t tried;    /* servers tried since the last one that answered */
    int64_t next_at; /* next attempt to connect */
    int64_t connect_by, login_by, idle_by;
    int64_t online_since, heard_at, beat_at;
    int64_t goaway_by, retry_at; /* going: NEVER when not */
    int64_t stop_by, bye_by;     /* stopping: NEVER when not */
    bool dirty;                  /* the state file is behind … */
    int64_t save_by;             /* … and is written then at the latest */
    int save_err;
    enum parley_code why; /* what the server said last about the connection */
    char why_text[160];

    struct id16 typing_in; /* told so … */
    int64_t typing_at;     /* … then; 0: not typing */
    struct id16 last_conv; /* the last place that something sent by this device was given */
    uint64_t last_seq;     /* 0: none yet */
    char last_to[80];

    uint8_t user[PARLEY_ID];
    uint32_t device;
    char name[80];
    char edge[80];
};

static inline const char *text_or(const char *s)
{
    return s ? s : "";
}

static inline ProtobufCBinaryData bytes_of(const void *p, size_t n)
{
    return (ProtobufCBinaryData){p ? n : 0, (uint8_t *)(uintptr_t)p};
}

static inline char *string_of(const char *s)
{
    return (char *)(uintptr_t)text_or(s);
}

static inline bool get_id(const ProtobufCBinaryData *d, struct id16 *out)
{
    if (d->len != ID_SIZE)
        return false;
    memcpy(out->b, d->data, ID_SIZE);
    return true;
}

/* ---- life.c ---- */
void life_set(struct parley *, enum parley_state, enum parley_code why, const char *detail);
void life_error(struct parley *, enum parley_code, const char *detail);
void life_begin(struct parley *, int64_t now);     /* starts connecting */
void life_connected(struct parley *, int64_t now); /* the descriptor became writable */
/* Closes; tries again after a pause of at least `wait_ms` when there is something to do. */
void life_lost(struct parley *, enum parley_code why, const char *detail, uint32_t wait_ms, int64_t now);
void life_end(struct parley *, enum parley_code why, const char *detail); /* for good */
void life_logged_in(struct parley *, const Im__LoginRsp *, int64_t now);
void life_login_refused(struct parley *, enum parley_code, const char *detail, uint32_t retry_ms,
                        int64_t now);
void life_tick(struct parley *, int64_t now);
int64_t life_due(const struct parley *); /* when life_tick() has something to do */
void life_save(struct parley *);         /* the state file, if it is behind */

/* ---- inward.c ---- */
void inward_burst(struct parley *, int64_t now);                 /* reads and handles what there is */
void inward_bad(struct parley *, const char *what, int64_t now); /* ends the connection */
void *inward_unpack(struct parley *, const ProtobufCMessageDescriptor *, struct slice); /* in the arena */

/* ---- events.c ---- */
struct frame;
bool events_frame(struct parley *, const struct frame *, int64_t now); /* false: not one of its types */
void events_deliver(void *parley, const void *payload, size_t n, uint64_t missed, bool late);
void events_item(struct parley *, const Im__ChatPush *, int64_t now); /* of a page of the queue */
void events_news(struct parley *, Im__News *const *, size_t n, unsigned flags, int64_t now);
/* false: it makes no sense. What `m` points to lives in the arena, or in `c`. */
bool events_message(struct parley *, const Im__ChatPush *c, struct parley_message *m);
/* In the arena; NULL: none, or no memory. */
struct parley_person *events_people(struct parley *, const ProtobufCBinaryData *users, size_t n,
                                    char *const *logins, size_t n_logins);

/* ---- outward.c ---- */
void outward_pump(struct parley *, int64_t now); /* everything that may leave now, leaves */
void outward_last(struct parley *, int64_t now); /* what would leave in a moment, before the good-bye */
int64_t outward_due(const struct parley *);
uint32_t outward_frame(struct parley *, uint16_t type, const ProtobufCMessage *); /* returns its seqId */
uint32_t outward_id(struct parley *);                                             /* the next seqId */
void outward_told(struct parley *, struct out *, enum parley_stage, enum parley_code, const char *detail,
                  const Im__MsgAck *); /* tells the application; the last stage removes it */

/* ---- outgoing.c ---- */
/* By the server's own rules. numbered: client_seq is not in it yet. 0, -EINVAL, -ENOMEM. */
int packed_check(uint16_t frame, bool numbered, const void *body, size_t n);

/* ---- fill.c ---- */
void fill_send(struct parley *, int64_t now);
int64_t fill_due(const struct parley *);
bool fill_answer(struct parley *, const struct frame *,
                 int64_t now); /* false: it asked nothing of the kind */
bool fill_error(struct parley *, uint32_t seq_id, enum parley_code, int64_t now);

/* ---- requests, in outward.c ---- */
void request_free(struct parley *, struct request *);
void request_answer(struct parley *, struct request *, enum parley_code, const char *detail, bool exists,
                    const uint8_t *user); /* tells and frees */

#endif
