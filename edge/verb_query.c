/* verb_query.c: questions for the read models: checked, passed on as they are, answered through the slot's topic. An answer may
 * be a thousand times as large as its question: they have a rate of their own, and few of a connection wait at once. */
#include "edge/verbs.h"

#define LOST_MS 25000 /* nobody answers a question that is older than 20 s */

void verb_query(struct edge_core *e, struct econn *c, uint16_t type, uint32_t seq_id, struct slice payload)
{
    Im__QueryRecord q = IM__QUERY_RECORD__INIT;
    Im__Session pb;
    struct session me;
    struct flight about = {.type = type, .seq_id = seq_id};
    uint32_t wait = asked_count(&c->asked, ASKED_QUERY, edge_ms32(e), LOST_MS) >= e->lim.queries
                        ? 250
                        : ratelimit_take(&c->query, e->lim.query_rate, e->lim.query_burst, edge_ms32(e));
    if (wait) {
        edge_error(e, c, seq_id, IM__CODE__TOO_MANY_REQUESTS, NULL, wait);
        return;
    }
    edge_me(e, c, &me);
    session_to_pb(&me, &pb);
    q.version = CODEC_VERSION;
    q.session = &pb;
    q.seq_id = seq_id;
    q.frame_type = type;
    q.payload = codec_bytes(payload);
    q.edge_time_us = e->wall_us;
    if (!edge_produce(e, c, T_QUERY, c->user, &q.base, &about)) {
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 1000);
        return;
    }
    asked_add(&c->asked, ASKED_QUERY, seq_id, edge_ms32(e));
    e->stats.queries++;
}
