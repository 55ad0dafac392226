/* group.h: one sender, many receivers in one group, all in one process and loop. Shared by group*.c and floor_group.c.
 *
 * Member 0 made the group and sends. A message is done when every receiver has it; then the next one leaves. What each
 * receiver gets must follow the number before without a hole, so that at the end nothing is lost, doubled or reordered. */
#ifndef PARLEY_BENCH_GROUP_H
#define PARLEY_BENCH_GROUP_H

#include "bench/ends.h"
#include "bench/hist.h"
#include "bench/link.h"
#include "bench/people.h"
#include "bench/procs.h"

struct group;
struct group_sent {
    int64_t at_ns;
    uint32_t got;
};
struct member {
    struct link k;
    bool ready;
    uint32_t tries;
    uint32_t delivery, confirmed;
    uint64_t from, upto; /* numbers it has */
};

enum group_phase { G_LOGIN, G_MAKE, G_PROBE, G_WARM, G_MEASURE, G_TAIL, G_OVER };

struct group_options {
    struct arg_list edges, processes;
    const char *accounts, *postgres, *kafka;
    uint64_t receivers, in_flight, size, warm_ms, measure_ms, tail_ms, ack_ms, ack_every;
    bool bare, quiet; /* bare: the other side is floor_group.c: nobody logs in, nothing is confirmed */
};

struct group_mark {
    int64_t at_ns;
    uint64_t delivered, done;
    int64_t self_us;
};

struct group {
    struct group_options o;
    struct loop *loop;
    struct links links;
    struct people people;
    struct member *m;
    size_t n, ready;
    enum group_phase phase;
    uint8_t conv[16];
    bool conv_known;
    uint64_t base; /* the sender's client_seq_base */
    uint64_t ops;  /* numbers used so far: making the group, probes, messages */
    uint64_t invited;
    uint64_t first;          /* op number of the first message that counts */
    struct group_sent *sent; /* by op number */
    size_t sent_cap;
    uint64_t sequenced, done, delivered, head, first_seq;
    struct hist *latency;
    struct procs procs;
    struct ends before, after;
    struct group_mark start, end;
    struct timer tick;
    int64_t phase_ns, probe_ns, progress_ns, told_ns, acks_ns, beat_ns;
    uint64_t told;
    char *text;
    char failure[200];
};

void group_fail(struct group *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void group_enter(struct group *, enum group_phase);
/* group_make.c */
void group_open_more(struct group *);
void group_make(struct group *);                     /* everybody is here: the group is made, or is known */
void group_made(struct group *, uint64_t sequenced); /* one more step of it is done */
void group_probe(struct group *);
/* group_frames.c */
void group_up(struct link *);
void group_frame(struct link *, uint16_t type, uint32_t seq_id, struct slice payload);
void group_over(struct link *, const char *why);
void group_chat(struct group *);
void group_fill(struct group *);
void group_confirm(struct group *, struct member *);
/* group_report.c: everything is there? Then what it was. */
void group_verify(struct group *);
json_t *group_report(const struct group *, const char *what);

/* Runs it: 0, or an exit status. */
int group_run(struct group *, const char *what);

#endif
