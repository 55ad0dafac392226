#include "offline/users.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdlib.h>

#define ROW_VERSION 2 /* 1: devices without `since`, no marks, no sessions */

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
    if (!u)
        return;
    marks_release(&u->marks);
    free(u->live);
    free(u->devices);
    free(u);
}

size_t user_memory(const struct user *u)
{
    return sizeof *u + u->n_devices * sizeof *u->devices + u->n_live * sizeof *u->live +
           marks_memory(&u->marks) + 64;
}

struct udevice *user_device(const struct user *u, uint32_t device)
{
    for (uint32_t i = 0; i < u->n_devices; i++)
        if (u->devices[i].no == device)
            return &u->devices[i];
    return NULL;
}

bool user_has(const struct user *u, uint32_t device)
{
    return user_device(u, device);
}

bool user_may_have(const struct user *u, uint32_t device)
{
    return device > u->newest || user_has(u, device);
}

static void *sized(void *p, size_t n, size_t size)
{
    if (n == 0) {
        free(p);
        return NULL;
    }
    p = realloc(p, n * size);
    if (!p)
        abort();
    return p;
}

void user_set_devices(struct user *u, const uint32_t *devices, size_t n, uint64_t at)
{
    struct udevice list[USER_DEVICES];
    n = n < USER_DEVICES ? n : USER_DEVICES;
    for (size_t i = 0; i < n; i++) {
        const struct udevice *old = user_device(u, devices[i]);
        list[i] = (struct udevice){devices[i], old ? old->since : 0};
        if (devices[i] > u->newest)
            u->newest = devices[i];
    }
    u->known = true;
    u->devices_at = at;
    u->n_devices = (uint32_t)n;
    u->devices = sized(u->devices, n, sizeof *u->devices);
    if (n)
        memcpy(u->devices, list, n * sizeof *list);
}

void user_drop_device(struct user *u, uint32_t device)
{
    struct udevice *d = user_device(u, device);
    if (device > u->newest)
        u->newest = device;
    if (d)
        memmove(d, d + 1, (size_t)(u->devices + --u->n_devices - d) * sizeof *d);
}

bool user_set_live(struct user *u, const struct session *s)
{
    for (uint32_t i = 0; i < u->n_live; i++)
        if (u->live[i].device == s->device) {
            bool same = session_eq(&u->live[i], s);
            u->live[i] = *s;
            return !same;
        }
    u->live = sized(u->live, u->n_live + 1, sizeof *u->live);
    uint32_t at = u->n_live++; /* ascending by device: the same sessions are the same bytes */
    for (; at > 0 && u->live[at - 1].device > s->device; at--)
        u->live[at] = u->live[at - 1];
    u->live[at] = *s;
    return true;
}

bool user_clear_live(struct user *u, uint32_t device)
{
    for (uint32_t i = 0; i < u->n_live; i++)
        if (u->live[i].device == device) {
            memmove(&u->live[i], &u->live[i + 1], (u->n_live - i - 1) * sizeof *u->live);
            u->live = sized(u->live, --u->n_live, sizeof *u->live);
            return true;
        }
    return false;
}

void user_pack(const struct user *u, struct bytes *out)
{
    bytes_u8(out, ROW_VERSION);
    bytes_u8(out, u->known);
    bytes_be64(out, u->devices_at);
    bytes_be32(out, u->newest);
    bytes_u8(out, (uint8_t)u->n_devices);
    for (uint32_t i = 0; i < u->n_devices; i++) {
        bytes_be32(out, u->devices[i].no);
        bytes_be64(out, u->devices[i].since);
    }
    bytes_u8(out, u->marks.missing || u->marks.n > 0);
    bytes_u8(out, (uint8_t)u->n_live);
    for (uint32_t i = 0; i < u->n_live; i++) {
        const struct session *s = &u->live[i];
        bytes_be32(out, s->device);
        bytes_be32(out, s->slot);
        bytes_be64(out, s->epoch);
        bytes_be32(out, s->handle);
        bytes_be64(out, s->login_offset);
    }
}

static void take_live(struct user *u, struct reader *r)
{
    uint32_t n = reader_u8(r);
    if (r->bad || n > USER_DEVICES) {
        r->bad = true;
        return;
    }
    u->live = sized(u->live, n, sizeof *u->live);
    for (u->n_live = 0; u->n_live < n; u->n_live++) {
        struct session *s = &u->live[u->n_live];
        *s = (struct session){.user = u->id};
        s->device = reader_be32(r);
        s->slot = reader_be32(r);
        s->epoch = reader_be64(r);
        s->handle = reader_be32(r);
        s->login_offset = reader_be64(r);
    }
}

int user_unpack(struct user *u, struct slice row)
{
    struct reader r = reader_of(row);
    uint8_t version = reader_u8(&r);
    if (!r.bad && version > ROW_VERSION)
        return -ENOTSUP;
    if (version == 0)
        return -EBADMSG;
    u->known = reader_u8(&r);
    u->devices_at = reader_be64(&r);
    u->newest = reader_be32(&r);
    uint32_t n = reader_u8(&r);
    if (n > USER_DEVICES)
        return -EBADMSG;
    u->devices = sized(u->devices, n, sizeof *u->devices);
    for (u->n_devices = 0; u->n_devices < n; u->n_devices++) {
        struct udevice *d = &u->devices[u->n_devices];
        d->no = reader_be32(&r);
        d->since = version >= 2 ? reader_be64(&r) : 0;
    }
    u->live_unknown = version < 2;
    if (version >= 2) {
        u->marks.missing = reader_u8(&r);
        take_live(u, &r);
    }
    return reader_done(&r) ? 0 : -EBADMSG;
}
