/* rows.h: rows of PostgreSQL as fields of the answers.
 *
 * Everything is borrowed from the result: what is made of it must be packed before the result goes. Columns are in
 * binary form. Pure, any thread. */
#ifndef PARLEY_QUERY_ROWS_H
#define PARLEY_QUERY_ROWS_H

#include "common/base/arena.h"
#include "common/base/db.h"
#include "common/im/session.h"

struct row {
    const PGresult *res;
    int at;
};

static inline struct row row_of(const PGresult *res, int at)
{
    return (struct row){res, at};
}
bool row_null(struct row, int col);
int64_t row_i64(struct row, int col); /* 0 when NULL */
static inline uint64_t row_u64(struct row r, int col)
{
    return (uint64_t)row_i64(r, col);
}
bool row_bool(struct row, int col);                 /* false when NULL */
char *row_text(struct row, int col);                /* "" when NULL; not to be written to */
ProtobufCBinaryData row_bytes(struct row, int col); /* empty when NULL */
struct id16 row_id(struct row, int col);            /* zero when it is none */
/* A text[]: pointers in the arena, texts copied there; *n of them. */
char **row_texts(struct row, int col, struct arena *, size_t *n);
/* Ids in one string of bytes. */
ProtobufCBinaryData *row_id_list(struct row, int col, struct arena *, size_t *n);

/* An event: these columns, in this order, from column `first` on. "text, content_type, data" are its body as the
 * reader may see it. */
#define EVENT_COLUMNS(x)                                                                                 \
    x ".seq, " x ".sender, " x ".login, " x ".device, " x ".client_seq, " x ".msg_id, " x ".time_ms, " x \
      ".text, " x ".content_type, " x ".data, " x ".kind, " x ".target, " x ".reply_to, " x ".users, " x \
      ".logins, " x ".role, " x ".flags, " x ".until_ms, " x ".key_id"
enum {
    EV_SEQ,
    EV_SENDER,
    EV_LOGIN,
    EV_DEVICE,
    EV_CLIENT_SEQ,
    EV_MSG_ID,
    EV_TIME,
    EV_TEXT,
    EV_CONTENT_TYPE,
    EV_DATA,
    EV_KIND,
    EV_TARGET,
    EV_REPLY_TO,
    EV_USERS,
    EV_LOGINS,
    EV_ROLE,
    EV_FLAGS,
    EV_UNTIL,
    EV_KEY, /* -1: the sender was erased */
    EV_COLUMNS
};

struct row_conv { /* the conversation it belongs to, as the reader sees it */
    struct id16 id, me, peer;
    const char *my_login, *peer_login;
    bool group;
};
/* In the arena; conversation and peer borrow *conv, which must live as long. */
Im__ChatPush *row_event(struct row, int first, const struct row_conv *conv, struct arena *);

#endif
