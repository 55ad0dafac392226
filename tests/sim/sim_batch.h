/* sim_batch.h: one batch of a sim_shell, and the effects that its core asks for. */
#ifndef PARLEY_SIM_SIM_BATCH_H
#define PARLEY_SIM_SIM_BATCH_H

#include "tests/sim/sim_shell.h"

struct sim_queued {
    struct sim_queued *next;
    struct record rec;
    uint8_t input;
};

struct fx_send {
    struct fx_send *next;
    uint16_t topic;
    int32_t part;
    struct slice key, value;
    uint64_t tag;
};
struct fx_row {
    struct fx_row *next;
    bool append;
    struct sim_row r;
};

struct fx {
    struct sim_batch *b;
    bool quiet;
};
struct want {
    struct sim_batch *b;
};

#define BATCH_MAX 12

struct sim_batch {
    struct sim_batch *next;
    struct sim_shell *shell; /* NULL: given up */
    struct fx fx;
    struct want want;
    struct sim_queued *recs[BATCH_MAX];
    bool more[BATCH_MAX];
    uint32_t n_recs, round, in_flight, n_sends;
    struct sim_row *wants;
    uint32_t n_wants, cap_wants, loaded, asked;
    struct fx_send *sends, **sends_tail;
    struct fx_row *rows, **rows_tail;
    bool stepped, putting;
    int64_t upto[STORE_TOPICS];
};

struct sim_batch *sim_batch_new(struct sim_shell *);

#endif
