/* check.h: was every message delivered once, in order, and is it in history?
 *
 * A ledger of direct conversations with two sides. What is sent is noted first; every later event names it by its
 * sender's running number (0, 1, 2 … in the order sent). Nothing is taken on trust: what the client saw as events
 * and as pushes and what PostgreSQL has must agree in each sequence number. One thread. */
#ifndef PARLEY_BENCH_CHECK_H
#define PARLEY_BENCH_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct check;

enum check_fault {
    CHECK_UNKNOWN,     /* an event about something that was never sent */
    CHECK_NOT_ACKED,   /* no "accepted" */
    CHECK_LOST,        /* never pushed to the other side */
    CHECK_NO_OUTCOME,  /* no "sequenced" */
    CHECK_DUPLICATE,   /* pushed, acked or sequenced twice */
    CHECK_REORDERED,   /* a push below one that came before; a later send with a lower number */
    CHECK_MISMATCH,    /* two places disagree about a message's number */
    CHECK_HOLE,        /* the numbers of a conversation are not dense */
    CHECK_ROW_MISSING, /* not in history */
    CHECK_ROW_STRANGE, /* in history, but another message or twice */
    CHECK_FAULTS
};

struct check *check_new(size_t conversations); /* NULL: no memory */
void check_free(struct check *);

/* Returns the running number. `at_ns`: when it was sent, or should have been. UINT32_MAX: no memory. */
uint32_t check_sent(struct check *, size_t conv, int side, int64_t at_ns);
int64_t check_time(const struct check *, size_t conv, int side, uint32_t n); /* at_ns again; -1: never sent */
/* Each returns false when the event is a fault; then it changes nothing. */
bool check_acked(struct check *, size_t conv, int side, uint32_t n);
bool check_sequenced(struct check *, size_t conv, int side, uint32_t n, uint64_t seq);
bool check_pushed(struct check *, size_t conv, int side, uint32_t n, uint64_t seq); /* `side` sent it */
bool check_row(struct check *, size_t conv, int side, uint32_t n, uint64_t seq);
bool check_done(const struct check *, size_t conv, int side, uint32_t n); /* both pushed and sequenced */

uint64_t check_low(const struct check *, size_t conv); /* lowest number seen in a conversation; 0: none */

/* The reckoning: counts what is missing. `rows`: history was read. Once, at the end. */
void check_end(struct check *, bool rows);
bool check_good(const struct check *);
uint64_t check_count(const struct check *, enum check_fault);
const char *check_name(enum check_fault);
void check_print(const struct check *, FILE *); /* the first faults of each kind, a line each */

#endif
