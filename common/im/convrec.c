#include "common/im/convrec.h"

#include "common/base/utf8.h"
#include "common/im/wire.h"

#include <errno.h>

/* Everything below decides which bytes are a record. It is part of the log's meaning: what is refused or accepted
 * here today must stay so. */

static bool get_id(const struct wire_field *f, struct id16 *out)
{
    if (f->bytes.n != ID_SIZE)
        return false;
    memcpy(out->b, f->bytes.p, ID_SIZE);
    return true;
}

static bool get_text(const struct wire_field *f, struct slice *out)
{
    *out = f->bytes;
    return f->bytes.n == 0 || utf8_valid(f->bytes.p, f->bytes.n);
}

/* Is the field's wire type the one that its number has? One digit per field id; '-' is unknown: skipped. */
static bool typed(const struct wire_field *f, const char *shapes, size_t n)
{
    return f->id >= n || shapes[f->id] == '-' || shapes[f->id] == '0' + f->type;
}

static bool decode_body(struct slice bytes, struct convrec_body *out)
{
    static const char shapes[] = "-02222";
    struct wire w = wire_of(bytes);
    struct wire_field f;
    bool ok = true;
    *out = (struct convrec_body){0};
    while (ok && wire_next(&w, &f)) {
        if (!typed(&f, shapes, sizeof shapes - 1))
            return false;
        switch (f.id) {
        case 1:
            out->key_id = f.number;
            ok = f.number <= INT64_MAX;
            break;
        case 2:
            ok = get_text(&f, &out->text);
            break;
        case 3:
            ok = get_text(&f, &out->content_type);
            break;
        case 4:
            out->data = f.bytes;
            break;
        case 5:
            out->sealed = f.bytes;
            break;
        }
    }
    return ok && !w.bad;
}

static bool decode_origin(struct slice bytes, struct session *out)
{
    static const char shapes[] = "-200050";
    struct wire w = wire_of(bytes);
    struct wire_field f;
    bool ok = true;
    *out = (struct session){0};
    while (ok && wire_next(&w, &f)) {
        if (!typed(&f, shapes, sizeof shapes - 1))
            return false;
        switch (f.id) {
        case 1:
            ok = f.bytes.n == 0 || get_id(&f, &out->user);
            break;
        case 2:
            out->device = (uint32_t)f.number;
            break;
        case 3:
            out->slot = (uint32_t)f.number;
            break;
        case 4:
            out->epoch = f.number;
            break;
        case 5:
            out->handle = (uint32_t)f.number;
            break;
        case 6:
            out->login_offset = f.number;
            break;
        }
    }
    return ok && !w.bad;
}

struct seen {
    uint64_t version;
    bool conv, user, msg_id, body;
};

static bool set_number(struct convrec *r, const struct wire_field *f, struct seen *seen)
{
    switch (f->id) {
    case 1:
        seen->version = (uint32_t)f->number;
        return true;
    case 2:
        r->event.rules = (uint32_t)f->number;
        return true;
    case 3:
        r->event.kind = (uint32_t)f->number;
        return true;
    case 6:
        r->event.device = (uint32_t)f->number;
        return true;
    case 7:
        r->event.client_seq = f->number;
        return f->number <= INT64_MAX;
    case 9:
        r->source_part = (int32_t)f->number;
        return true;
    case 10:
        r->source_offset = (int64_t)f->number;
        return true;
    case 18:
        r->edge_time_us = (int64_t)f->number;
        return true;
    }
    return true;
}

static bool set_bytes(struct convrec *r, const struct wire_field *f, struct seen *seen)
{
    switch (f->id) {
    case 4:
        return seen->conv = get_id(f, &r->event.conv);
    case 5:
        return seen->user = get_id(f, &r->event.user);
    case 8:
        return seen->msg_id = get_id(f, &r->msg_id);
    case 11:
        r->trace = f->bytes;
        return f->bytes.n == 0 || f->bytes.n == CODEC_TRACE;
    case 13:
        return f->bytes.n == 0 || get_id(f, &r->event.peer);
    case 14:
        return get_text(f, &r->user_login);
    case 15:
        return get_text(f, &r->peer_login);
    case 16:
        return seen->body = decode_body(f->bytes, &r->body);
    case 17:
        return r->has_origin = decode_origin(f->bytes, &r->origin);
    }
    return true; /* 12, the settings: no rule looks at them yet */
}

int convrec_decode(struct slice value, int64_t time_ms, struct convrec *out)
{
    /*                             0123456789 */
    static const char shapes[] = "-000220020"
                                 "022222220"; /* 10 … 18 */
    struct convrec r = {.event.time_ms = time_ms};
    struct seen seen = {0};
    struct wire w = wire_of(value);
    struct wire_field f;
    bool ok = value.n <= CONVREC_MAX;
    while (ok && wire_next(&w, &f)) {
        if (!typed(&f, shapes, sizeof shapes - 1))
            ok = false;
        else
            ok = f.type == WIRE_BYTES ? set_bytes(&r, &f, &seen) : set_number(&r, &f, &seen);
    }
    if (seen.version > CODEC_VERSION)
        return -ENOTSUP;
    if (!ok || w.bad || seen.version == 0 || !seen.conv || !seen.user || !seen.msg_id)
        return -EBADMSG;
    if (r.event.kind == IM__CONV_KIND__CONV_MESSAGE && !seen.body)
        return -EBADMSG;
    *out = r;
    return 0;
}

int convrec_peek(struct slice value, struct id16 *conv)
{
    struct wire w = wire_of(value);
    struct wire_field f;
    while (wire_next(&w, &f))
        if (f.id == 4)
            return f.type == WIRE_BYTES && get_id(&f, conv) ? 0 : -EBADMSG;
    return -EBADMSG;
}
