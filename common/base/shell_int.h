/* shell_int.h: the parts of the shell, for each other and for their unit test.
 *
 *     shell.c            declaration, consumer, producer; shell_stat.c: metrics, readiness
 *     shell_env.c        what partitions ask of it
 *     shell_part.c       a partition: open, close, halt, open again, drain
 *     shell_turn.c       … its records and turns
 *     shell_batch.c      a batch: fill, plan, load, step, tick
 *     shell_send.c       its sends and their reports
 *     shell_put.c        its rows and the mark, then the commit
 *     shell_recovery.c   making rows again
 *     shell_fx.c         what cores call (fx_*, want_add); shell_rows.c: rows by key
 *
 * A partition knows its surroundings only through struct spart_env, so it is tested without Kafka. Whatever goes
 * wrong inside a callback is noted (spart_fail) and carried out in a job at the end of the turn.
 */
#ifndef PARLEY_BASE_SHELL_INT_H
#define PARLEY_BASE_SHELL_INT_H

#include "common/base/arena.h"
#include "common/base/backoff.h"
#include "common/base/kconsumer.h"
#include "common/base/kproducer.h"
#include "common/base/loop.h"
#include "common/base/shell.h"

#define SHELL_BATCHES_MAX 16
#define SHELL_PLAN_ROUNDS 4

struct spart;
struct batch;

/* ---- rows by (table, key) ---- */
struct srow {
    struct srow *next;
    struct store_row r;
    bool replaced; /* a later row of the same key is in the same set */
};
struct row_index { /* open addressing, in an arena */
    struct srow **slots;
    uint32_t mask, used;
};
/* The entry of this key, or NULL; with `put`, that becomes the entry and the former one is returned. */
struct srow *row_index_find(const struct row_index *, uint8_t table, struct slice key);
struct srow *row_index_put(struct row_index *, struct arena *, struct srow *put);

/* ---- batch ---- */
struct fx {
    struct batch *b;
    bool quiet; /* the present record was sent for already */
};
struct want {
    struct batch *b;
};
#define SHELL_OFFERED UINT8_MAX
struct brec {
    struct record r;
    struct kmsg *msg; /* of an input */
    void *copy;       /* what an offered one points into */
    int64_t until_ms; /* likewise: of use no later than this */
    uint8_t input;    /* position in decl->inputs; SHELL_OFFERED: none */
    bool poison, more;
    bool later; /* more, once a view of the core's has gone on */
};
struct bsend {
    struct ksend s;
    struct batch *b;
    struct bsend *next;
    uint64_t tag;
    uint16_t topic;
    int32_t part;
    struct slice key, value;
};
enum batch_state { BATCH_LOADING, BATCH_SENDING, BATCH_ACKED, BATCH_PUTTING };
struct batch {
    struct batch *next;
    struct spart *part; /* NULL: given up, waits for its last report */
    struct arena *arena;
    enum batch_state state;
    struct fx fx;
    struct want want;
    struct brec *recs; /* until stepped */
    uint32_t n_recs, round;
    uint32_t stepped; /* records of inputs it carries, for the lazy mark */
    bool waited;      /* for a view */
    bool stop;        /* the core said CORE_STOP at the record after the last stepped one */
    struct bsend *sends, **sends_tail, *unsent;
    uint32_t in_flight;
    struct srow *rows, **rows_tail;
    uint32_t n_rows;
    struct row_index index; /* of keyed rows */
    struct srow *wants, **wants_tail;
    struct row_index wanted;
    struct srow *unloaded;  /* first want not yet asked for */
    struct store_key *keys; /* of the load under way; room for n_keys */
    size_t n_keys;
    struct srow *unindexed;     /* first row not yet in the index */
    int64_t upto[STORE_TOPICS]; /* next offsets after it */
    struct batch_age { /* runs of records that the log took in the same ms, for metrics; in the arena */
        int64_t time_ms;
        uint32_t n;
    } * ages;
    uint32_t n_ages;
};

/* ---- partition ---- */
enum spart_state {
    SPART_OPENING,    /* waiting for the store's mark, or to ask again */
    SPART_RECOVERING, /* rows are being made again */
    SPART_RUNNING,
    SPART_DRAINING, /* no new batches; finishing */
    SPART_CLOSED,   /* drained or lost: may be freed */
    SPART_HALTED,
};
enum spart_failure { SPART_FINE, SPART_REOPEN, SPART_HALT, SPART_LOST };

struct spart_env {
    void *ctx;
    struct loop *loop;
    int (*send)(void *ctx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                struct ksend *);
    int (*commit)(void *ctx, struct spart *, const int64_t *next); /* answer: spart_committed() */
    void (*start)(void *ctx, struct spart *, const int64_t *next); /* records from there on, please */
    void (*stop)(void *ctx, struct spart *);                       /* no more records */
    void (*pause)(void *ctx, struct spart *, bool paused);
    void (*changed)(void *ctx, struct spart *); /* of state, or of what it waits for */
    void (*low)(void *ctx, struct spart *,
                int64_t *next); /* first offsets still in the log; negative: not known */
};

struct spart {
    const struct shell_decl *decl; /* with all defaults filled in */
    const struct spart_env *env;
    int32_t part;
    enum spart_state state;
    enum spart_failure failure;
    char why[192]; /* of halt, reopening, waiting */
    bool waiting;  /* on the store; `why` says so */
    char stop_why[128];
    struct spart_opening *opening;
    struct loop_job fail_job;

    struct store_part *store;
    void *core;
    int64_t committed[STORE_TOPICS];
    int64_t next[STORE_TOPICS]; /* after the last record taken into a batch */
    struct store_mark mark;     /* the last one confirmed */

    struct brec *queue; /* ring of decl->queue_records */
    uint32_t q_head, q_n;
    size_t q_bytes;
    bool paused;

    struct batch *loading;                 /* planned, not yet stepped */
    struct batch *batches, **batches_tail; /* stepped, oldest first */
    uint32_t n_batches;
    struct batch *spare;
    int64_t wake_at; /* INT64_MAX: none */
    int64_t wake_armed;
    bool poked, stopping; /* stopping: halt once what is stepped is put */

    struct arena *put_arena;
    struct store_put put;
    struct store_mark put_mark;
    bool putting, mark_due, commit_due, committing;
    int64_t put_at_us;
    int64_t unput[STORE_TOPICS]; /* finished without rows, mark not yet put */
    bool has_unput;
    uint32_t unput_records;
    int64_t last_commit_ms;
    struct commit_token *commit_token; /* of the commit in flight; survives the partition */

    struct shell_recovery *recovery;
    struct timer wake, open_retry, load_retry, put_retry, lazy, commit_timer, drain, gather;
    struct backoff backoff;
};

/* shell_part.c */
struct spart *spart_new(const struct shell_decl *, const struct spart_env *, int32_t part,
                        const int64_t *committed);
void spart_free(struct spart *);
void spart_drain(struct spart *); /* then SPART_CLOSED by env->changed */
void spart_lost(struct spart *);  /* SPART_CLOSED at once */
void spart_fail(struct spart *, enum spart_failure, const char *why);
void spart_close_core(struct spart *);
void spart_open_core(struct spart *);
void spart_drained(struct spart *);               /* looks whether a drain or a halt is over */
void spart_wait(struct spart *, const char *why); /* NULL: no longer */
int64_t spart_retry_ms(struct spart *);

/* shell_turn.c */
bool spart_record(struct spart *, uint8_t input, const struct record *, struct kmsg *); /* true: kept */
bool spart_offer(struct spart *, const struct record *, uint32_t patience_ms);
void spart_turn(struct spart *); /* before each wait */

/* shell_batch.c */
void brec_drop(struct brec *);
struct batch *batch_new(struct spart *);
void batch_give_up(struct batch *); /* frees it, now or with its last report */
void batch_done(struct batch *);    /* back to the spares */
void batch_start(struct spart *);   /* fills one from the queue */
void batch_load_again(struct timer *);
void batch_index(struct batch *); /* its rows, as far as they are known */
void batch_tick(struct spart *);
_Noreturn void shell_no_memory(void);

/* shell_send.c */
void batch_send(struct batch *); /* what is not sent yet; stops when the producer is full */
bool spart_unsent(const struct spart *);
void spart_writable(struct spart *);

/* shell_put.c */
void spart_put(struct spart *); /* whatever is acked, in order */
void spart_put_again(struct timer *);
void spart_lazy_due(struct timer *);
void spart_gather_due(struct timer *);
void spart_commit_due(struct timer *);
void spart_committed(struct spart *, int rc, const int64_t *next);
void spart_commit_now(struct spart *);
bool spart_settled(const struct spart *); /* everything stepped is put and committed */

/* ---- the whole ---- */
struct shell {
    struct loop *loop;
    struct shell_decl decl;
    struct spart_env env;
    struct kconsumer *consumer;
    struct kproducer *producer;
    uint8_t *input_of; /* topic → position in inputs */
    uint16_t *warm;
    struct spart **parts; /* by partition number; NULL: not ours */
    size_t n_parts;
    struct loop_hook hook;
    struct timer second, stop_deadline, remake;
    bool assigned, revoking, stopping, stopped, closed, producer_dead, consumer_dead, changed;
    char client_why[128]; /* last complaint of the consumer; "" when fine */
    void (*done)(void *);
    void *done_ctx;
    const char *ready_name;
    char crash[5][48];
    int64_t lag;
};
struct spart_env shell_env(struct shell *);
void shell_stat_init(struct shell *);
void shell_stat_update(struct shell *); /* readiness, gauges */

/* shell_recovery.c */
void recovery_start(struct spart *, bool from_zero);
void recovery_cancel(struct spart *);

struct commit_token {
    struct spart *p; /* NULL: gone */
    int64_t next[STORE_TOPICS];
};

/* shell_stat.c */
void shell_count_batch(const struct spart *, uint32_t records);
void shell_count_dead(const struct spart *);
void shell_count_put(const struct spart *, int64_t us);
/* How old its records are: "stepped", "stored". */
void shell_count_ages(const struct batch *, const char *at);
void shell_crash(const struct spart *, const char *step);

#endif
