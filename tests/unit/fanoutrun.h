/* fanoutrun.h: fanout's core in a world with people at edges: records of every kind for it, and what it said. Include
 * it once per test. */
#ifndef PARLEY_TESTS_FANOUTRUN_H
#define PARLEY_TESTS_FANOUTRUN_H

#include "common/im/conv.h"
#include "fanout/core.h"
#include "tests/unit/coreworld.h"

#include <stdio.h>

#define PARTS 2 /* of im.offline */
#define CAP   20000

static const struct fanout_settings settings = {.cache_bytes = 64 << 20};
static struct presence *presence;
static struct fanout_views views;

static inline int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->arena = arena_new(0);
    w->lease = lease_new(SLOTS);
    w->time_ms = 1000;
    presence = presence_new(w->lease);
    views = (struct fanout_views){presence, w->lease, PARTS, NULL};
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        lease_record(w, slot, IM__LEASE_KIND__LEASE_CLAIM, 0, 10 + slot);
    run_open(&w->run, &fanout_core, &settings, &views, 0, 0);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    presence_free(presence);
    world_free(*state);
    return 0;
}

/* The user's device is live at (slot, 10 + slot, handle); devices 1 … n_devices exist. */
static inline struct session live(struct world *w, const char *login, uint32_t device, uint32_t slot,
                                  uint32_t handle, uint32_t n_devices)
{
    struct session s = {uid(login), device, slot, 10 + slot, handle, 100 + handle};
    Im__PresenceRecord r = IM__PRESENCE_RECORD__INIT;
    Im__Session pb;
    uint32_t devices[16];
    uint8_t key[KEY_PRESENCE];
    session_to_pb(&s, &pb);
    for (uint32_t i = 0; i < n_devices; i++)
        devices[i] = i + 1;
    r.version = 1;
    r.session = &pb;
    r.devices = devices;
    r.n_devices = n_devices;
    r.devices_at = s.login_offset;
    r.login = (char *)(uintptr_t)login;
    key_presence(&s, key);
    assert_int_equal(presence_feed(presence, slice_of(key, sizeof key), pack(w, &r.base)), 0);
    return s;
}

static inline void gone(const struct session *s)
{
    uint8_t key[KEY_PRESENCE];
    key_presence(s, key);
    assert_int_equal(presence_feed(presence, slice_of(key, sizeof key), (struct slice){NULL, 0}), 0);
}

/* ---- records ---- */

struct op { /* zero: none */
    const char *from;
    uint32_t device; /* 0: 1 */
    uint64_t client_seq;
    Im__ConvKind kind; /* 0: a message */
    const char *to;    /* in the direct conversation with, or */
    struct id16 conv;
    const char *users[8];
    const struct id16 *ids; /* instead of users, ascending */
    size_t n_ids;
    const char *text;
    uint32_t role, flags, flags_mask;
    uint64_t read, delivered, target;
    const struct session *origin;
    uint32_t receipt_cap;
    bool admin;
};

static inline int by_id(const void *a, const void *b)
{
    return memcmp(a, b, ID_SIZE);
}

static inline size_t ids_of(const struct op *o, struct id16 *ids)
{
    size_t n = 0;
    if (o->ids) {
        memcpy(ids, o->ids, o->n_ids * sizeof *ids);
        return o->n_ids;
    }
    while (n < 8 && o->users[n]) {
        ids[n] = uid(o->users[n]);
        n++;
    }
    qsort(ids, n, sizeof *ids, by_id);
    return n;
}

static inline struct record record(struct world *w, struct op o)
{
    Im__ConvRecord r = IM__CONV_RECORD__INIT;
    Im__ConvSettings s = IM__CONV_SETTINGS__INIT;
    Im__Body body = IM__BODY__INIT;
    Im__Session origin;
    struct id16 user = uid(o.from), peer = {{0}}, conv = o.conv, ids[100];
    uint32_t device = o.device ? o.device : 1;
    if (o.to) {
        peer = uid(o.to);
        conv = id_direct(user, peer);
        r.peer = (ProtobufCBinaryData){ID_SIZE, peer.b};
        r.peer_login = (char *)(uintptr_t)o.to;
    }
    struct id16 msg = id_message(user, device, o.client_seq);
    size_t n = ids_of(&o, ids);
    r.version = 1;
    r.rules = CONV_RULES;
    r.kind = o.kind ? o.kind : IM__CONV_KIND__CONV_MESSAGE;
    r.conversation = (ProtobufCBinaryData){ID_SIZE, conv.b};
    r.user = (ProtobufCBinaryData){ID_SIZE, user.b};
    r.user_login = (char *)(uintptr_t)o.from;
    r.device = device;
    r.client_seq = o.client_seq;
    r.msg_id = (ProtobufCBinaryData){ID_SIZE, msg.b};
    r.users = (ProtobufCBinaryData){n * ID_SIZE, ids[0].b};
    r.role = o.role;
    r.flags = o.flags;
    r.flags_mask = o.flags_mask;
    r.read = o.read;
    r.delivered = o.delivered;
    r.target = o.target;
    s.group_cap = CAP;
    s.receipt_cap = o.receipt_cap ? o.receipt_cap : 100;
    s.admin = o.admin;
    r.settings = &s;
    body.text = (char *)(uintptr_t)(o.text ? o.text : o.kind ? "" : "hello");
    r.body = &body;
    if (o.origin) {
        session_to_pb(o.origin, &origin);
        r.origin = &origin;
    }
    struct slice value = pack(w, &r.base);
    return (struct record){.topic = T_CONVERSATION,
                           .offset = w->offset++,
                           .time_ms = w->time_ms++,
                           .key = {r.conversation.data, 0},
                           .value = value};
}

static inline void one(struct world *w, struct op o)
{
    struct record r = record(w, o);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
}

static inline struct id16 group_of(const char *login, uint64_t client_seq)
{
    return id_group(uid(login), 1, client_seq);
}

/* ---- what was said ---- */

/* The items for a slot since w->seen, in order; `w->seen` stays. */
struct heard {
    const Im__DeliverItem *item[64];
    size_t n, records;
};

static inline struct heard heard(struct world *w, uint32_t slot)
{
    struct heard h = {.n = 0};
    for (size_t i = w->seen; i < w->run.fx.n_sends; i++) {
        Im__DeliverRecord *r;
        if (w->run.fx.sends[i].topic != topic_of_slot(slot))
            continue;
        DECODE(w, deliver, w->run.fx.sends[i].value, &r);
        assert_int_equal(r->epoch, 10 + slot);
        h.records++;
        for (size_t k = 0; k < r->n_items; k++) {
            assert_true(h.n < 64);
            h.item[h.n++] = r->items[k];
        }
    }
    return h;
}

static inline bool has_handle(const Im__DeliverItem *i, uint32_t handle)
{
    for (size_t k = 0; k < i->n_handles; k++)
        if (i->handles[k] == handle)
            return true;
    return false;
}

/* What the session heard since w->seen: the only item, or NULL. */
static inline const Im__DeliverItem *heard_by(struct world *w, const struct session *s)
{
    struct heard h = heard(w, s->slot);
    const Im__DeliverItem *found = NULL;
    for (size_t i = 0; i < h.n; i++) {
        if (!has_handle(h.item[i], s->handle))
            continue;
        assert_null(found);
        found = h.item[i];
    }
    return found;
}

/* im.offline since w->seen: which users are listed, with how many served devices. -1: not listed. */
static inline int queued(struct world *w, const char *login, bool *left)
{
    struct id16 user = uid(login);
    int found = -1;
    for (size_t i = w->seen; i < w->run.fx.n_sends; i++) {
        const struct sent_record *s = &w->run.fx.sends[i];
        Im__OfflineRecord *r;
        if (s->topic != T_OFFLINE)
            continue;
        DECODE(w, offline, s->value, &r);
        assert_int_equal(r->body_case, IM__OFFLINE_RECORD__BODY_GROUP);
        for (size_t k = 0; k < r->group->users.len / ID_SIZE; k++) {
            if (memcmp(r->group->users.data + k * ID_SIZE, user.b, ID_SIZE) != 0)
                continue;
            assert_int_equal(s->part, (topics_murmur2(slice_id(&user)) & 0x7fffffff) % PARTS);
            assert_int_equal(found, -1);
            found = 0;
            if (left)
                *left = r->group->left;
            for (size_t m = 0; m < r->group->n_served; m++)
                if (r->group->served[m]->index == k)
                    found = (int)r->group->served[m]->n_devices;
        }
    }
    return found;
}

static inline size_t sends_to(const struct world *w, uint16_t topic)
{
    size_t n = 0;
    for (size_t i = w->seen; i < w->run.fx.n_sends; i++)
        n += w->run.fx.sends[i].topic == topic;
    return n;
}

#define UNPACK(w, type, item_)                                                               \
    ({                                                                                       \
        struct arena_protobuf pb_;                                                           \
        void *m_ = im__##type##__unpack(arena_protobuf_allocator(&pb_, (w)->arena, 1 << 20), \
                                        (item_)->payload.len, (item_)->payload.data);        \
        assert_non_null(m_);                                                                 \
        m_;                                                                                  \
    })

#endif
