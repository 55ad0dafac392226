/* shell.h: runs a core (core.h) against Kafka and a store, on the one loop thread.
 *
 * For each partition it owns: drain → batch → plan (at most 4 rounds) → load → step each record → end → sends
 * → all acked → rows and mark in one put → commit. Batches overlap; puts and commits keep their order.
 *
 * A partition opens at its store's mark. The shell compares the mark with what the group has committed:
 *     mark present, at or above the commit (or the commit is within `quiet`)   open at the mark
 *     mark missing, and nothing but offset 0 is committed                     open at 0, rows are cleared
 * first mark missing or behind the commit                                        recover() first; NULL:
 * halted nothing committed at all                                                 halted: the topics were not
 * set up here Halted: the partition stops, loudly (log, readyz, gauge), the others go on. Only an operator
 * ends it. A send that failed for good, a refused put or commit: the core is closed and opened again at the
 * mark. Kafka or the store away: retried with back-off, input paused, memory bounded, readyz says so.
 *
 * Crash points (crash.h), all "<name>:step|sent|acked|put|commit", <name> being the declaration's.
 */
#ifndef PARLEY_BASE_SHELL_H
#define PARLEY_BASE_SHELL_H

#include "common/base/core.h"
#include "common/base/kconf.h"
#include "common/base/store.h"

struct loop;
struct ready;
struct shell;
struct shell_recovery;

#define SHELL_NO_DLQ    UINT16_MAX
#define SHELL_ELSEWHERE (UINT16_MAX - 1) /* for fx_send: not to Kafka but to shell_decl.deliver */

struct ksend;

/* An undecodable record on its way to the dead-letter topic; everything borrowed. */
struct shell_dead {
    const struct record *record;
    const char *topic; /* its name */
    const char *error; /* a short reason */
};

struct shell_gap { /* why a partition has to be recovered */
    int32_t part;
    const int64_t *committed;      /* per input; what was already sent for: a recovery's usual `quiet` */
    const struct store_mark *mark; /* mark->present is false when it is missing */
};

struct shell_decl {
    const char *name;       /* of the core: metrics, logs, crash points */
    const char *group;      /* consumer group id */
    const char *store_name; /* first part of the mark's key; NULL: group */
    struct kconf kafka;
    const struct ktopic *topics; /* the deployment's table; all of this is borrowed for the shell's life */
    size_t n_topics;
    const uint16_t
        *inputs; /* topic indices, equal partition counts, at most STORE_TOPICS; order of next[], quiet[] */
    size_t n_inputs;
    const uint16_t *outputs; /* topics that are sent to: their metadata is fetched at start; may be NULL */
    size_t n_outputs;
    const struct core_ops *ops;
    const void *settings;    /* handed to open() */
    void *shared;            /* handed to open() */
    struct store *store;     /* borrowed; may serve several shells */
    struct ready *ready;     /* may be NULL (tests) */
    const char *instance_id; /* static membership; NULL: dynamic */

    uint16_t dlq_topic; /* or SHELL_NO_DLQ: then poison is a CORE_STOP */
    /* Writes the dead letter's value into the batch's arena (fx_alloc) and returns it; n == 0: treat as
     * CORE_STOP. */
    struct slice (*dead_letter)(void *ctx, const struct shell_dead *, struct fx *);

    /* Takes what cores send to SHELL_ELSEWHERE, and answers through ksend's done(), later, once: SENT_OK lets the mark
     * move on, anything else reopens the partition at the mark. Key and value stay until then, even when the partition
     * is closed meanwhile; shell_free() must be followed by the answers that are missing. 0, or -EAGAIN: not now, and
     * shell_writable() when there is room. NULL: cores send to Kafka alone. */
    int (*deliver)(void *ctx, struct slice key, struct slice value, struct ksend *);

    /* Makes the rows again. Ends, now or later, with exactly one shell_recovery_done, _from_start or _fail.
     */
    void (*recover)(void *ctx, struct shell_recovery *, const struct shell_gap *);
    void (*recover_room)(void *ctx, struct shell_recovery *);   /* after shell_recovery_full: go on */
    void (*recover_cancel)(void *ctx, struct shell_recovery *); /* lost: stop using it at once; no end call */

    void (*opened)(void *ctx, int32_t part); /* the first batch may come; may be NULL */
    void (*closed)(void *ctx, int32_t part); /* may be NULL */
    void (*fatal)(
        void *ctx,
        const char *reason); /* a client is dead: exit and be restarted; NULL: the shell makes it anew */
    void *ctx;

    /* limits; 0 means the default in brackets */
    uint32_t batch_records;   /* [1000] */
    uint32_t batch_kbytes;    /* [1024] input bytes */
    uint32_t batches;         /* in flight per partition [4], at most 16 */
    uint32_t queue_records;   /* waiting per partition before the consumer is paused [8192] */
    uint32_t lazy_ms;         /* a batch without rows may leave the mark behind this long [200] … */
    uint32_t lazy_records;    /* … or for so many records [4096] */
    uint32_t drain_ms;        /* at a revoke or a stop: finish what is in flight within this [2000] */
    uint32_t fetch_wait_ms;   /* [100] */
    uint32_t fetch_min_bytes; /* a fetch waits for so much, up to fetch_wait_ms [1] */
    uint32_t put_ms; /* puts of few rows are made at most this often [0: as soon as the one before is done] */
    uint32_t session_ms; /* [6000] */
    uint32_t linger_ms;  /* of the producer [0] */
};

struct shell *shell_new(struct loop *, const struct shell_decl *); /* NULL: logged */
/* Finishes what is in flight (drain_ms), commits, leaves the group, flushes; then done() once. Free it then.
 */
void shell_stop(struct shell *, void (*done)(void *ctx), void *ctx);
void shell_free(struct shell *); /* without a stop: as a crash would, but leaves the group */

/* One more record for the core of its partition, from elsewhere than the inputs; copied. It is planned, loaded and
 * stepped in a batch like any other, but has no place: it is not marked, buried or stepped again, and whatever the core
 * says of it never halts the partition. For what may be lost: false, and nothing happens, when the partition is not
 * running or has a batch waiting already; left out when it waits longer than `patience_ms`. */
bool shell_offer(struct shell *, const struct record *, uint32_t patience_ms);

/* After deliver() said -EAGAIN: there is room again. */
void shell_writable(struct shell *);

/* Something changed that the cores look at (a view): tick() every open core soon. */
void shell_poke(struct shell *);

/* ---- recovery: rows are copied; they are put in transactions of some thousand as they come ---- */
int32_t shell_recovery_part(const struct shell_recovery *);
void *shell_recovery_user(
    const struct shell_recovery *); /* what shell_recovery_set_user stored; NULL at first */
void shell_recovery_set_user(struct shell_recovery *, void *);
void shell_recovery_row(struct shell_recovery *, uint8_t table, struct slice key, struct slice row);
bool shell_recovery_full(const struct shell_recovery *); /* then stop giving rows until recover_room() */
/* The rows are as of `next` (per input); records below `quiet` were sent for already. Arrays of n_inputs. */
void shell_recovery_done(struct shell_recovery *, const int64_t *next, const int64_t *quiet);
/* No rows: go through the log from its present beginning. A log that no longer begins at 0 shows in open()'s
 * next. */
void shell_recovery_from_start(struct shell_recovery *);
void shell_recovery_fail(struct shell_recovery *, bool retry,
                         const char *why); /* retry: recover() again later */

struct shell_stats {
    uint32_t parts, halted, recovering;
    uint64_t records, batches, sends_in_flight, dead;
    int64_t lag; /* over all partitions; -1: not known */
};
void shell_stats(const struct shell *, struct shell_stats *);

#endif
