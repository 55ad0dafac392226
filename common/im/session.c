#include "common/im/session.h"

#include "common/im/wire.h"

#include <errno.h>

void session_to_pb(const struct session *s, Im__Session *out)
{
    im__session__init(out);
    if (!id_is_zero(s->user)) {
        out->user.data = (uint8_t *)(uintptr_t)s->user.b;
        out->user.len = ID_SIZE;
    }
    out->device = s->device;
    out->slot = s->slot;
    out->epoch = s->epoch;
    out->handle = s->handle;
    out->login_offset = s->login_offset;
}

int session_from_pb(const Im__Session *pb, struct session *out)
{
    if (!pb || (pb->user.len != 0 && pb->user.len != ID_SIZE))
        return -EBADMSG;
    *out = (struct session){.device = pb->device,
                            .slot = pb->slot,
                            .epoch = pb->epoch,
                            .handle = pb->handle,
                            .login_offset = pb->login_offset};
    if (pb->user.len)
        memcpy(out->user.b, pb->user.data, ID_SIZE);
    return 0;
}

void key_presence(const struct session *s, uint8_t out[KEY_PRESENCE])
{
    wire_put_be(wire_put_be(wire_put_be(out, s->slot, 4), s->epoch, 8), s->handle, 4);
}

int key_presence_parse(struct slice key, uint32_t *slot, uint64_t *epoch, uint32_t *handle)
{
    if (key.n != KEY_PRESENCE)
        return -EBADMSG;
    struct wire w = wire_of(key);
    *slot = (uint32_t)wire_be(&w, 4);
    *epoch = wire_be(&w, 8);
    *handle = (uint32_t)wire_be(&w, 4);
    return 0;
}

void key_cursor(struct id16 user, uint32_t device, struct id16 conv, uint8_t out[KEY_CURSOR])
{
    wire_put(wire_put_be(wire_put(out, user.b, ID_SIZE), device, 4), conv.b, ID_SIZE);
}

int key_cursor_parse(struct slice key, struct id16 *user, uint32_t *device, struct id16 *conv)
{
    if (key.n != KEY_CURSOR)
        return -EBADMSG;
    struct wire w = wire_of(key);
    memcpy(user->b, wire_take(&w, ID_SIZE).p, ID_SIZE);
    *device = (uint32_t)wire_be(&w, 4);
    memcpy(conv->b, wire_take(&w, ID_SIZE).p, ID_SIZE);
    return 0;
}

void key_lease(uint32_t slot, Im__LeaseKind kind, uint8_t out[KEY_LEASE])
{
    uint8_t *p = wire_put_be(out, slot, 4);
    *p = kind == IM__LEASE_KIND__LEASE_WANT ? 1 : kind == IM__LEASE_KIND__LEASE_CLAIM ? 2 : 3;
}

int key_lease_parse(struct slice key, uint32_t *slot)
{
    if (key.n != KEY_LEASE)
        return -EBADMSG;
    struct wire w = wire_of(key);
    *slot = (uint32_t)wire_be(&w, 4);
    return 0;
}
