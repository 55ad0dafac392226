#include "tests/sim/sim_plant.h"

#include "common/im/codec.h"
#include "proto/client.pb-c.h"
#include "proto/record.pb-c.h"

struct slice sim_plant_unnumbered(struct sim *s, struct slice value)
{
    Im__ConvRecord *r = im__conv_record__unpack(NULL, value.n, value.p);
    if (!r)
        return value;
    r->client_seq = 0;
    size_t n = im__conv_record__get_packed_size(r);
    uint8_t *p = sim_alloc(s, n);
    im__conv_record__pack(r, p);
    im__conv_record__free_unpacked(r, NULL);
    return (struct slice){p, n};
}

struct ack {
    struct sim_link *l;
    struct sim_frame f;
};

static void confirm(void *ctx, uint64_t arg)
{
    struct ack *a = ctx;
    (void)arg;
    if (!a->l->edge_done && !a->l->closing)
        sim_edge_frame(a->l->edge, a->l, &a->f);
}

static void confirm_later(struct sim_link *l, uint32_t upto, Im__ChatPush *const *items, size_t n)
{
    Im__DeliveryAck ack = IM__DELIVERY_ACK__INIT;
    Im__Cursor cursors[64], *list[64];
    ack.upto = upto;
    ack.cursors = list;
    for (size_t i = 0; i < n && i < ARRAY_LEN(cursors); i++) {
        im__cursor__init(&cursors[i]);
        cursors[i].conversation = items[i]->conversation;
        cursors[i].from = cursors[i].upto = items[i]->seq;
        list[ack.n_cursors++] = &cursors[i];
    }
    struct ack *a = sim_alloc(l->sim, sizeof *a);
    size_t size = im__delivery_ack__get_packed_size(&ack);
    uint8_t *p = sim_alloc(l->sim, size);
    im__delivery_ack__pack(&ack, p);
    *a = (struct ack){l, {.type = IM__FRAME_TYPE__DELIVERY_ACK, .payload = {p, size}}};
    sim_at(l->sim, &l->edge->actor, 1, confirm, a, 0);
}

void sim_plant_confirm(struct sim_link *l, uint16_t type, uint32_t seq_id, struct slice payload)
{
    if (type == IM__FRAME_TYPE__CHAT_PUSH) {
        Im__ChatPush *m = im__chat_push__unpack(NULL, payload.n, payload.p);
        if (m)
            confirm_later(l, seq_id, &m, 1);
        im__chat_push__free_unpacked(m, NULL);
    } else if (type == IM__FRAME_TYPE__PULL_OFFLINE_RSP) {
        Im__PullOfflineRsp *m = im__pull_offline_rsp__unpack(NULL, payload.n, payload.p);
        if (m)
            confirm_later(l, 0, m->items, m->n_items);
        im__pull_offline_rsp__free_unpacked(m, NULL);
    }
}
