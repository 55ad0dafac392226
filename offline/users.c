#include "offline/users.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdlib.h>

#define ROW_VERSION 1

struct user *user_new(struct id16 id)
{
    struct user *u = calloc(1, sizeof *u);
    if (!u)
        abort();
    u->id = id;
    return u;
}

void user_free(struct user *u)
{
    free(u);
}

bool user_has(const struct user *u, uint32_t device)
{
    for (size_t i = 0; i < u->n_devices; i++)
        if (u->devices[i] == device)
            return true;
    return false;
}

bool user_may_have(const struct user *u, uint32_t device)
{
    return device > u->newest || user_has(u, device);
}

void user_set_devices(struct user *u, const uint32_t *devices, size_t n, uint64_t at)
{
    u->known = true;
    u->devices_at = at;
    u->n_devices = n < USER_DEVICES ? n : USER_DEVICES;
    for (size_t i = 0; i < u->n_devices; i++) {
        u->devices[i] = devices[i];
        if (devices[i] > u->newest)
            u->newest = devices[i];
    }
}

void user_pack(const struct user *u, struct bytes *out)
{
    bytes_u8(out, ROW_VERSION);
    bytes_u8(out, u->known);
    bytes_be64(out, u->devices_at);
    bytes_be32(out, u->newest);
    bytes_u8(out, (uint8_t)u->n_devices);
    for (size_t i = 0; i < u->n_devices; i++)
        bytes_be32(out, u->devices[i]);
}

int user_unpack(struct user *u, struct slice row)
{
    struct reader r = reader_of(row);
    uint8_t version = reader_u8(&r);
    if (!r.bad && version > ROW_VERSION)
        return -ENOTSUP;
    if (version != ROW_VERSION)
        return -EBADMSG;
    u->known = reader_u8(&r);
    u->devices_at = reader_be64(&r);
    u->newest = reader_be32(&r);
    u->n_devices = reader_u8(&r);
    if (u->n_devices > USER_DEVICES)
        return -EBADMSG;
    for (size_t i = 0; i < u->n_devices; i++)
        u->devices[i] = reader_be32(&r);
    return reader_done(&r) ? 0 : -EBADMSG;
}
