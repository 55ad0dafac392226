/* devices.c: DEVICES_REQ: one's own devices. */
#include "query/question.h"

/* $1 user */
static const struct db_stmt devices_stmt = {
    .name = "devices",
    .sql = "SELECT device, device_id, device_class, added_ms FROM devices WHERE user_id = $1::bytea AND "
           "dropped_ms IS NULL ORDER BY device DESC LIMIT 64",
    .n_params = 1};

static Im__Code ask_devices(struct question *q, struct ask *a)
{
    ask_stmt(a, &devices_stmt);
    ask_id(a, &q->from.user);
    return IM__CODE__OK;
}

static Im__Code take_devices(struct question *q, const PGresult *const *res, ProtobufCMessage **out)
{
    Im__DevicesRsp *rsp = query_alloc(q->arena, sizeof *rsp);
    im__devices_rsp__init(rsp);
    size_t n = rsp->n_devices = (size_t)PQntuples(res[0]);
    rsp->devices = query_alloc(q->arena, n * sizeof *rsp->devices);
    for (size_t i = 0; i < n; i++) {
        struct row r = row_of(res[0], (int)(n - 1 - i)); /* ascending */
        Im__Device *d = rsp->devices[i] = query_alloc(q->arena, sizeof *d);
        im__device__init(d);
        d->device = (uint32_t)row_i64(r, 0);
        d->device_id = row_text(r, 1);
        d->device_class = row_text(r, 2);
        d->added_ms = row_i64(r, 3);
        d->online = q->env->device_online(q->env->ctx, q->from.user, d->device);
        d->current = d->device == q->from.device;
    }
    *out = &rsp->base;
    return IM__CODE__OK;
}

const struct verb verb_devices = {IM__FRAME_TYPE__DEVICES_REQ, false, ask_devices, take_devices};
