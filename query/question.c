#include "query/question.h"

#include "common/base/arena_protobuf.h"
#include "common/im/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static const struct verb *const verbs[] = {&verb_conv_list, &verb_conv_info, &verb_history, &verb_changes,
                                           &verb_search,    &verb_members,   &verb_asks,    &verb_users,
                                           &verb_contacts,  &verb_devices,   &verb_presence};

const struct verb *verb_of(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (verbs[i]->type == type)
            return verbs[i];
    return NULL;
}

static const void *field_of(const ProtobufCMessage *m, const char *name, ProtobufCType type)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
    return f && f->type == type && f->label != PROTOBUF_C_LABEL_REPEATED ? (const char *)m + f->offset : NULL;
}

static int find_conv(struct question *q)
{
    const ProtobufCBinaryData *conv = field_of(q->req, "conversation", PROTOBUF_C_TYPE_BYTES);
    char *const *with = field_of(q->req, "with", PROTOBUF_C_TYPE_STRING);
    char login[LOGIN_MAX + 1];
    if (conv && conv->len)
        return id_from(conv->data, conv->len, &q->conv);
    if (!with || !**with)
        return 0;
    if (login_normalise(*with, strlen(*with), login))
        return -EINVAL;
    q->conv = id_direct(q->from.user, id_user(login));
    return 0;
}

int question_init(struct question *q, const struct question_env *env, struct arena *arena,
                  const struct session *from, uint16_t type, uint32_t seq_id, struct slice payload)
{
    const struct frame_type *ft = frame_type(type);
    struct arena_protobuf pb;
    *q =
        (struct question){.env = env, .verb = verb_of(type), .arena = arena, .from = *from, .seq_id = seq_id};
    if (!q->verb || !ft || !ft->request)
        return -EBADMSG;
    q->req = protobuf_c_message_unpack(ft->request, arena_protobuf_allocator(&pb, arena, 256 << 10),
                                       payload.n, payload.p);
    if (!q->req || find_conv(q))
        return -EBADMSG;
    Im__Wait *const *wait = field_of(q->req, "wait", PROTOBUF_C_TYPE_MESSAGE);
    q->wait = wait && *wait && (*wait)->seq && (*wait)->conversation.len == ID_SIZE ? *wait : NULL;
    return 0;
}

/* For who left no further than they see: how a group goes on without them is not theirs to watch. */
static const struct db_stmt head_stmt = {
    .name = "head",
    .sql = "SELECT least(h.seq, m.upto) FROM (SELECT m.conv, upper(m.visible) - 1 AS upto FROM memberships m "
           "WHERE m.user_id = $1::bytea AND m.conv = $2::bytea AND NOT isempty(m.visible) "
           "UNION ALL SELECT c.conv, NULL FROM conversations c WHERE c.conv = $2::bytea AND c.type = 3) m, "
           "LATERAL (SELECT x.seq FROM messages x WHERE x.conv = m.conv ORDER BY x.seq DESC LIMIT 1) h",
    .n_params = 2};

void question_ask_head(struct question *q, struct ask *a)
{
    struct id16 conv;
    memcpy(conv.b, q->wait->conversation.data, ID_SIZE);
    ask_stmt(a, &head_stmt);
    ask_id(a, &q->from.user);
    ask_id(a, &conv);
}

uint16_t question_answer_type(const struct question *q)
{
    return (uint16_t)(q->verb->type + 1);
}

ProtobufCMessage *question_refusal(struct question *q, Im__Code code)
{
    const ProtobufCMessageDescriptor *d = frame_type(question_answer_type(q))->server;
    ProtobufCMessage *m = query_alloc(q->arena, d->sizeof_message);
    protobuf_c_message_init(d, m);
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(d, "code");
    *(Im__Code *)((char *)m + f->offset) = code;
    return m;
}

/* ---- for verbs ---- */

uint32_t limit_of(uint32_t asked, uint32_t usual, uint32_t most)
{
    return asked == 0 ? usual : asked > most ? most : asked;
}

ProtobufCBinaryData bytes_of_id(const struct id16 *id)
{
    return (ProtobufCBinaryData){ID_SIZE, (uint8_t *)(uintptr_t)id->b};
}

ProtobufCBinaryData page_key(struct arena *arena, const int64_t *numbers, size_t n, struct slice tail)
{
    uint8_t *p = query_alloc(arena, 8 * n + tail.n);
    for (size_t i = 0; i < n; i++) {
        uint64_t be = htobe64((uint64_t)numbers[i]);
        memcpy(p + 8 * i, &be, 8);
    }
    if (tail.n)
        memcpy(p + 8 * n, tail.p, tail.n);
    return (ProtobufCBinaryData){8 * n + tail.n, p};
}

bool page_key_parse(ProtobufCBinaryData key, int64_t *numbers, size_t n, struct slice *tail)
{
    if (key.len < 8 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t be;
        memcpy(&be, key.data + 8 * i, 8);
        numbers[i] = (int64_t)be64toh(be);
    }
    *tail = (struct slice){key.data + 8 * n, key.len - 8 * n};
    return true;
}
