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

static bool decode_settings(struct slice bytes, struct conv_settings *out)
{
    static const char shapes[] = "-00000";
    struct wire w = wire_of(bytes);
    struct wire_field f;
    *out = (struct conv_settings){0};
    while (wire_next(&w, &f)) {
        if (!typed(&f, shapes, sizeof shapes - 1))
            return false;
        switch (f.id) {
        case 1:
            out->strangers_refused = f.number != 0;
            break;
        case 2:
            out->recall_limit_s = (uint32_t)f.number;
            break;
        case 3:
            out->group_cap = (uint32_t)f.number;
            break;
        case 4:
            out->receipt_cap = (uint32_t)f.number;
            break;
        case 5:
            out->admin = f.number != 0;
            break;
        }
    }
    return !w.bad;
}

/* Ascending, no repeats. */
static bool get_users(const struct wire_field *f, struct slice *out)
{
    const uint8_t *p = f->bytes.p;
    *out = f->bytes;
    if (f->bytes.n % ID_SIZE || f->bytes.n > CONV_USERS * ID_SIZE)
        return false;
    for (size_t at = ID_SIZE; at < f->bytes.n; at += ID_SIZE)
        if (memcmp(p + at - ID_SIZE, p + at, ID_SIZE) >= 0)
            return false;
    return true;
}

static bool get_login(struct convrec *r, const struct wire_field *f)
{
    return r->n_logins < CONV_USERS && get_text(f, &r->logins[r->n_logins++]);
}

struct seen {
    uint64_t version;
    bool conv, user, msg_id, body;
};

/* The numbers that only some kinds have. None is of a size that a signed one would not hold. */
static bool set_detail(struct conv_event *e, const struct wire_field *f)
{
    switch (f->id) {
    case 19:
        e->target = f->number;
        break;
    case 20:
        e->reply_to = f->number;
        break;
    case 23:
        e->role = (uint32_t)f->number;
        return true;
    case 24:
        e->flags = (uint32_t)f->number;
        return true;
    case 25:
        e->flags_mask = (uint32_t)f->number;
        return true;
    case 26:
        e->duration_s = f->number;
        break;
    case 27:
        e->read = f->number;
        break;
    case 28:
        e->delivered = f->number;
        break;
    default:
        return true;
    }
    return f->number <= INT64_MAX;
}

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
    return set_detail(&r->event, f);
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
    case 12:
        return decode_settings(f->bytes, &r->event.settings);
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
    case 21:
        return get_users(f, &r->event.users);
    case 22:
        return get_login(r, f);
    }
    return true;
}

static bool needs_body(uint32_t kind)
{
    return kind == IM__CONV_KIND__CONV_MESSAGE || kind == IM__CONV_KIND__CONV_EDIT ||
           kind == IM__CONV_KIND__CONV_ANNOUNCEMENT;
}

int convrec_decode(struct slice value, int64_t time_ms, struct convrec *r)
{
    /*                             0123456789 */
    static const char shapes[] = "-000220020"
                                 "0222222200" /* 10 … 19 */
                                 "022000000"; /* 20 … 28 */
    struct seen seen = {0};
    struct wire w = wire_of(value);
    struct wire_field f;
    bool ok = value.n <= CONVREC_MAX;
    memset(r, 0, offsetof(struct convrec, logins)); /* those are 1600 bytes that few records need */
    r->event.time_ms = time_ms;
    while (ok && wire_next(&w, &f)) {
        if (!typed(&f, shapes, sizeof shapes - 1))
            ok = false;
        else
            ok = f.type == WIRE_BYTES ? set_bytes(r, &f, &seen) : set_number(r, &f, &seen);
    }
    if (seen.version > CODEC_VERSION)
        return -ENOTSUP;
    if (!ok || w.bad || seen.version == 0 || !seen.conv || !seen.user || !seen.msg_id)
        return -EBADMSG;
    if (needs_body(r->event.kind) && !seen.body)
        return -EBADMSG;
    if (r->n_logins && r->n_logins != r->event.users.n / ID_SIZE)
        return -EBADMSG;
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
