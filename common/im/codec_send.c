/* Apart from codec.c, so that programs without a shell (clients, tools) need not link one. */
#include "common/im/codec.h"

#include <stdlib.h>

struct slice codec_pack(struct fx *fx, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = fx_alloc(fx, n ? n : 1);
    if (!p)
        abort(); /* an effect that is left out would be a lie */
    protobuf_c_message_pack(m, p);
    return (struct slice){p, n};
}

void codec_send(struct fx *fx, uint16_t topic, struct slice key, const ProtobufCMessage *m, uint64_t tag)
{
    fx_send(fx, topic, key, codec_pack(fx, m), tag);
}

void codec_send_at(struct fx *fx, uint16_t topic, int32_t part, struct slice key, const ProtobufCMessage *m,
                   uint64_t tag)
{
    fx_send_at(fx, topic, part, key, codec_pack(fx, m), tag);
}
