/* state.h: the core's inside, for core_*.c and verb_*.c only. core.h is its manual.
 *
 * A connection goes OPEN → LOGIN (its Inbound.login may be in the log, so an Inbound.end is owed) → SESSION → CLOSING →
 * free. While it has a `pend` (a request that waits for somebody) its reading is paused, so at most one waits. */
#ifndef PARLEY_EDGE_STATE_H
#define PARLEY_EDGE_STATE_H

#include "common/base/arena.h"
#include "common/base/arena_protobuf.h"
#include "common/base/crash.h"
#include "common/base/timer.h"
#include "common/im/codec.h"
#include "common/im/secrets.h"
#include "common/im/session.h"
#include "common/im/topics.h"
#include "common/im/validate.h"
#include "edge/addresses.h"
#include "edge/asked.h"
#include "edge/core.h"
#include "edge/cursors.h"
#include "edge/delivery.h"
#include "edge/departed.h"
#include "edge/guesses.h"
#include "edge/handles.h"
#include "edge/known.h"
#include "edge/throttle.h"

#define EDGE_BUDGET(n)  (16384 + 4 * (size_t)(n)) /* memory for a request of n bytes */
#define EDGE_CHUNK      256                       /* connections allocated at once */
#define EDGE_WINDOW_MAX 64                        /* unresolved sends */
#define EDGE_OUTBOX_MAX \
    65536                 /* records that wait to be handed back: then no more delivery records are taken */
#define EDGE_BOUNCE_N 512 /* items and … */
#define EDGE_BOUNCE   (256u << 10) /* … bytes per bounce record */

enum conn_state { C_FREE, C_OPEN, C_LOGIN, C_SESSION, C_CLOSING };

enum pend_stage { P_NONE, P_LOOKUP, P_HASH, P_VERDICT, P_REPLY };

struct wanted { /* somebody whose account is looked up */
    struct id16 user;
    const char *field; /* of the request, for its error */
};

struct pend { /* a request that waits; wiped when freed, since it may hold a password */
    uint16_t type;
    uint8_t stage;
    uint32_t seq_id;
    uint32_t purpose; /* matches the answer to the question */
    int64_t login_at; /* offset of the Inbound.login; -1: not reported yet */
    int64_t until_ms; /* INT64_MAX: the login deadline is enough */
    struct id16 target;
    struct wanted *wanted; /* a send: whom it names that is not known yet */
    uint32_t n_wanted;
    bool trusts; /* a send: written all the same when nobody can say in time */
    char login[LOGIN_MAX + 1];
    struct buf *frame; /* the request's payload */
};

struct sends { /* client_seqs without outcome */
    uint32_t n;
    struct sends *next; /* in the free list */
    uint64_t seq[EDGE_WINDOW_MAX];
};

struct econn {
    struct timer timer;
    struct dconn d;
    uint32_t handle;
    struct id16 user;
    uint64_t login_offset, address;
    uint64_t generation; /* of the tokens it may be given */
    struct pend *pend;
    struct sends *sends;
    struct edge_cursors *cursors;
    struct asked *asked; /* questions and pages without an answer */
    struct ratelimit rate, query;
    uint32_t device;
    uint32_t index; /* the connection's number; next free one while free */
    uint32_t heard_ms, cursor_ms;
    uint32_t opened_ms; /* before the session: for its deadline */
    uint16_t flying;    /* produced, not reported */
    uint8_t state;
    bool paused;
};
/* Beside its socket's 72 bytes and its handle's entry: an idle connection costs no more than 256. */
_Static_assert(sizeof(struct econn) <= 160, "connections are many: keep them small");

struct flight { /* a produced request whose report is awaited */
    struct id16 msg_id, conv;
    uint64_t client_seq;
    int64_t read_us;
    uint32_t handle, seq_id;
    uint32_t next;
    uint16_t type; /* frame type; 0: free */
};

struct edge_core {
    struct edge_limits lim;
    struct edge_stats stats;
    const struct edge_out *out;
    void *ctx;
    const struct secrets *secrets;
    const struct topics *topics;
    const char *name;
    struct arena *arena; /* of one call */
    struct timer_wheel *wheel;
    int64_t now_us, now_ms, wall_us, start_ms, wheel_ms;

    bool claimed, busy, draining;
    uint32_t slot;
    uint64_t epoch;
    struct offsets *offsets;
    int64_t committed, committed_ms, commit_at_ms, cut_at_ms, drain_at_ms;

    struct econn **chunks;
    uint32_t n_chunks, free_conn; /* index + 1 */
    uint32_t next_handle, next_purpose;
    struct handles handles;
    struct addresses *addresses;
    struct guesses *guesses;
    struct known *known;
    struct delivery *delivery;
    struct departed *departed;
    struct throttle *typing;
    struct edge_bounce *bounce; /* scratch */
    struct sends *free_sends;
    struct hashing *hashing;
    struct flight *flights;
    uint32_t flights_cap, free_flight;  /* index + 1 */
    struct outrec *out_head, *out_tail; /* waiting, in order */
    struct outrec *out_flying;
    uint32_t out_waiting;
};

void edge_defaults(struct edge_limits *); /* core_limits.c */

/* core.c */
struct econn *edge_conn(const struct edge_core *, uint32_t index); /* NULL: no such, or free */
struct econn *edge_by_handle(const struct edge_core *, uint32_t handle);
void edge_conn_each(struct edge_core *, void (*fn)(struct edge_core *, struct econn *, void *), void *arg);
static inline uint32_t edge_ms32(const struct edge_core *e)
{
    return (uint32_t)(e->now_ms - e->start_ms);
}
ProtobufCAllocator *edge_allocator(struct edge_core *, struct arena_protobuf *, size_t budget);
__attribute__((returns_nonnull)) void *edge_must(
    void *); /* out of memory where nothing can be undone: abort */

/* core_write.c: frames to clients */
void edge_write(struct edge_core *, struct econn *, uint16_t type, uint32_t seq_id, const ProtobufCMessage *);
void edge_error(struct edge_core *, struct econn *, uint32_t seq_id, Im__Code, const char *field,
                uint32_t retry_ms);
void edge_kicked(struct edge_core *, struct econn *, Im__Code);
void edge_login_rsp(struct edge_core *, struct econn *, uint32_t seq_id, Im__Code, uint32_t retry_ms);

/* core_session.c: pending requests, the end of a connection */
bool edge_pend(struct edge_core *, struct econn *, uint16_t type, uint32_t seq_id, struct slice payload);
void edge_pend_free(struct edge_core *, struct econn *); /* and reading goes on */
void edge_close(struct edge_core *, struct econn *, enum edge_cut);
void edge_arm(struct edge_core *, struct econn *);
void edge_timer(struct timer *);
void edge_cursors_flush(struct edge_core *, struct econn *);
void edge_me(const struct edge_core *, const struct econn *, struct session *); /* user zero before login */

/* core_hash.c: overwrites what a decoded LOGIN_REQ or REGISTER_REQ has of a password; NULL is fine. */
void edge_forget_password(uint16_t type, const ProtobufCMessage *);

/* core_produce.c: records to the log */
/* Packs and produces; the report comes to verb_*_sent by `about->type`. False: queue full, nothing taken. about NULL: no
 * report wanted. */
bool edge_produce(struct edge_core *, struct econn *, uint16_t topic, struct id16 key,
                  const ProtobufCMessage *, struct flight *about);
/* Fills in what all records of im.inbound have. */
void edge_inbound(struct edge_core *, const struct econn *, bool with_user, uint32_t seq_id, Im__Inbound *,
                  Im__Session *, struct session *);
/* The session's request to its router, answered by an ITEM_REPLY or not at all. False: told the client BUSY. */
bool edge_request(struct edge_core *, struct econn *, uint16_t type, uint32_t seq_id, Im__Inbound *);
/* A conversation by its id, or the direct one with `with`. False: told the client what is wrong. */
bool edge_where(struct edge_core *, struct econn *, uint32_t seq_id, ProtobufCBinaryData conversation,
                const char *with, struct id16 *conv);
bool edge_lookup(struct edge_core *, struct econn *, struct id16 target, bool verifier); /* for conn's pend */
bool edge_lookup_too(struct edge_core *, struct econn *,
                     struct id16 target); /* one more, beside those under way */

/* core_hash.c: passwords in the pool, so many per address and no more, also when their connections are long gone. */
bool edge_hash(struct edge_core *, struct econn *, enum edge_job_kind, const char *password,
               struct slice sealed); /* for conn's pend; false: not now */
void edge_hash_done(struct edge_core *, uint64_t tag);
void edge_hash_free(struct edge_core *);

/* core_outbox.c: records that must get into the log, repeated until they are */
/* Takes over the holds on the tickets. */
void edge_outbox(struct edge_core *, uint16_t topic, struct id16 place, struct slice key,
                 const ProtobufCMessage *, const ticket *, size_t n);
void edge_outbox_sent(struct edge_core *, uint64_t tag, enum sent);
void edge_outbox_run(struct edge_core *);
void edge_outbox_forget(struct edge_core *); /* the slot is lost, and the tickets' window with it */
void edge_outbox_free(struct edge_core *);
struct edge_bounce { /* a bounce record being gathered */
    struct session session;
    Im__QueueItem *items[EDGE_BOUNCE_N];
    ticket tickets[EDGE_BOUNCE_N];
    size_t n, bytes;
};
/* The core's one; begin … end, never two at a time. */
struct edge_bounce *edge_bounce_begin(struct edge_core *, const struct session *);
/* payload.n == 0: only a pointer; what it points to is in history. */
void edge_bounce_add(struct edge_core *, struct edge_bounce *, ticket, struct id16 conv, uint64_t seq,
                     struct slice payload);
void edge_bounce_end(struct edge_core *, struct edge_bounce *);

#endif
