/* history.h: how far history is, while the load runs, and what it holds in the end. PostgreSQL only. */
#ifndef PARLEY_BENCH_HISTORY_H
#define PARLEY_BENCH_HISTORY_H

#include "bench/check.h"

#include <stddef.h>
#include <stdint.h>

struct loop;
struct history;

/* NULL: not reachable, or no Parley schema there (told on stderr). Blocks shortly. */
struct history *history_new(struct loop *, const char *conninfo);
void history_free(struct history *);

/* Records of im.conversation that are in PostgreSQL now, beyond those at history_new; asked for every 20 ms. */
uint64_t history_rows(const struct history *);
int64_t history_at_ns(const struct history *); /* when that was true */

struct history_conv {
    uint8_t conv[16], first_sender[16]; /* side 0 */
    uint64_t from_seq;                  /* rows below are older than this run */
    uint64_t base[2];                   /* client_seq of message n of a side is base + 1 + n */
};
/* Tells the ledger every row; the conversation's number is its place. Blocks. 0 or -EIO (told). */
int history_verify(struct history *, const struct history_conv *, size_t n, struct check *);

#endif
