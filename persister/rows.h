/* rows.h: the rows that the persister's cores write, packed into one value each.
 *
 * split*.c cut them into columns, tables.c has the SQL. Rows of the conversation core live only from step to put.
 * Those of accounts, devices and marks are also what the load statements build, so their layout is shared with SQL:
 * big-endian numbers, the length of the first text, both texts. Packing goes into the batch's arena; parsing borrows.
 * A store keeps the last row of a key, of any number of batches; conversations and members have the record's offset in
 * their key, because a later row leaves out what only an earlier one knew: the statement puts them together.
 * Whatever the log holds, a row can be put: what is no text, or longer than an index takes, becomes empty. */
#ifndef PARLEY_PERSISTER_ROWS_H
#define PARLEY_PERSISTER_ROWS_H

#include "common/im/convrec.h"

/* One numbering for both cores, so that one store serves both. Tables are put in this order. */
enum persister_table {
    P_CELL = 1,     /* conv:16 ‖ cell key → cell */
    P_MESSAGE = 2,  /* append only: struct message_row that has none of the rarer columns */
    P_ACCOUNT = 3,  /* user:16 → struct account_row */
    P_DEVICE = 4,   /* user:16 ‖ device:4 → struct device_row */
    P_VERIFIER = 5, /* user:16 → master key and verifier; written, never read */
    P_EVENT = 6,    /* append only: struct message_row with all columns; the same SQL table as P_MESSAGE */
    P_CONVERSATION =
        7,        /* conv:16 → struct conversation_row; this and the next four are written, never read */
    P_MEMBER = 8, /* user:16 ‖ conv:16 → struct member_row */
    P_MARKS = 9,  /* user:16 ‖ conv:16 → struct marks_row, after P_MEMBER: columns of the same SQL row */
    P_ASK = 10,   /* conv:16 ‖ user:16 → struct ask_row */
    P_BLOCK = 11, /* conv:16 ‖ number:8 of 64 numbers that are full → one byte that says nothing */
    P_PREFS = 12, /* user:16 ‖ conv:16 → struct prefs_row */
    P_ERASED =
        13, /* user:16, and a byte when it is not the first → struct erased_row; written, never read, after all others */
};

#define KEY_DEVICE   (ID_SIZE + 4)
#define KEY_PAIR     (2 * ID_SIZE)
#define KEY_BLOCK    (ID_SIZE + 8)
#define KEY_CONV     (ID_SIZE + 8)
#define KEY_MEMBER   (KEY_PAIR + 8)
#define SEARCH_BLOCK 64 /* numbers; also in schema/sql */

/* ---- message_row.c ---- */
struct message_row {
    struct id16 conv, sender, msg_id;
    uint32_t device;
    uint16_t kind, role; /* no padding anywhere: rows are compared as bytes */
    uint64_t seq, client_seq, key_id, target, reply_to;
    int64_t time_ms, until_ms;
    int32_t source_part, conv_part;
    int64_t source_offset, conv_offset;
    uint32_t flags, text_n, type_n, data_n, trace_n, users_n, logins_n, zero;
};
struct message_texts {
    struct slice text, type, data, trace;
    struct slice users, logins; /* 16 bytes each; what PostgreSQL reads as text[] */
};
/* `flags`: of the group, after the event. */
struct slice message_row_pack(struct fx *, const struct convrec *, const struct conv_outcome *,
                              const struct record *, uint32_t flags);
int message_row_parse(struct slice, struct message_row *, struct message_texts *); /* -EBADMSG */
/* Does it have a column that plain messages have not? */
bool message_row_wide(struct slice);

/* ---- model_row.c: what a conversation is now ---- */
struct conversation_row {
    struct id16 owner;                /* zero: none */
    int64_t created_ms, dissolved_ms; /* 0: as it was */
    uint32_t type, flags, members;
    bool named, noticed; /* name, notice: to be set; else as they were */
    struct slice name, notice;
};
struct member_row {
    struct id16 peer;                  /* zero: a group */
    uint64_t joined;                   /* 0: as it was */
    int64_t muted_until_ms, friend_ms; /* friend_ms 0: the friendship is as it was */
    uint32_t role, friend;
    bool blocked, has_text;
    struct slice login, peer_login; /* empty: as it was */
    struct slice friend_text;
    struct slice visible; /* what PostgreSQL reads as int8multirange */
};
struct marks_row {
    uint64_t read, delivered;
};
struct ask_row {
    int64_t time_ms;
    struct slice login, text;
};
struct slice conversation_row_pack(struct fx *, const struct conversation_row *);
struct slice member_row_pack(struct fx *, const struct member_row *);
struct slice marks_row_pack(struct fx *, const struct marks_row *);
struct slice ask_row_pack(struct fx *, const struct ask_row *);
int conversation_row_parse(struct slice, struct conversation_row *); /* -EBADMSG; slices point into the row */
int member_row_parse(struct slice, struct member_row *);
int marks_row_parse(struct slice, struct marks_row *);
int ask_row_parse(struct slice, struct ask_row *);
void pair_key(struct id16 first, struct id16 second, uint8_t out[KEY_PAIR]);
void block_key(struct id16 conv, uint64_t block, uint8_t out[KEY_BLOCK]);
void conv_key(struct id16 conv, int64_t offset, uint8_t out[KEY_CONV]);
void member_key(struct id16 user, struct id16 conv, int64_t offset, uint8_t out[KEY_MEMBER]);
/* As it is, or empty when it is no text. Logins: nor when it is longer than any name can be. */
struct slice row_text(struct slice);
struct slice row_login(struct slice);

/* ---- account_row.c ---- */
struct account_row {
    int64_t token_generation;
    int64_t source_offset;
    int64_t registered_ms;
    int64_t seen_ms;                      /* 0: never yet */
    int64_t profile_offset, admin_offset; /* of the newest record that set them */
    int32_t source_part;
    uint16_t presence, admin;
    struct slice login, display_name;
};
struct device_row {
    int64_t added_ms, dropped_ms; /* dropped_ms 0: in use */
    struct slice device_id, device_class;
};
struct prefs_row {
    int64_t source_offset;
    bool pinned, muted;
    struct slice remark;
};
struct erased_row {
    int64_t source_offset, erased_ms;
};
struct slice account_row_pack(struct fx *, const struct account_row *);
struct slice device_row_pack(struct fx *, const struct device_row *);
struct slice prefs_row_pack(struct fx *, const struct prefs_row *);
struct slice erased_row_pack(struct fx *, const struct erased_row *);
int erased_row_parse(struct slice, struct erased_row *);
struct slice verifier_row_pack(struct fx *, uint32_t master_key, struct slice verifier);
int account_row_parse(struct slice, struct account_row *); /* -EBADMSG; slices point into the row */
int device_row_parse(struct slice, struct device_row *);
int prefs_row_parse(struct slice, struct prefs_row *);
int verifier_row_parse(struct slice, uint32_t *master_key, struct slice *verifier);
void device_key(struct id16 user, uint32_t device, uint8_t out[KEY_DEVICE]);
int device_key_parse(struct slice key, struct id16 *user, uint32_t *device);

#endif
