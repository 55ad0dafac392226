/* verb_session.c: HEARTBEAT with its beacon, LOGOUT. */
#include "edge/verbs.h"

struct beacon { /* conversation ids are hashes: their first bits tell enough of them apart */
    uint64_t seen[1024];
    uint32_t n;
};

static void count(void *ctx, ticket t, const struct ditem *it)
{
    (void)t;
    struct beacon *b = ctx;
    if (!ditem_owed(it->kind))
        return;
    unsigned at = it->conv.b[0] | (unsigned)it->conv.b[1] << 8;
    uint64_t bit = 1ull << (at & 63);
    b->n += !(b->seen[at >> 6] & bit);
    b->seen[at >> 6] |= bit;
}

void verb_heartbeat(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                    ProtobufCMessage *m)
{
    (void)payload;
    (void)m;
    Im__HeartbeatRsp rsp = IM__HEARTBEAT_RSP__INIT;
    rsp.delivery = c->d.sent;
    if (delivery_count(&c->d)) {
        struct beacon *b = edge_must(arena_alloc(e->arena, sizeof *b));
        memset(b, 0, sizeof *b);
        delivery_each(e->delivery, &c->d, count, b);
        rsp.conversations = b->n;
    }
    edge_write(e, c, IM__FRAME_TYPE__HEARTBEAT, seq_id, &rsp.base);
}

void verb_logout(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                 ProtobufCMessage *m)
{
    (void)payload;
    (void)m;
    Im__LogoutRsp rsp = IM__LOGOUT_RSP__INIT;
    rsp.code = IM__CODE__OK;
    edge_write(e, c, IM__FRAME_TYPE__LOGOUT_RSP, seq_id, &rsp.base);
    edge_close(e, c, EDGE_CUT_CLIENT);
}
