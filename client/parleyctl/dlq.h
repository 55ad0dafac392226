/* dlq.h: im.dlq as an operator sees it: one entry per record that was given up, and what became of it.
 *
 * A dead letter is (topic, partition, offset) of the record: what two groups bury, or one twice after a crash, is one
 * entry. Marks say that it is being retried, was retried, or dropped; docs/decisions/0020 has the rules. Only what is
 * told is kept in memory (some 300 bytes an entry); values are read again when needed. Blocking. */
#ifndef PARLEY_CTL_DLQ_H
#define PARLEY_CTL_DLQ_H

#include "client/parleyctl/scan.h"
#include "proto/record.pb-c.h"

#include <uthash.h>

#define DLQ_RUN 8 /* bytes that name a run */

enum dlq_state { DLQ_WAITING, DLQ_OPEN, DLQ_DONE, DLQ_GONE }; /* open: a retry began; gone: dropped */

struct dlq_entry {
    UT_hash_handle hh;
    char *id; /* "im.inbound/0@42" */
    char *topic;
    int32_t part;
    int64_t offset;
    int32_t dlq_part;
    int64_t first, time_ms; /* offset of the first letter in im.dlq, and its time */
    uint32_t letters;       /* how many say the same */
    char processes[64];     /* "fanout, persister" */
    char *error;
    enum dlq_state state;
    uint8_t run[DLQ_RUN]; /* DLQ_OPEN: who may go on */
    int64_t run_ms, from; /* when it said so; where in the origin to look for what was appended */
    bool taken_over;      /* an earlier run began and did not end */
    int64_t retried;      /* DLQ_DONE: where it is now */
    bool chosen;
};

struct dlq {
    struct ctl *c;
    struct scan *scan;
    struct dlq_entry *entries; /* by id */
    int64_t *next;             /* per partition of im.dlq: read up to here */
    size_t unreadable;
};

struct dlq_filter { /* all must hold; zeros: everything */
    const char *topic, *error, *process;
    int64_t since_ms, until_ms; /* of the letter; until 0: none */
    bool finished;              /* retried and dropped ones too */
};

int dlq_open(struct ctl *,
             struct dlq *); /* reaches Kafka, reads all there is. 0 or an exit code, having said why */
void dlq_close(struct dlq *);
int dlq_more(struct dlq *, int32_t part); /* what was written since; 0 or -EIO */
struct dlq_entry *dlq_find(struct dlq *, const char *id);
/* Entries that the filter lets through become `chosen`; sorted by topic, partition, offset. Returns how many. */
size_t dlq_choose(struct dlq *, const struct dlq_filter *);
const char *dlq_state_name(enum dlq_state);
/* The entry of which this one is the retry; NULL: of none. */
const struct dlq_entry *dlq_retry_of(struct dlq *, const struct dlq_entry *);
/* The letter itself; NULL after having said why. Free it with im__dlq_record__free_unpacked(). */
Im__DlqRecord *dlq_letter(struct dlq *, const struct dlq_entry *);

/* ---- dlq_write.c ---- */
struct dlq_writer;
struct dlq_sent { /* filled by dlq_flush(); offset -1: not known to be written */
    int64_t offset;
    char error[80];
};
struct dlq_writer *dlq_writer_new(struct ctl *);
void dlq_writer_free(struct dlq_writer *);
void dlq_write(struct dlq_writer *, const char *topic, int32_t part, struct slice key, struct slice value,
               struct dlq_sent *);
void dlq_mark(struct dlq_writer *, struct dlq *, const struct dlq_entry *, struct slice key, Im__DlqMark,
              const uint8_t *run, int64_t retried, struct dlq_sent *);
void dlq_flush(struct dlq_writer *); /* waits for all of them */

/* ---- dlq_command.c ---- */
/* The entries named by argv, else those that the options choose; `needed`: one of the two has to be given. Returns an
 * exit code. */
int dlq_chosen(struct dlq *, int argc, char **argv, bool needed, size_t *n);
extern const struct option dlq_options[];
int dlq_take(int option, const char *arg);
extern bool dlq_force;
extern int64_t dlq_stale_s; /* [60] then an open mark is somebody's who died */

#endif
