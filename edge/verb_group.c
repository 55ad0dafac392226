/* verb_group.c: GROUP_CHAT. Mentions are ids and are not looked up: who is no member is told nothing. */
#include "edge/verbs.h"

#include <stdlib.h>

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, ID_SIZE);
}

bool verb_group_send(struct edge_core *e, struct econn *c, const ProtobufCMessage *m, struct send *s)
{
    (void)c;
    const Im__GroupChat *req = (const Im__GroupChat *)m;
    s->conv = codec_id(req->conversation);
    s->chat.client_seq = req->client_seq;
    s->traceparent = req->traceparent;
    s->chat.kind = IM__CONV_KIND__CONV_MESSAGE;
    s->chat.reply_to = req->reply_to;
    s->body.text = req->text;
    s->body.content_type = req->content_type;
    s->body.data = req->data;
    if (!req->n_mentions)
        return true;
    uint8_t *ids = edge_must(arena_alloc(e->arena, req->n_mentions * ID_SIZE));
    for (size_t i = 0; i < req->n_mentions; i++)
        memcpy(ids + i * ID_SIZE, req->mentions[i].data, ID_SIZE);
    qsort(ids, req->n_mentions, ID_SIZE, by_id);
    size_t n = 1;
    for (size_t i = 1; i < req->n_mentions; i++)
        if (by_id(ids + (n - 1) * ID_SIZE, ids + i * ID_SIZE) != 0)
            memmove(ids + n++ * ID_SIZE, ids + i * ID_SIZE, ID_SIZE);
    s->chat.users = codec_bytes(slice_of(ids, n * ID_SIZE));
    return true;
}

void verb_group(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                ProtobufCMessage *m)
{
    edge_send(e, c, IM__FRAME_TYPE__GROUP_CHAT, seq_id, payload, m);
}
