#include "common/im/dead.h"

#include "common/base/metrics.h"
#include "common/im/convrec.h"
#include "common/im/topics.h"
#include "common/im/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

METRIC_COUNTER(letters, "parley_dead_letters_total",
               "Records that this process gave up on and sent to im.dlq.", "topic");

#define NO_FIELD 0

/* How records of a topic are read, and where in them stands what is worth telling. */
struct form {
    int kind; /* enum record_kind; -1: im.conversation */
    const ProtobufCMessageDescriptor *desc;
    uint8_t trace, session, source_part, source_offset; /* field numbers */
};

static bool form_of(uint16_t topic, struct form *f)
{
    switch (topic) {
    case T_INBOUND:
        *f = (struct form){REC_INBOUND, &im__inbound__descriptor, 4, 2, NO_FIELD, NO_FIELD};
        return true;
    case T_CONVERSATION:
        *f = (struct form){-1, &im__conv_record__descriptor, 11, 17, 9, 10};
        return true;
    case T_USER:
        *f = (struct form){REC_USER, &im__user_record__descriptor, 12, NO_FIELD, 10, 11};
        return true;
    case T_VAULT:
        *f = (struct form){REC_VAULT, &im__vault_record__descriptor, NO_FIELD, NO_FIELD, NO_FIELD, NO_FIELD};
        return true;
    case T_QUERY:
        *f = (struct form){REC_QUERY, &im__query_record__descriptor, 6, 2, NO_FIELD, NO_FIELD};
        return true;
    case T_OFFLINE:
        *f = (struct form){REC_OFFLINE, &im__offline_record__descriptor, 3, NO_FIELD, NO_FIELD, NO_FIELD};
        return true;
    case T_CURSOR:
        *f =
            (struct form){REC_CURSOR, &im__cursor_record__descriptor, NO_FIELD, NO_FIELD, NO_FIELD, NO_FIELD};
        return true;
    default:
        if (topic < T_DELIVER0)
            return false;
        *f = (struct form){REC_DELIVER, &im__deliver_record__descriptor, NO_FIELD, NO_FIELD, NO_FIELD,
                           NO_FIELD};
        return true;
    }
}

static bool field(struct slice value, uint32_t id, uint8_t type, struct wire_field *out)
{
    struct wire w = wire_of(value);
    bool found = false;
    while (id && wire_next(&w, out))
        if (out->id == id && out->type == type) {
            found = true;
            break;
        }
    return found;
}

/* ---- why ---- */

static int judge(const struct form *f, struct slice value)
{
    struct convrec rec;
    ProtobufCMessage *m = NULL;
    if (f->kind < 0)
        return convrec_decode(value, 0, &rec);
    int rc = codec_decode((enum record_kind)f->kind, NULL, value, &m);
    if (m)
        protobuf_c_message_free_unpacked(m, NULL);
    return rc;
}

/* Of bytes that are no record. */
static void why_not(const struct form *f, struct slice value, char *out, size_t n)
{
    struct wire w = wire_of(value);
    struct wire_field v, any;
    while (wire_next(&w, &any))
        ;
    size_t max = f->kind < 0 ? CONVREC_MAX : CODEC_RECORD_MAX;
    const char *bad = w.bad ? NULL : codec_bad_text(f->desc, value);
    if (value.n > max)
        snprintf(out, n, "over limits: %zu bytes", value.n);
    else if (value.n == 0)
        snprintf(out, n, "undecodable: no value");
    else if (w.bad)
        snprintf(out, n, "undecodable: not a protobuf message");
    else if (!field(value, 1, WIRE_VARINT, &v) || (uint32_t)v.number == 0)
        snprintf(out, n, "undecodable: no version");
    else if (bad)
        snprintf(out, n, "undecodable: %s is not text", bad);
    else
        snprintf(out, n, "over limits: a field is missing, too long or out of range");
}

bool dead_reason(uint16_t topic, struct slice value, char *out, size_t n)
{
    struct form f;
    struct wire_field v;
    if (!form_of(topic, &f))
        return false;
    int rc = judge(&f, value);
    if (rc == -ENOTSUP)
        snprintf(out, n, "unknown version: %" PRIu32,
                 field(value, 1, WIRE_VARINT, &v) ? (uint32_t)v.number : 0);
    else if (rc)
        why_not(&f, value, out, n);
    return rc != 0;
}

/* ---- where it came from ---- */

struct slice dead_trace(uint16_t topic, struct slice value)
{
    struct form f;
    struct wire_field v;
    if (form_of(topic, &f) && field(value, f.trace, WIRE_BYTES, &v) && v.bytes.n == CODEC_TRACE)
        return v.bytes;
    return (struct slice){NULL, 0};
}

static void on_stack(struct dead *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void on_stack(struct dead *d, const char *fmt, ...)
{
    va_list ap;
    size_t i = d->r.n_stack;
    if (i == DEAD_STACK)
        return;
    va_start(ap, fmt);
    vsnprintf(d->texts[i], sizeof d->texts[i], fmt, ap);
    va_end(ap);
    d->stack[i] = d->texts[i];
    d->r.stack = d->stack;
    d->r.n_stack = i + 1;
}

static void look_back(struct dead *d, uint16_t topic, struct slice value)
{
    struct form f;
    struct wire_field s, slot, epoch, part = {0}, offset;
    if (!form_of(topic, &f))
        return;
    if (field(value, f.session, WIRE_BYTES, &s) && field(s.bytes, 4, WIRE_VARINT, &epoch)) {
        bool has_slot = field(s.bytes, 3, WIRE_VARINT, &slot); /* 0 is not written */
        on_stack(d, "edge, slot %" PRIu64 " epoch %" PRIu64, has_slot ? slot.number : 0, epoch.number);
    }
    if (field(value, f.source_offset, WIRE_VARINT, &offset)) {
        field(value, f.source_part, WIRE_VARINT, &part);
        on_stack(d, "router, im.inbound/%" PRIu32 "@%" PRId64, (uint32_t)part.number, (int64_t)offset.number);
    }
    if (topic == T_OFFLINE) {
        static const char *const writers[] = {"router", "router", "fanout", "edge", "router", "fanout"};
        struct wire_field body;
        for (uint32_t id = 10; id < 16; id++)
            if (field(value, id, WIRE_BYTES, &body))
                on_stack(d, "%s", writers[id - 10]);
    }
}

void dead_fill(struct dead *d, const struct record *rec, const char *topic, const char *process,
               const char *instance, const char *why)
{
    size_t n = rec->value.n;
    *d = (struct dead){.r = IM__DLQ_RECORD__INIT};
    if (!dead_reason(rec->topic, rec->value, d->error, sizeof d->error))
        snprintf(d->error, sizeof d->error, "out of place: %s",
                 why ? why : "well formed, but not what this topic or key can hold");
    d->r.version = CODEC_VERSION;
    d->r.topic = (char *)(uintptr_t)topic;
    d->r.part = rec->part;
    d->r.offset = rec->offset;
    d->r.time_ms = rec->time_ms;
    d->r.key = codec_bytes(rec->key);
    d->r.value_size = n > DEAD_VALUE_MAX ? (uint32_t)n : 0;
    d->r.value = codec_bytes((struct slice){rec->value.p, n > DEAD_VALUE_MAX ? DEAD_VALUE_MAX : n});
    d->r.error = d->error;
    d->r.process = (char *)(uintptr_t)process;
    d->r.instance = (char *)(uintptr_t)instance;
    d->r.trace = codec_bytes(dead_trace(rec->topic, rec->value));
    look_back(d, rec->topic, rec->value);
    metric_add(metric_with(&letters, topic), 1);
}
