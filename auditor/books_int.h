/* books_int.h: the parts of books.h, for each other. */
#ifndef PARLEY_AUDITOR_BOOKS_INT_H
#define PARLEY_AUDITOR_BOOKS_INT_H

#include "auditor/books.h"
#include "auditor/recent.h"

#include <uthash.h>

struct name { /* of a message */
    struct id16 conv;
    uint64_t seq;
};
enum body_state { BODY_KNOWN, BODY_SEALED_YET, BODY_NOT_COMPARED };

struct entry {
    UT_hash_handle hh;
    struct entry *next;
    struct name name;
    int64_t offset, time_ms;
    struct id16 msg_id, sender;
    uint64_t client_seq;
    uint32_t device, kind;
    enum body_state body_state;
    uint8_t body[BOOKS_HASH];
    struct slice value; /* the record, while its body is sealed yet; owned */
    uint8_t trace[CODEC_TRACE];
    uint8_t trace_n;
    bool told, written;      /* judged by delivery, by history */
    bool nameless;           /* somebody got it who is not known */
    struct viewers *viewers; /* NULL: everybody's */
    struct id16 *leaving;    /* who see it as their last; owned */
    size_t n_leaving, charge;
    uint64_t seen; /* bit i: see must_bit() */
    int64_t need;  /* somebody is missing: told once the log is read to there; 0: nobody is */
};

struct early {         /* seen before its message was, or long after */
    UT_hash_handle hh; /* the first of its name; the others hang on it */
    struct early *same;
    struct name name;
    const char *topic;
    int32_t part;
    int64_t offset, time_ms;
    uint8_t trace[CODEC_TRACE], trace_n;
    bool nameless, has_ids, has_body, offline;
    struct id16 msg_id, sender;
    uint8_t body[BOOKS_HASH];
    uint64_t round; /* the one that it came before */
    int64_t need;   /* -1: not known yet; the end of the log when it was seen */
    size_t n_users;
    struct id16 users[];
};

struct late { /* to be asked of PostgreSQL */
    struct late *next;
    struct name name;
    struct id16 user;
    const char *topic;
    int32_t part;
    int64_t offset, need, due_ms;
    uint8_t trace[CODEC_TRACE], trace_n;
    bool suspected;
};

struct viewers_kept {
    UT_hash_handle hh;
    struct id16 conv;
    struct viewers *viewers;
};

struct book { /* a partition */
    bool open;
    int64_t next; /* what is read next; -1: never was opened */
    int64_t cover_ms;
    int64_t told_to, rows_to;       /* below is judged */
    int64_t end;                    /* of the log, as of this round; negative: not known */
    int64_t suspect_ms, suspect_to; /* when rows of [rows_to, suspect_to) were first found wrong; 0: not */
    struct entry *first, **last, *by_name;
    struct entry *untold; /* the first not judged by delivery */
    struct early *early;  /* by name */
    struct late *late, **late_last, *asked;
    struct viewers_kept *viewerss;
    struct recent *recent;
    size_t n, bytes, viewers_bytes, n_early, n_late;
};

#define EARLY_MAX 50000 /* of all partitions */

struct books {
    struct books_conf conf;
    uint64_t round;
    struct book part[];
};

/* books.c */
struct entry *book_find(const struct book *, struct id16 conv, uint64_t seq);
void book_close_front(struct book *); /* frees what is judged in both ways */
void books_found(const struct books *, const struct entry *, int32_t part, enum finding_kind,
                 const char *what);
static inline struct books_message books_message(const struct books *b, const struct book *k,
                                                 const struct entry *e)
{
    return (struct books_message){.trace = {e->trace, e->trace_n},
                                  .conv = e->name.conv,
                                  .msg_id = e->msg_id,
                                  .seq = e->name.seq,
                                  .part = (int32_t)(k - b->part),
                                  .offset = e->offset,
                                  .time_ms = e->time_ms};
}
/* books_number.c; entry NULL: it took no number */
void books_check_number(struct books *, struct book *, const struct books_folded *, const struct entry *);
/* books_sight.c */
void books_meet(struct books *, struct book *, struct entry *); /* what was seen of it before it was read */
int must_bit(const struct entry *, int64_t index);              /* -1: not looked for */
void books_forget_early(struct book *);
/* books_rows.c */
void entry_open_body(struct books *, struct entry *, const struct convrec *);
/* books_late.c */
void late_add(struct book *, const struct early *, struct id16 user, int64_t need);
void late_forget(struct book *);

#endif
