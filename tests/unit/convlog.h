/* convlog.h: records of im.conversation for unit tests. Include it once per test. */
#ifndef PARLEY_TESTS_CONVLOG_H
#define PARLEY_TESTS_CONVLOG_H

#include "common/base/arena.h"
#include "common/base/rand.h"
#include "common/im/bodykeys.h"
#include "common/im/codec.h"
#include "common/im/conv.h"
#include "common/im/ids.h"
#include "common/im/topics.h"

#include <stdio.h>
#include <stdlib.h>

struct chat { /* zero: the default */
    const char *from, *to;
    uint32_t device;
    uint64_t client_seq;
    const char *text;
    uint32_t rules, version;
    uint32_t slot;
    uint64_t epoch; /* 0: no origin */
    uint32_t handle;
    bool stranger;      /* the conversation is not that of the two */
    const uint8_t *key; /* seals what is said; as number 1 */
};

static inline struct id16 uid(const char *login)
{
    return id_user(login);
}

/* A record at `offset`; its bytes are in the arena. */
static inline struct record chat_record(struct arena *arena, int64_t offset, const struct chat *c)
{
    Im__ConvRecord r = IM__CONV_RECORD__INIT;
    Im__ConvSettings settings = IM__CONV_SETTINGS__INIT;
    Im__Body body = IM__BODY__INIT;
    Im__Session origin = IM__SESSION__INIT;
    struct id16 user = uid(c->from), peer = uid(c->to), conv = id_direct(user, peer);
    struct id16 msg = id_message(user, c->device, c->client_seq);
    if (c->stranger)
        conv = id_direct(uid("somebody"), uid("else"));
    r.version = c->version ? c->version : 1;
    r.rules = c->rules ? c->rules : CONV_RULES;
    r.kind = IM__CONV_KIND__CONV_MESSAGE;
    r.conversation = (ProtobufCBinaryData){ID_SIZE, conv.b};
    r.user = (ProtobufCBinaryData){ID_SIZE, user.b};
    r.peer = (ProtobufCBinaryData){ID_SIZE, peer.b};
    r.device = c->device;
    r.client_seq = c->client_seq;
    r.msg_id = (ProtobufCBinaryData){ID_SIZE, msg.b};
    r.source_offset = offset;
    r.settings = &settings;
    r.user_login = (char *)(uintptr_t)c->from;
    r.peer_login = (char *)(uintptr_t)c->to;
    body.text = (char *)(uintptr_t)(c->text ? c->text : "hello");
    r.body = &body;
    if (c->key) {
        const struct body_place at = {conv, user, c->client_seq, 0, offset};
        size_t plain_n = im__body__get_packed_size(&body);
        uint8_t *plain = arena_alloc(arena, 2 * plain_n + BODY_EXTRA), *sealed = plain + plain_n;
        if (!plain)
            abort();
        im__body__pack(&body, plain);
        size_t sealed_n = body_seal(c->key, &at, (struct slice){plain, plain_n}, sealed);
        body = (Im__Body)IM__BODY__INIT;
        body.key_id = 1;
        body.sealed = (ProtobufCBinaryData){sealed_n, sealed};
    }
    if (c->epoch) {
        origin.user = r.user;
        origin.device = c->device;
        origin.slot = c->slot;
        origin.epoch = c->epoch;
        origin.handle = c->handle;
        origin.login_offset = 1;
        r.origin = &origin;
    }
    size_t n = im__conv_record__get_packed_size(&r);
    uint8_t *p = arena_alloc(arena, n + ID_SIZE);
    if (!p)
        abort();
    im__conv_record__pack(&r, p);
    memcpy(p + n, conv.b, ID_SIZE);
    return (struct record){.topic = T_CONVERSATION,
                           .offset = offset,
                           .time_ms = 1000 + offset,
                           .key = {p + n, ID_SIZE},
                           .value = {p, n}};
}

/* A log that has everything in it: repeats, old numbers, strangers, several devices, rubbish. Devices number their
 * sends from `first` on. The caller frees it. */
static inline struct record *random_log(struct arena *arena, struct rng *rng, size_t n, uint64_t first)
{
    static const char *const who[] = {"anna", "bert", "carl", "dora"};
    struct record *log = calloc(n, sizeof *log);
    uint64_t next[4][12] = {0};
    for (size_t i = 0; i < n; i++) {
        uint32_t from = (uint32_t)rng_below(rng, 4), to = (uint32_t)rng_below(rng, 4),
                 device = (uint32_t)rng_below(rng, 12);
        uint64_t seq = first + ++next[from][device];
        uint64_t back = rng_below(rng, 10) == 0 ? rng_below(rng, 100) : 0;
        struct chat c = {.from = who[from],
                         .to = who[to],
                         .device = device + 1,
                         .client_seq = seq > back ? seq - back : 0,
                         .stranger = rng_below(rng, 20) == 0};
        log[i] = chat_record(arena, (int64_t)i, &c);
        log[i].time_ms += (int64_t)rng_below(rng, 50) - 25;
        if (rng_below(rng, 30) == 0)
            log[i].value.n /= 2;
    }
    return log;
}

#endif
