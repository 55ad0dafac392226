/* floor_chain.h: the processes of the bare chain, and what they share. */
#ifndef PARLEY_BENCH_FLOOR_CHAIN_H
#define PARLEY_BENCH_FLOOR_CHAIN_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct chain_shared { /* in memory that all of them see */
    _Atomic uint64_t rows;
    _Atomic int ready, stop;
};

struct chain_head { /* the beginning of each record's value, in the machine's byte order */
    int64_t sent_ns;
    uint64_t seq; /* in its conversation, from 1 */
    uint8_t conv[16], sender[16];
};

/* Each runs until `stop`, then ends its process. */
void chain_relay(struct chain_shared *, const char *kafka, const char *from, const char *to,
                 uint64_t linger_ms) __attribute__((noreturn));
/* Rows of `messages`, into a table of the same columns and keys; COPY, one transaction a batch. */
void chain_reader(struct chain_shared *, const char *kafka, const char *from, const char *postgres)
    __attribute__((noreturn));

#define CHAIN_TABLE "parley_bench_messages"

#endif
