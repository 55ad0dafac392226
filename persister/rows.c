#include "persister/rows.h"
#include "common/base/utf8.h"

#include <errno.h>

/* ---- messages: the struct, then text, content type, data and trace ---- */

static const char not_text[] = "application/octet-stream";

static uint8_t *put(uint8_t *p, struct slice s)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

struct slice message_row_pack(struct fx *fx, const struct convrec *rec, const struct conv_outcome *out,
                              const struct record *r)
{
    struct slice text = rec->body.text, type = rec->body.content_type, data = rec->body.data;
    if (rec->body.key_id)
        data = rec->body.sealed;
    /* The reducer does not look at bodies, so neither may this refuse one: what is not text is kept as data. */
    if (!utf8_valid(text.p, text.n)) {
        data = data.n ? data : text;
        text = (struct slice){0};
        type = (struct slice){not_text, sizeof not_text - 1};
    }
    if (!utf8_valid(type.p, type.n))
        type = (struct slice){not_text, sizeof not_text - 1};

    const struct message_row row = {
        .conv = rec->event.conv,
        .sender = rec->event.user,
        .msg_id = rec->msg_id,
        .device = rec->event.device,
        .kind = (uint16_t)rec->event.kind,
        .seq = out->seq,
        .client_seq = rec->event.client_seq,
        .key_id = rec->body.key_id,
        .time_ms = out->time_ms,
        .source_part = rec->source_part,
        .source_offset = rec->source_offset,
        .conv_part = r->part,
        .conv_offset = r->offset,
        .text_n = (uint32_t)text.n,
        .type_n = (uint32_t)type.n,
        .data_n = (uint32_t)data.n,
        .trace_n = (uint32_t)rec->trace.n,
    };
    size_t n = sizeof row + text.n + type.n + data.n + rec->trace.n;
    uint8_t *p = fx_alloc(fx, n);
    memcpy(p, &row, sizeof row);
    put(put(put(put(p + sizeof row, text), type), data), rec->trace);
    return (struct slice){p, n};
}

int message_row_parse(struct slice s, struct message_row *row, struct message_texts *texts)
{
    if (s.n < sizeof *row)
        return -EBADMSG;
    memcpy(row, s.p, sizeof *row);
    const uint8_t *p = (const uint8_t *)s.p + sizeof *row;
    if (s.n != sizeof *row + (size_t)row->text_n + row->type_n + row->data_n + row->trace_n)
        return -EBADMSG;
    texts->text = (struct slice){p, row->text_n};
    texts->type = (struct slice){p += row->text_n, row->type_n};
    texts->data = (struct slice){p += row->type_n, row->data_n};
    texts->trace = (struct slice){p + row->data_n, row->trace_n};
    return 0;
}

/* ---- accounts and devices: big-endian, as the load statements of tables.c build them too ---- */

static uint8_t *w64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
    return p + 8;
}

static uint8_t *w32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
    return p + 4;
}

static uint64_t rd(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | *p++;
    return v;
}

#define ACCOUNT_HEAD 32
#define DEVICE_HEAD  20

struct slice account_row_pack(struct fx *fx, const struct account_row *a)
{
    size_t n = ACCOUNT_HEAD + a->login.n + a->display_name.n;
    uint8_t *row = fx_alloc(fx, n), *p = row;
    p = w64(p, (uint64_t)a->token_generation);
    p = w64(p, (uint64_t)a->source_offset);
    p = w64(p, (uint64_t)a->registered_ms);
    p = w32(p, (uint32_t)a->source_part);
    p = w32(p, (uint32_t)a->login.n);
    put(put(p, a->login), a->display_name);
    return (struct slice){row, n};
}

int account_row_parse(struct slice s, struct account_row *a)
{
    const uint8_t *p = s.p;
    uint32_t login_n = s.n >= ACCOUNT_HEAD ? (uint32_t)rd(p + 28, 4) : 0;
    if (s.n < ACCOUNT_HEAD || login_n > s.n - ACCOUNT_HEAD)
        return -EBADMSG;
    a->token_generation = (int64_t)rd(p, 8);
    a->source_offset = (int64_t)rd(p + 8, 8);
    a->registered_ms = (int64_t)rd(p + 16, 8);
    a->source_part = (int32_t)rd(p + 24, 4);
    a->login = (struct slice){p + ACCOUNT_HEAD, login_n};
    a->display_name = (struct slice){p + ACCOUNT_HEAD + login_n, s.n - ACCOUNT_HEAD - login_n};
    return 0;
}

struct slice device_row_pack(struct fx *fx, const struct device_row *d)
{
    size_t n = DEVICE_HEAD + d->device_id.n + d->device_class.n;
    uint8_t *row = fx_alloc(fx, n), *p = row;
    p = w64(p, (uint64_t)d->added_ms);
    p = w64(p, (uint64_t)d->dropped_ms);
    p = w32(p, (uint32_t)d->device_id.n);
    put(put(p, d->device_id), d->device_class);
    return (struct slice){row, n};
}

int device_row_parse(struct slice s, struct device_row *d)
{
    const uint8_t *p = s.p;
    uint32_t id_n = s.n >= DEVICE_HEAD ? (uint32_t)rd(p + 16, 4) : 0;
    if (s.n < DEVICE_HEAD || id_n > s.n - DEVICE_HEAD)
        return -EBADMSG;
    d->added_ms = (int64_t)rd(p, 8);
    d->dropped_ms = (int64_t)rd(p + 8, 8);
    d->device_id = (struct slice){p + DEVICE_HEAD, id_n};
    d->device_class = (struct slice){p + DEVICE_HEAD + id_n, s.n - DEVICE_HEAD - id_n};
    return 0;
}

struct slice verifier_row_pack(struct fx *fx, uint32_t master_key, struct slice verifier)
{
    uint8_t *row = fx_alloc(fx, 4 + verifier.n);
    put(w32(row, master_key), verifier);
    return (struct slice){row, 4 + verifier.n};
}

void device_key(struct id16 user, uint32_t device, uint8_t out[KEY_DEVICE])
{
    memcpy(out, user.b, ID_SIZE);
    w32(out + ID_SIZE, device);
}

int device_key_parse(struct slice key, struct id16 *user, uint32_t *device)
{
    if (key.n != KEY_DEVICE)
        return -EBADMSG;
    memcpy(user->b, key.p, ID_SIZE);
    *device = (uint32_t)rd((const uint8_t *)key.p + ID_SIZE, 4);
    return 0;
}

int verifier_row_parse(struct slice row, uint32_t *master_key, struct slice *verifier)
{
    if (row.n < 4)
        return -EBADMSG;
    *master_key = (uint32_t)rd(row.p, 4);
    *verifier = (struct slice){(const uint8_t *)row.p + 4, row.n - 4};
    return 0;
}
