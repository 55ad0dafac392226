/* load.h: many clients in one loop that speak the real protocol. Shared by load*.c only.
 *
 * Connection 2i and 2i+1 are the two sides of conversation i, on different edges where there are several. All of
 * them log in, send, confirm and count on one thread, so the sender's clock is the receiver's. The ledger (check.h)
 * knows every message; `n` is a message's running number on its connection, client_seq = base + 1 + n. */
#ifndef PARLEY_BENCH_LOAD_H
#define PARLEY_BENCH_LOAD_H

#include "bench/args.h"
#include "bench/check.h"
#include "bench/hist.h"
#include "bench/history.h"
#include "bench/procs.h"

#include "common/base/bytes.h"
#include "common/base/loop.h"
#include "common/base/rand.h"

#include <jansson.h>

enum conn_state { CONN_IDLE, CONN_CONNECTING, CONN_REGISTERING, CONN_LOGGING_IN, CONN_READY, CONN_CLOSED };

struct load;
struct conn {
    struct loop_fd watch;
    struct load *l;
    struct conn *peer;
    uint32_t index, conv;
    int side, fd;
    enum conn_state state;
    bool queued, blocked; /* on the flush list; the socket is full */
    struct bytes in, out;
    struct conn *next_flush;
    char login[64];
    char *token;
    uint8_t user[16];
    bool known_user, registered;
    int64_t retry_ms; /* > 0: ask again then */
    uint32_t tries;   /* connections that ended before the log-in */
    uint64_t base;    /* client_seq_base of this login */
    uint32_t sent, finished;
    uint32_t delivery, confirmed; /* delivery numbers: the last one seen, the last one confirmed */
    uint8_t conv_id[16];
    bool conv_known;
    uint64_t from, upto; /* what this device has of its conversation */
    int64_t *due;        /* open loop: intended times that wait for the window */
    uint32_t due_head, due_n, due_cap;
};

enum load_phase { LOAD_SETUP, LOAD_WARM, LOAD_MEASURE, LOAD_TAIL, LOAD_OVER };

struct load_options {
    struct arg_list edges, processes;
    const char *accounts, *postgres;
    uint64_t connections, window, in_flight, rate, size, warm_ms, measure_ms, seed, max_lag, tail_ms, poisson;
    uint64_t ack_ms, ack_every;
    bool quiet;
};

struct load_mark { /* counters at a moment */
    int64_t at_ns, history_at_ns;
    uint64_t delivered, persisted, acked, self_us;
};

struct load {
    struct load_options o;
    struct loop *loop;
    struct conn *conns;
    size_t n, n_ready;
    struct check *check;
    struct history *history; /* NULL: not looked at */
    struct procs procs;
    struct rng rng;
    struct hist *ack, *deliver, *sequenced; /* of messages meant to leave in the measured window */
    struct hist *recent;                    /* deliveries since the last progress line */
    enum load_phase phase;
    struct load_mark start, end, told, over;
    struct timer tick;
    struct loop_hook flush;
    struct conn *flush_list;
    struct loop_fd pace; /* timerfd of the open loop */
    int pace_fd;
    int64_t next_due_ns, phase_ns, progress_ns, last_progress_ns, last_ack_ns, last_beat_ns;
    uint32_t turn;
    uint64_t sent, acked, delivered, done, leftovers, late_max_ns;
    bool holding; /* history is too far behind: send nothing */
    char *text;
    char failure[200]; /* "": none */
    char password[40], prefix[24];
    json_t *accounts;
};

/* load_conn.c: sockets and frames out */
void conn_open(struct conn *);
void conn_close(struct conn *);
void conn_over(struct conn *, const char *why); /* by the other side: a failure, or one more try to log in */
void conn_frame(struct conn *, uint16_t type, uint32_t seq_id, const void *payload, size_t n);
void conn_register(struct conn *);
void conn_login(struct conn *);
void conn_chat(struct conn *, int64_t intended_ns);
void conn_confirm(struct conn *);
void load_flush(struct load *);

/* load_frames.c: frames in */
void conn_on_frame(struct conn *, uint16_t type, uint32_t seq_id, const uint8_t *payload, size_t n);

/* load_accounts.c: the file of names and tokens */
int accounts_read(struct load *);
int accounts_write(struct load *);

/* load_pace.c: when to send */
int pace_start(struct load *);
void pace_stop(struct load *);
void pace_done(struct load *, struct conn *sender); /* a message is delivered and has its number */
void pace_resume(struct load *);                    /* after holding */

/* load_run.c */
void load_fail(struct load *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void load_ready(struct load *, struct conn *);

/* load_report.c */
void report_progress(struct load *, int64_t now);
json_t *report_result(struct load *);

#endif
