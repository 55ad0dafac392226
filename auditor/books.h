/* books.h: what was promised and is not kept yet: the numbered messages of this process's partitions, until it is seen
 * where they went.
 *
 * An entry is opened when the reducer numbers a record. It is looked for in two places, independently:
 *     delivery   what was seen in im.deliver.* and im.offline of it (books_sight). Judged once fanout has committed a
 *                place behind it and everything written until then has been read (books_round): every member must be
 *                somewhere, nobody else anywhere.
 *     history    its row, once the persister's mark is behind it (books_rows).
 * Then it is closed. What is seen of a message that has no entry (old, or not of the log at all) is judged by
 * PostgreSQL (books_late). A suspicion from PostgreSQL is looked at again after `grace_ms` before it is told: between
 * two looks a store may have been made anew.
 *
 * Memory is bounded by `bytes` per partition: past that the oldest entries are given up, and counted as unjudged. No
 * I/O, no clock: all time comes from outside. One thread; not reentrant. */
#ifndef PARLEY_AUDITOR_BOOKS_H
#define PARLEY_AUDITOR_BOOKS_H

#include "auditor/report.h"
#include "auditor/viewers.h"
#include "common/im/bodykeys.h"

#define BOOKS_ROWS  500   /* numbered records compared with PostgreSQL at a time */
#define BOOKS_LATE  256   /* questions of books_late at a time */
#define BOOKS_QUEUE 20000 /* of them that wait, per partition; further ones are unjudged */
#define BOOKS_MUST  64    /* members of a message looked for one by one; of more, so many others each time */
#define BOOKS_HASH  32    /* SHA-256 of text ‖ 0 ‖ content type ‖ 0 ‖ data */

struct books_sight;
struct books_message {  /* one that has its number; borrowed during the call */
    struct slice trace; /* 24 bytes or none */
    struct id16 conv, msg_id;
    uint64_t seq;
    int32_t part; /* of im.conversation */
    int64_t offset, time_ms;
};
struct books_hops { /* told as it is seen; each may be told again after a restart */
    void *ctx;
    void (*numbered)(void *ctx, const struct books_message *, int64_t edge_time_us);
    void (*sent)(void *ctx, const struct books_message *, const struct books_sight *);
    void (*stored)(void *ctx, const struct books_message *);
};

struct books;
struct books_conf {
    int32_t parts; /* of im.conversation */
    const char *topic;
    size_t bytes;
    int64_t grace_ms;
    struct report *report;         /* borrowed */
    struct bodykeys *bodies;       /* borrowed; NULL: sealed bodies are not compared */
    const struct books_hops *hops; /* borrowed; NULL: nobody wants to know */
};
struct books *books_new(const struct books_conf *); /* NULL: no memory */
void books_free(struct books *);

/* ---- the log ---- */
/* The partition is read from `next` on. What is known of it is kept when that follows or repeats it. */
void books_open(struct books *, int32_t part, int64_t next);
void books_shut(struct books *, int32_t part); /* nothing of it is judged until it is opened again */
bool books_is_open(const struct books *, int32_t part);
/* Records of before that time are not judged by delivery: what went out of them may not have been seen. */
void books_cover(struct books *, int32_t part, int64_t from_ms);
/* Some of what went out was not seen: nothing read so far, or before `until_ms`, is judged by delivery. */
void books_blind(struct books *, int64_t until_ms);

struct books_folded { /* a record the reducer has judged */
    const struct record *record;
    const struct convrec *rec;
    const struct conv_outcome *out;
    const struct conv *conv;
    uint64_t head; /* the last number before it */
    bool for_ever; /* a refusal that every repeat gets again */
};
void books_fold(struct books *, const struct books_folded *);
/* Any other record: passed. */
void books_pass(struct books *, int32_t part, int64_t offset);

/* ---- what went out ---- */
struct books_sight {
    const char *topic; /* where it was seen; borrowed for ever */
    int32_t part;      /* likewise */
    int64_t offset, time_ms;
    bool offline; /* in im.offline */
    struct slice trace;
    struct id16 conv;
    uint64_t seq;
    const struct id16 *users; /* who is sent it */
    size_t n_users;
    bool nameless; /* and others, who are not known here */
    bool has_ids;  /* what it says: */
    struct id16 msg_id, sender;
    bool has_body;
    uint8_t body[BOOKS_HASH];
};
/* `home`: partition of the conversation. */
void books_sight(struct books *, int32_t home, const struct books_sight *);

/* ---- rounds ---- */
/* In this order, over and over. begin: what is asked for the round is asked after this. ends: per partition, the end of
 * the log; negative: not known. told: fanout's committed offset; all that had gone out when the round's ends of topics
 * were asked, which was after fanout was, has been seen. */
void books_round_begin(struct books *);
void books_round_ends(struct books *, const int64_t *end);
void books_round_told(struct books *, const int64_t *committed);
/* Too much was seen of which the messages are not read yet: stop reading what went out for a while. */
bool books_full(const struct books *);

/* ---- history ---- */
struct books_row {
    int64_t offset;
    struct id16 conv, sender, msg_id;
    uint64_t seq, client_seq;
    uint32_t device, kind;
    int64_t time_ms;
    bool bare; /* no text, content type or data */
    uint8_t body[BOOKS_HASH];
};
/* Which rows to ask for: those of [*from, *to). False: none now. */
bool books_ask(const struct books *, int32_t part, int64_t now_ms, int64_t *from, int64_t *to);
/* They, by ascending offset, and the persister's mark as it was with them (-1: none). */
void books_rows(struct books *, int32_t part, int64_t from, int64_t to, int64_t mark,
                const struct books_row *, size_t n, int64_t now_ms);

struct books_question { /* is there a message, and may this user see it? */
    struct id16 conv, user;
    uint64_t seq;
};
/* Takes at most BOOKS_LATE that can be asked once the mark is `mark`; they are answered, or given back, by
 * books_late_answer before the next ones are taken. */
size_t books_late(struct books *, int32_t part, int64_t mark, int64_t now_ms, struct books_question *out);
struct books_answer {
    bool there, visible;
};
void books_late_answer(struct books *, int32_t part, const struct books_answer *,
                       int64_t now_ms); /* NULL: ask again */

/* ---- looking at it ---- */
struct books_stats {
    size_t entries, bytes, waiting;          /* sights that wait for their message, or for PostgreSQL */
    int64_t delivery_behind, history_behind; /* records between what was read and what was judged */
};
void books_stats(const struct books *, struct books_stats *);

void books_hash(struct slice text, struct slice type, struct slice data, uint8_t out[BOOKS_HASH]);

#endif
