/* core.h: what the edge decides, without I/O: frames, delivery records, reports, finished hashes and time in;
 * frames, closes, records, hash jobs and commits out. conn.c, slot.c and edge.c are its shell; tests/sim is another.
 *
 * One thread. No clock, no randomness: the same calls give the same answers. Answers may be called from inside any
 * call here; they must not call back into the core (edge_core_gone() included: tell the core in a later turn).
 *
 * Order the shell keeps: edge_core_now() first in every turn; frames of one connection in order, one at a time, and
 * none while it is paused or closed; delivery records in offset order; every produce reported exactly once.
 *
 * A connection is a number, reused after edge_core_gone(). A session's `handle` is another number, never used twice
 * within an epoch. The core starts without a slot: it takes no connection until edge_core_claimed().
 */
#ifndef PARLEY_EDGE_CORE_H
#define PARLEY_EDGE_CORE_H

#include "common/base/buf.h"
#include "common/base/core.h"
#include "common/im/ids.h"

struct edge_core;
struct secrets;
struct topics;

#define EDGE_NO_CONN UINT32_MAX

enum edge_cut {                  /* why a connection ended; also the label of its metric */
                EDGE_CUT_CLIENT, /* it closed, or logged out */
                EDGE_CUT_BAD,    /* frames that cannot be read */
                EDGE_CUT_SLOW,   /* too much output, or too many pushes, behind */
                EDGE_CUT_SILENT, /* idle, or pushes unconfirmed for too long */
                EDGE_CUT_LOGIN,  /* did not log in in time */
                EDGE_CUT_KICKED, /* replaced or revoked */
                EDGE_CUT_LEASE,  /* the slot is lost */
                EDGE_CUT_DRAIN,  /* the edge is going */
                EDGE_CUT_LOG,    /* a send's fate is not known */
                EDGE_CUTS
};

enum edge_job_kind {
    EDGE_JOB_HASH,   /* password → sealed verifier for `user` */
    EDGE_JOB_VERIFY, /* does the password fit the sealed verifier? sealed.n == 0: no such user; take as long */
};

struct edge_out {
    /* A whole frame for the connection, written at the end of the turn. payload lies in `owner` (take a reference) or,
     * owner == NULL, is copied. */
    void (*write)(void *ctx, uint32_t conn, uint16_t type, uint32_t seq_id, struct slice payload,
                  struct buf *owner);
    /* No more frames go in. The shell writes what is pending (for a bounded time), closes, then edge_core_gone(). */
    void (*close)(void *ctx, uint32_t conn, enum edge_cut why);
    void (*pause)(void *ctx, uint32_t conn,
                  bool paused); /* keep bytes that were read; feed nothing until resumed */
    /* Partition by murmur2 of `place`. value.n == 0: tombstone. False: the queue is full, nothing was taken. The report
     * comes later through edge_core_sent(), never from inside. tag 0: no report wanted. */
    bool (*produce)(void *ctx, uint16_t topic, struct slice place, struct slice key, struct slice value,
                    uint64_t tag);
    /* False: too many waiting. Everything is copied (and wiped); the answer is edge_core_job(). */
    bool (*job)(void *ctx, enum edge_job_kind, uint64_t tag, struct id16 user, struct slice password,
                struct slice sealed);
    void (*commit)(void *ctx, int64_t next);  /* the slot's position; failures end in edge_core_lost() */
    void (*lost)(void *ctx, const char *why); /* the core saw that the slot is somebody else's: give it up */
    void (*ack_us)(void *ctx, int64_t us);    /* a send was acked that long after it was read; may be NULL */
    bool (*behind)(void *ctx, uint32_t conn); /* has output that its socket did not take; NULL: nobody has */
};

struct edge_limits {                  /* 0: the default in brackets */
    uint32_t max_conns;               /* [100000] */
    uint32_t max_frame;               /* [65536] after login, header included; before: 4096 */
    uint32_t conns_per_address;       /* [4096] */
    uint32_t unconfirmed;             /* [4096] pushes held per connection */
    uint32_t window;                  /* [65536] delivery records open at once; a power of two */
    uint32_t known_users;             /* [65536] cached */
    uint32_t send_window;             /* [64] unresolved sends, at most 64 */
    uint32_t rate, burst;             /* [1000, 2000] requests per second and connection */
    uint32_t hash_per_address;        /* [32] passwords of one address being hashed, or waiting for it */
    uint32_t pulls;                   /* [4] pages of one connection on their way */
    uint32_t queries;                 /* [8] questions of one connection not answered, at most 255 */
    uint32_t query_rate, query_burst; /* [50, 100] questions per second and connection */
    uint32_t tries, try_every_ms;     /* [20, 1000] wrong passwords per address at once, one more every … */
    uint32_t account_tries, account_try_every_ms; /* [10, 5000] the same per account, from all addresses */
    uint32_t registers, register_every_ms;        /* [100, 10000] accounts made by an address */
    int64_t login_ms;                             /* [10000] to log in, absolute */
    int64_t heartbeat_ms;                         /* [30000]; idle close after three */
    int64_t confirm_ms;                           /* [30000] the oldest unconfirmed push */
    int64_t lookup_ms;                            /* [2000] then a recipient is taken on trust */
    int64_t cursor_ms;                            /* [10000] */
    int64_t commit_ms;                            /* [1000] */
    int64_t recommit_ms;                          /* [1 day] also without progress */
    int64_t token_ms;                             /* [30 days] */
};

struct edge_setup {
    struct edge_limits limits;
    const char *name;              /* told to clients, and holder's name; borrowed */
    const struct secrets *secrets; /* signs and checks tokens; borrowed */
    const struct topics *topics;   /* names for dead letters; borrowed. NULL: none are written */
    const struct edge_out *out;    /* borrowed */
    void *ctx;
};

struct edge_core *edge_core_new(const struct edge_setup *); /* NULL: no memory */
void edge_core_free(struct edge_core *);                    /* nothing is written or closed any more */

void edge_core_now(struct edge_core *, int64_t mono_us, int64_t wall_us);
/* At least every second. Timers, the outbox, cursors, commits. */
void edge_core_tick(struct edge_core *);

/* ---- the slot ---- */
void edge_core_claimed(struct edge_core *, uint32_t slot, uint64_t epoch,
                       int64_t next);          /* next: committed position */
void edge_core_lost(struct edge_core *);       /* closes every connection, forgets everything that was owed */
bool edge_core_full(const struct edge_core *); /* feed no delivery record now; ask again next turn */
/* Duplicates and gaps are fine, offsets ascend. */
void edge_core_deliver(struct edge_core *, int64_t offset, struct slice value);
int64_t edge_core_mark(const struct edge_core *); /* all below is confirmed or handed back; -1: no slot */

/* ---- connections ---- */
/* `address`: a number for the peer's IP address. EDGE_NO_CONN: not taken (no slot, draining, too many); *why says the Code
 * the shell should write in an Error frame before it closes. */
uint32_t edge_core_accept(struct edge_core *, uint64_t address, uint16_t *why);
bool edge_core_logged_in(const struct edge_core *, uint32_t conn);
uint32_t edge_core_frame_cap(const struct edge_core *, uint32_t conn); /* largest totalLen now */
/* False: stop feeding this connection (paused or closed); bytes after this frame stay with the shell. */
bool edge_core_frame(struct edge_core *, uint32_t conn, uint16_t type, uint32_t seq_id, struct slice payload);
/* The bytes are no frame: `code` FRAME_TOO_SHORT or FRAME_TOO_LARGE. Answers and closes. */
void edge_core_bad_frame(struct edge_core *, uint32_t conn, uint16_t code, uint32_t seq_id);
void edge_core_slow(struct edge_core *, uint32_t conn); /* too much output behind: cut it */
void edge_core_gone(struct edge_core *, uint32_t conn); /* the socket is closed; the number is free */

/* ---- answers ---- */
void edge_core_sent(struct edge_core *, uint64_t tag, enum sent, int64_t offset);
void edge_core_job(struct edge_core *, uint64_t tag, bool ok, struct slice sealed);

/* ---- operation ---- */
void edge_core_busy(struct edge_core *, bool busy); /* the router is too far behind: refuse sends */
void edge_core_drain(struct edge_core *,
                     int64_t grace_ms); /* GOAWAY; whoever is still there after grace_ms is cut */
bool edge_core_drained(
    const struct edge_core *); /* no connection, nothing to be reported: commit and leave */

struct edge_stats {
    uint32_t connections, sessions, unconfirmed, in_flight, outbox;
    uint64_t accepted, frames[128], errors, acks, pushes, late, bounced, cuts[EDGE_CUTS];
    uint64_t lookups, logins, login_failures, registers, cursors, bad_records;
    uint64_t queries, signals, signals_dropped, nameless; /* nameless: late, and not known whose */
};
const struct edge_stats *edge_core_stats(const struct edge_core *);

#endif
