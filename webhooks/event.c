#include "webhooks/event.h"

#include "common/base/hex.h"
#include "common/im/endpoint.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TRACE_ID 16

static const char erased[] = ",\"erased\":true";

const char *event_id(struct id16 conv, uint64_t seq, char out[EVENT_ID_MAX])
{
    char hex[ID_HEX];
    (void)snprintf(out, EVENT_ID_MAX, "msg_%s_%" PRIu64, id_hex(conv, hex), seq);
    return out;
}

static void text(struct bytes *b, const char *name, struct slice s)
{
    bytes_printf(b, ",\"%s\":", name);
    bytes_json(b, s.n ? s.p : "", s.n);
}

static void id(struct bytes *b, const char *name, struct id16 v)
{
    char hex[ID_HEX];
    bytes_printf(b, ",\"%s\":\"%s\"", name, id_hex(v, hex));
}

static void number(struct bytes *b, const char *name, uint64_t v)
{
    if (v)
        bytes_printf(b, ",\"%s\":%" PRIu64, name, v);
}

static void instant(struct bytes *b, int64_t ms)
{
    char when[40];
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(when + n, sizeof when - n, ".%03dZ", (int)(ms % 1000));
    bytes_printf(b, ",\"time\":\"%s\"", when);
}

static void base64(struct bytes *b, const char *name, struct slice s)
{
    size_t n = sodium_base64_encoded_len(s.n, sodium_base64_VARIANT_ORIGINAL);
    bytes_printf(b, ",\"%s\":\"", name);
    char *at = bytes_room(b, n); /* its NUL is overwritten */
    if (at)
        sodium_bin2base64(at, n, s.p, s.n, sodium_base64_VARIANT_ORIGINAL);
    if (at)
        b->n--;
    bytes_str(b, "\"");
}

static void trace(struct bytes *b, struct slice t)
{
    char hex[2 * CODEC_TRACE + 1];
    if (t.n != CODEC_TRACE)
        return;
    hex_encode(hex, t.p, CODEC_TRACE);
    bytes_printf(b, ",\"traceparent\":\"00-%.*s-%s-01\"", 2 * TRACE_ID, hex, hex + 2 * TRACE_ID);
}

/* Whom it changed; of a message, which changes nobody, all that it mentions. */
static void users(struct bytes *b, const struct event *e)
{
    const struct conv_outcome *o = e->out;
    const uint8_t *p = e->rec->event.users.p;
    bool all = (o->changed[0] | o->changed[1]) == 0, any = false;
    for (size_t i = 0; i < e->rec->event.users.n / ID_SIZE; i++) {
        struct id16 user;
        char hex[ID_HEX];
        if (!all && !(o->changed[i / 64] >> i % 64 & 1))
            continue;
        memcpy(user.b, p + i * ID_SIZE, ID_SIZE);
        bytes_printf(b, "%s{\"id\":\"%s\"", any ? "," : ",\"users\":[", id_hex(user, hex));
        if (i < e->rec->n_logins && e->rec->logins[i].n)
            text(b, "login", e->rec->logins[i]);
        bytes_str(b, "}");
        any = true;
    }
    if (any)
        bytes_str(b, "]");
}

static void body(struct bytes *b, const struct convrec_body *v)
{
    if (v->text.n)
        text(b, "text", v->text);
    if (v->content_type.n)
        text(b, "content_type", v->content_type);
    if (v->data.n)
        base64(b, "data", v->data);
}

static struct event_span data(struct bytes *b, const struct event *e, const char *kind)
{
    struct event_span span;
    static const char *const types[] = {"", "direct", "group", "system"};
    const struct conv_event *ev = &e->rec->event;
    char hex[ID_HEX];
    bool group = conv_type(e->conv) == CONV_GROUP;
    bytes_printf(b, "{\"conversation\":\"%s\",\"conversation_type\":\"%s\",\"seq\":%" PRIu64,
                 id_hex(ev->conv, hex), types[conv_type(e->conv)], e->out->seq);
    bytes_printf(b, ",\"kind\":\"%s\",\"time_ms\":%" PRId64, kind, e->out->time_ms);
    bytes_printf(b, ",\"sender\":{\"id\":\"%s\"", id_hex(ev->user, hex));
    text(b, "login", e->rec->user_login);
    bytes_printf(b, ",\"device\":%" PRIu32 "}", ev->device);
    if (conv_type(e->conv) == CONV_DIRECT) {
        bytes_printf(b, ",\"peer\":{\"id\":\"%s\"", id_hex(ev->peer, hex));
        text(b, "login", e->rec->peer_login);
        bytes_str(b, "}");
    }
    id(b, "msg_id", e->rec->msg_id);
    number(b, "client_seq", ev->client_seq);
    number(b, "target", ev->target);
    number(b, "reply_to", ev->reply_to);
    users(b, e);
    number(b, "role", ev->role);
    number(b, "flags", group ? conv_flags(e->conv) : 0);
    number(b, "until_ms", (uint64_t)e->out->until_ms);
    span.from = (uint32_t)b->n;
    if (e->erased)
        bytes_str(b, erased);
    else
        body(b, e->body);
    span.to = (uint32_t)b->n;
    bytes_printf(b, ",\"log\":{\"partition\":%" PRId32 ",\"offset\":%" PRId64 "}}", e->part, e->offset);
    return e->erased || span.from == span.to ? (struct event_span){0} : span;
}

struct event_span event_write(struct bytes *b, const struct event *e)
{
    char id_text[EVENT_ID_MAX], hex[ID_HEX], name[40];
    struct id16 conv = e->rec->event.conv;
    const char *kind = endpoint_event(e->rec->event.kind, name);
    kind = kind ? kind : "unknown";
    bytes_printf(b,
                 "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/parley\",\"type\":\"parley.%s\","
                 "\"subject\":\"%s\"",
                 event_id(conv, e->out->seq, id_text), kind, id_hex(conv, hex));
    instant(b, e->out->time_ms);
    bytes_printf(b, ",\"sequence\":\"%020" PRIu64 "\",\"datacontenttype\":\"application/json\"", e->out->seq);
    trace(b, e->rec->trace);
    bytes_str(b, ",\"data\":");
    struct event_span span = data(b, e, kind);
    bytes_str(b, "}");
    return span;
}

void event_redact(struct bytes *b, struct slice all, struct event_span span)
{
    bytes_put(b, all.p, span.from);
    bytes_str(b, erased);
    bytes_put(b, (const uint8_t *)all.p + span.to, all.n - span.to);
}
