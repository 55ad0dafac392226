#include "query/rows.h"

#include "query/ask.h"

#include <endian.h>
#include <string.h>

static char empty[1];

bool row_null(struct row r, int col)
{
    return PQgetisnull(r.res, r.at, col);
}

int64_t row_i64(struct row r, int col)
{
    return db_get_i64(r.res, r.at, col);
}

bool row_bool(struct row r, int col)
{
    return !row_null(r, col) && PQgetlength(r.res, r.at, col) == 1 && *PQgetvalue(r.res, r.at, col);
}

char *row_text(struct row r, int col)
{
    return row_null(r, col) ? empty : PQgetvalue(r.res, r.at, col);
}

ProtobufCBinaryData row_bytes(struct row r, int col)
{
    if (row_null(r, col))
        return (ProtobufCBinaryData){0, NULL};
    return (ProtobufCBinaryData){(size_t)PQgetlength(r.res, r.at, col),
                                 (uint8_t *)PQgetvalue(r.res, r.at, col)};
}

struct id16 row_id(struct row r, int col)
{
    struct id16 id = {{0}};
    ProtobufCBinaryData b = row_bytes(r, col);
    if (b.len == ID_SIZE)
        memcpy(id.b, b.data, ID_SIZE);
    return id;
}

static uint32_t be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

char **row_texts(struct row r, int col, struct arena *arena, size_t *n)
{
    ProtobufCBinaryData b = row_bytes(r, col);
    *n = 0;
    if (b.len < 20 || be32(b.data) != 1)
        return NULL;
    size_t count = be32(b.data + 12), at = 20;
    if (count > b.len / 4)
        return NULL;
    char **out = query_alloc(arena, count * sizeof *out);
    for (size_t i = 0; i < count && at + 4 <= b.len; i++) {
        uint32_t len = be32(b.data + at);
        at += 4;
        if (len == UINT32_MAX) /* NULL */
            len = 0;
        if (len > b.len - at)
            break;
        out[i] = query_alloc(arena, (size_t)len + 1);
        memcpy(out[i], b.data + at, len);
        at += len;
        ++*n;
    }
    return out;
}

ProtobufCBinaryData *row_id_list(struct row r, int col, struct arena *arena, size_t *n)
{
    ProtobufCBinaryData b = row_bytes(r, col);
    *n = b.len / ID_SIZE;
    ProtobufCBinaryData *out = query_alloc(arena, *n * sizeof *out);
    for (size_t i = 0; i < *n; i++)
        out[i] = (ProtobufCBinaryData){ID_SIZE, b.data + i * ID_SIZE};
    return out;
}

static ProtobufCBinaryData id_bytes(const struct id16 *id)
{
    return (ProtobufCBinaryData){ID_SIZE, (uint8_t *)(uintptr_t)id->b};
}

/* Direct conversations: the peer is the one who is not the sender. */
static void name_peer(Im__ChatPush *e, const struct row_conv *conv, struct row r, int first)
{
    if (id_is_zero(conv->peer))
        return;
    bool mine = id_eq(row_id(r, first + EV_SENDER), conv->me);
    e->peer = id_bytes(mine ? &conv->peer : &conv->me);
    e->peer_login = (char *)(uintptr_t)(mine ? conv->peer_login : conv->my_login);
}

Im__ChatPush *row_event(struct row r, int first, const struct row_conv *conv, struct arena *arena)
{
    Im__ChatPush *e = query_alloc(arena, sizeof *e);
    im__chat_push__init(e);
    e->conversation = id_bytes(&conv->id);
    e->group = conv->group;
    e->seq = row_u64(r, first + EV_SEQ);
    e->sender = row_bytes(r, first + EV_SENDER);
    e->sender_login = row_text(r, first + EV_LOGIN);
    e->sender_device = (uint32_t)row_i64(r, first + EV_DEVICE);
    e->client_seq = row_u64(r, first + EV_CLIENT_SEQ);
    e->msg_id = row_bytes(r, first + EV_MSG_ID);
    e->time_ms = row_i64(r, first + EV_TIME);
    e->text = row_text(r, first + EV_TEXT);
    e->content_type = row_text(r, first + EV_CONTENT_TYPE);
    e->data = row_bytes(r, first + EV_DATA);
    e->kind = (Im__ConvKind)row_i64(r, first + EV_KIND);
    e->target = row_u64(r, first + EV_TARGET);
    e->reply_to = row_u64(r, first + EV_REPLY_TO);
    e->users = row_id_list(r, first + EV_USERS, arena, &e->n_users);
    e->logins = row_texts(r, first + EV_LOGINS, arena, &e->n_logins);
    e->role = (Im__Role)row_i64(r, first + EV_ROLE);
    e->flags = (uint32_t)row_i64(r, first + EV_FLAGS);
    e->until_ms = row_i64(r, first + EV_UNTIL);
    e->erased = row_i64(r, first + EV_KEY) < 0;
    name_peer(e, conv, r, first);
    return e;
}
