/* core_write.c: frames that the edge itself makes. */
#include "edge/state.h"

#include "common/im/codes.h"

void edge_write(struct edge_core *e, struct econn *c, uint16_t type, uint32_t seq_id,
                const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = edge_must(arena_alloc(e->arena, n));
    protobuf_c_message_pack(m, p);
    e->out->write(e->ctx, c->index, type, seq_id, slice_of(p, n), NULL);
}

void edge_error(struct edge_core *e, struct econn *c, uint32_t seq_id, Im__Code code, const char *field,
                uint32_t retry_ms)
{
    Im__Error m = IM__ERROR__INIT;
    m.code = code;
    m.message = (char *)(uintptr_t)code_cause(code);
    m.field = (char *)(uintptr_t)(field ? field : "");
    m.retry_after_ms = retry_ms;
    e->stats.errors++;
    edge_write(e, c, IM__FRAME_TYPE__ERROR, seq_id, &m.base);
}

void edge_kicked(struct edge_core *e, struct econn *c, Im__Code code)
{
    Im__Kicked m = IM__KICKED__INIT;
    m.code = code;
    m.message = (char *)(uintptr_t)code_cause(code);
    edge_write(e, c, IM__FRAME_TYPE__KICKED, 0, &m.base);
}

void edge_login_rsp(struct edge_core *e, struct econn *c, uint32_t seq_id, Im__Code code, uint32_t retry_ms)
{
    Im__LoginRsp m = IM__LOGIN_RSP__INIT;
    m.code = code;
    m.retry_after_ms = retry_ms;
    if (code != IM__CODE__OK)
        e->stats.login_failures++;
    edge_write(e, c, IM__FRAME_TYPE__LOGIN_RSP, seq_id, &m.base);
}
