/* client.h: what a handle is inside, for the files of libparley only.
 *
 * parley.c: the functions others call. life.c: the connection's life (connect, log in, heartbeat, go away,
 * end). inward.c: frames that came. outward.c: frames that leave. inbox, outbox, ranges, state, link: parts
 * without knowledge of each other. Nothing here calls back into parley.c. */
#ifndef PARLEY_CLIENT_CLIENT_H
#define PARLEY_CLIENT_CLIENT_H

#include "client/lib/inbox.h"
#include "client/lib/link.h"
#include "client/lib/outbox.h"
#include "client/lib/parley.h"
#include "client/lib/state.h"
#include "common/base/arena.h"
#include "common/base/backoff.h"
#include "proto/client.pb-c.h"

#define NEVER INT64_MAX

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

    uint8_t user[PARLEY_ID];
    uint32_t device;
    char name[80];
    char edge[80];
};

static inline const char *text_or(const char *s)
{
    return s ? s : "";
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
void inward_burst(struct parley *, int64_t now); /* reads and handles what there is */
void inward_deliver(void *parley, const void *payload, size_t n, uint64_t missed, bool late);

/* ---- outward.c ---- */
void outward_pump(struct parley *, int64_t now); /* everything that may leave now, leaves */
int64_t outward_due(const struct parley *);
void outward_told(struct parley *, struct out *, enum parley_stage, enum parley_code, const char *detail,
                  const Im__MsgAck *); /* tells the application; the last stage removes it */

/* ---- requests, in outward.c ---- */
void request_free(struct parley *, struct request *);
void request_answer(struct parley *, struct request *, enum parley_code, const char *detail, bool exists,
                    const uint8_t *user); /* tells and frees */

#endif
