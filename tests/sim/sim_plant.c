#include "tests/sim/sim_plant.h"

#ifndef PARLEY_CRASH_POINTS
#define PARLEY_CRASH_POINTS 1 /* some of the product is compiled so for the simulator, see the Makefile */
#endif
#include "common/base/crash.h"
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

static void confirm_later(struct sim_link *l, const Im__DeliveryAck *ack)
{
    struct ack *a = sim_alloc(l->sim, sizeof *a);
    size_t size = im__delivery_ack__get_packed_size(ack);
    uint8_t *p = sim_alloc(l->sim, size);
    im__delivery_ack__pack(ack, p);
    *a = (struct ack){l, {.type = IM__FRAME_TYPE__DELIVERY_ACK, .payload = {p, size}}};
    sim_at(l->sim, &l->edge->actor, 1, confirm, a, 0);
}

struct claim { /* a delivery ack being made */
    Im__DeliveryAck ack;
    Im__Cursor cursors[64], *list[64];
};

static void claim(struct claim *c, const Im__ChatPush *m)
{
    if (c->ack.n_cursors == ARRAY_LEN(c->cursors))
        return;
    Im__Cursor *cur = &c->cursors[c->ack.n_cursors];
    im__cursor__init(cur);
    cur->conversation = m->conversation;
    cur->from = cur->upto = m->seq;
    c->list[c->ack.n_cursors++] = cur;
    c->ack.cursors = c->list;
}

void sim_plant_confirm(struct sim_link *l, uint16_t type, uint32_t seq_id, struct slice payload)
{
    struct claim c = {.ack = IM__DELIVERY_ACK__INIT};
    if (type == IM__FRAME_TYPE__CHAT_PUSH) {
        Im__ChatPush *m = im__chat_push__unpack(NULL, payload.n, payload.p);
        c.ack.upto = seq_id;
        if (m)
            claim(&c, m);
        confirm_later(l, &c.ack);
        im__chat_push__free_unpacked(m, NULL);
    } else if (type == IM__FRAME_TYPE__PULL_OFFLINE_RSP) {
        Im__PullOfflineRsp *m = im__pull_offline_rsp__unpack(NULL, payload.n, payload.p);
        for (size_t i = 0; m && i < m->n_items; i++)
            claim(&c, m->items[i]);
        confirm_later(l, &c.ack);
        im__pull_offline_rsp__free_unpacked(m, NULL);
    }
}

struct slice sim_plant_no_pointers(struct sim *s, struct slice value)
{
    Im__OfflineRecord *r = im__offline_record__unpack(NULL, value.n, value.p);
    if (!r || r->body_case != IM__OFFLINE_RECORD__BODY_BOUNCE) {
        im__offline_record__free_unpacked(r, NULL);
        return value;
    }
    size_t n = r->bounce->n_items, kept = 0;
    for (size_t i = 0; i < n; i++)
        if (r->bounce->items[i]->payload.len) {
            Im__QueueItem *swap = r->bounce->items[kept];
            r->bounce->items[kept++] = r->bounce->items[i];
            r->bounce->items[i] = swap;
        }
    r->bounce->n_items = kept;
    size_t size = im__offline_record__get_packed_size(r);
    uint8_t *p = sim_alloc(s, size + 1);
    im__offline_record__pack(r, p);
    r->bounce->n_items = n;
    im__offline_record__free_unpacked(r, NULL);
    return (struct slice){p, size};
}

/* ---- those in the product: what common/base/crash.h declares for builds that have them ---- */
static enum sim_plant inside;

void sim_plant_inside(enum sim_plant p)
{
    inside = p;
}

bool planted(const char *defect)
{
    return inside >= PLANT_PRODUCT && strcmp(sim_plant_names[inside], defect) == 0;
}

void crash_at(const char *point)
{
    (void)point; /* the simulator has points of its own */
}
