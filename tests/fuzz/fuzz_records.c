/* Every record decoder: kind:1, value. 255 is im.conversation; 254 and 253 are the views. */
#include "common/base/arena.h"
#include "common/base/arena_protobuf.h"
#include "common/im/convrec.h"
#include "common/im/lease.h"
#include "common/im/presence.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_convrec(struct slice value)
{
    struct convrec r;
    struct id16 id;
    const uint8_t *from = value.p, *end = from + value.n;
    int rc = convrec_decode(value, 1, &r);
    int peeked = convrec_peek(value, &id);
    if (rc)
        return;
    if (peeked)
        abort();
    const struct slice inside[] = {r.trace,     r.user_login, r.peer_login,
                                   r.body.text, r.body.data,  r.body.sealed};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        if (inside[i].n &&
            ((const uint8_t *)inside[i].p < from || (const uint8_t *)inside[i].p + inside[i].n > end))
            abort();
}

static void fuzz_views(uint8_t kind, struct slice value)
{
    size_t key_n = kind == 254 ? KEY_LEASE : KEY_PRESENCE;
    if (value.n < key_n)
        return;
    struct slice key = {value.p, key_n};
    value = (struct slice){(const uint8_t *)value.p + key_n, value.n - key_n};
    if (kind == 254) {
        struct lease *l = lease_new(8);
        (void)lease_feed(l, key, value, 1000);
        lease_free(l);
    } else {
        struct presence *p = presence_new(NULL);
        (void)presence_feed(p, key, value);
        presence_free(p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena *arena;
    struct arena_protobuf pb;
    if (size < 1)
        return 0;
    struct slice value = {data + 1, size - 1};
    if (!arena)
        arena = arena_new(0);
    arena_reset(arena);
    if (data[0] == 255) {
        fuzz_convrec(value);
    } else if (data[0] >= 253) {
        fuzz_views(data[0], value);
    } else {
        ProtobufCMessage *m = NULL;
        ProtobufCAllocator *a = arena_protobuf_allocator(&pb, arena, 1 << 20);
        if (codec_decode((enum record_kind)(data[0] % REC_KINDS), a, value, &m) == 0 &&
            protobuf_c_message_get_packed_size(m) > CODEC_RECORD_MAX)
            abort();
    }
    return 0;
}
