/* Requests: type:2, payload. What passes must hold what validate.h promises. */
#include "common/base/arena.h"
#include "common/base/arena_protobuf.h"
#include "common/im/ids.h"
#include "common/im/validate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena *arena;
    struct arena_protobuf pb;
    ProtobufCMessage *m;
    if (size < 2)
        return 0;
    if (!arena)
        arena = arena_new(0);
    arena_reset(arena);
    uint16_t type = (uint16_t)(data[0] << 8 | data[1]);
    struct validity v = validate_decode(type, (struct slice){data + 2, size - 2},
                                        arena_protobuf_allocator(&pb, arena, 256 << 10), &m);
    must((m != NULL) == (v.code == IM__CODE__OK) && v.field);
    if (!m)
        return 0;
    must(frame_type(type) && frame_type(type)->request == m->descriptor);
    if (type == IM__FRAME_TYPE__SINGLE_CHAT) {
        const Im__SingleChat *c = (const Im__SingleChat *)m;
        must(c->client_seq && (!c->to[0]) == (c->to_user.len == ID_SIZE));
        must(validate_utf8(c->text, strlen(c->text)));
    } else if (type == IM__FRAME_TYPE__CONV_OP) {
        const Im__ConvOp *c = (const Im__ConvOp *)m;
        must(c->client_seq && c->n_users + c->n_logins <= NAMED_MAX && c->duration_s <= MUTE_MAX_S);
        must(!c->conversation.len || (c->conversation.len == ID_SIZE && !c->to[0] && !c->to_user.len));
        must(c->conversation.len || c->to[0] || c->to_user.len ||
             c->kind == IM__CONV_KIND__CONV_GROUP_CREATE);
        must(!(c->flags & ~GROUP_FLAGS));
    } else if (type == IM__FRAME_TYPE__HISTORY_REQ) {
        const Im__HistoryReq *h = (const Im__HistoryReq *)m;
        must((h->conversation.len == ID_SIZE) == !h->with[0] && h->limit <= 200 && h->seq <= INT64_MAX);
    } else if (type == IM__FRAME_TYPE__DELIVERY_ACK) {
        must(((const Im__DeliveryAck *)m)->n_cursors <= CURSORS_MAX);
    } else if (type == IM__FRAME_TYPE__LOGIN_REQ) {
        must(strlen(((const Im__LoginReq *)m)->device_id) <= DEVICE_ID_MAX);
    }
    return 0;
}
