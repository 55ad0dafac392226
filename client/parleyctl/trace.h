/* trace.h: the way of one message, from the topics and the stores; the pieces of `parleyctl trace`.
 *
 *     trace_ask.c      what is meant: an id, a sender's number, a place in a conversation
 *     trace_find.c     its frames in im.inbound and its records in im.conversation
 *     trace_fold.c     their outcomes, by the reducer itself
 *     trace_after.c    what came of it: im.deliver.*, im.offline, im.cursor
 *     trace_stores.c   the row in PostgreSQL, the queues in Redis: both may be away
 *     trace_show.c     all of it as a tree, or as JSON
 *
 * Everything is read at most once, from a time on, and only the partitions where it can be. */
#ifndef PARLEY_CTL_TRACE_H
#define PARLEY_CTL_TRACE_H

#include "client/parleyctl/scan.h"
#include "common/im/convrec.h"

#include <libpq-fe.h>

#define TRACE_TIMES 16   /* frames, and records, of one message that are told */
#define TRACE_HOPS  1000 /* lines */

struct trace_ask {
    bool by_id, by_place; /* neither: by sender */
    struct id16 msg_id;
    struct id16 user; /* by sender */
    uint32_t device;  /* 0: any */
    uint64_t client_seq;
    struct id16 conv; /* by place */
    uint64_t seq;
};
/* False: not one of the forms. */
bool trace_parse(const char *text, struct trace_ask *);

struct trace_frame { /* in im.inbound */
    int32_t part;
    int64_t offset, time_ms, edge_us;
    uint32_t slot, seq_id;
    uint64_t epoch;
};
struct trace_record { /* in im.conversation */
    int32_t part, source_part;
    int64_t offset, time_ms, edge_us, source_offset;
    uint32_t rules, kind;
    bool judged;
    struct conv_outcome outcome;
};
struct trace_hop {
    int depth;
    int64_t us; /* wall clock; 0: no moment */
    char title[80], text[400];
    json_t *json;
};

struct trace {
    struct ctl *c;
    struct scan *scan;
    PGconn *pg; /* NULL: away */
    struct trace_ask ask;
    int64_t since_ms, until_ms, window_ms; /* window 0: to the end */
    bool no_fold;
    /* who and where, as soon as it is known */
    bool has_user, has_conv, group;
    struct id16 msg_id, user, peer, conv;
    uint32_t device;
    uint64_t client_seq, seq; /* seq 0: not known */
    char login[LOGIN_MAX + 1], peer_login[LOGIN_MAX + 1];
    size_t body_bytes;
    uint64_t key_id;
    uint8_t trace_id[CODEC_TRACE];
    bool has_trace;
    struct trace_frame frames[TRACE_TIMES];
    struct trace_record records[TRACE_TIMES];
    size_t n_frames, n_records;
    struct conv *fold; /* as of fold_next */
    int64_t fold_next;
    struct trace_hop *hops;
    size_t n_hops, n_left_out;
};

/* Each 0 or -EIO, after having said why. */
int trace_find(struct trace *);                      /* n_frames and n_records 0: nowhere */
int trace_judge(struct trace *);                     /* sets the outcomes, if they can be known */
int trace_fold_to_seq(struct trace *, uint64_t seq); /* the record at that place becomes records[0] */
int trace_after(struct trace *);
bool trace_matches(const struct trace *, const struct convrec *);
void trace_took(struct trace *, const struct record *, const struct convrec *); /* a record that matches */

void trace_stores_open(struct trace *);
void trace_judge_by_row(struct trace *);               /* what was accepted has a row */
bool trace_row_place(struct trace *, int64_t *offset); /* by PostgreSQL; false: not known */
void trace_stores(struct trace *);
void trace_stores_close(struct trace *);

/* A name for people: a login, or eight digits. Until the next but three calls. */
const char *trace_name(struct trace *, struct id16 user);
int64_t trace_begin(const struct trace *); /* of the first frame or record; ms */
/* `json` gets "hop": title's first word, "time", and is taken; fmt is for the tree. */
void trace_hop(struct trace *, int depth, int64_t us, const char *title, json_t *json, const char *fmt, ...)
    PRINTF_LIKE(6, 7);
void trace_show(struct trace *);
void trace_frames_told(struct trace *); /* the hops up to im.conversation */

#endif
