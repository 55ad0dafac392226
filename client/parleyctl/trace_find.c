#include "client/parleyctl/trace.h"

#include "common/base/clock.h"
#include "common/im/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS    60000
#define SLACK_MS     2000 /* brokers' clocks */
#define FIRST_FRAMES 600000

/* ---- what matches ---- */

static bool known(const struct trace *t)
{
    return t->has_user && t->client_seq;
}

bool trace_matches(const struct trace *t, const struct convrec *r)
{
    if (known(t))
        return r->event.client_seq == t->client_seq && id_eq(r->event.user, t->user) &&
               (!t->device || r->event.device == t->device);
    return t->ask.by_id && id_eq(r->msg_id, t->msg_id);
}

static void who(struct trace *t, struct id16 user, uint32_t device, uint64_t client_seq)
{
    t->user = user;
    t->device = device;
    t->client_seq = client_seq;
    t->has_user = true;
    t->msg_id = id_message(user, device, client_seq);
}

static void copy_login(char out[LOGIN_MAX + 1], struct slice s)
{
    if (s.n && s.n <= LOGIN_MAX)
        snprintf(out, LOGIN_MAX + 1, "%.*s", (int)s.n, (const char *)s.p);
}

void trace_took(struct trace *t, const struct record *r, const struct convrec *rec)
{
    for (size_t i = 0; i < t->n_records; i++)
        if (t->records[i].offset == r->offset && t->records[i].part == r->part)
            return;
    who(t, rec->event.user, rec->event.device, rec->event.client_seq);
    t->conv = rec->event.conv;
    t->has_conv = true;
    t->peer = rec->event.peer;
    t->group = id_is_zero(rec->event.peer);
    copy_login(t->login, rec->user_login);
    copy_login(t->peer_login, rec->peer_login);
    t->key_id = rec->body.key_id;
    t->body_bytes = rec->body.key_id ? rec->body.sealed.n : rec->body.text.n + rec->body.data.n;
    if (rec->trace.n == CODEC_TRACE) {
        memcpy(t->trace_id, rec->trace.p, CODEC_TRACE);
        t->has_trace = true;
    }
    if (t->n_records < TRACE_TIMES)
        t->records[t->n_records++] = (struct trace_record){.part = r->part,
                                                           .source_part = rec->source_part,
                                                           .offset = r->offset,
                                                           .time_ms = r->time_ms,
                                                           .edge_us = rec->edge_time_us,
                                                           .source_offset = rec->source_offset,
                                                           .rules = rec->event.rules,
                                                           .kind = rec->event.kind};
}

/* Cheap, before anything is allocated: does the record have a chat with this number or id? */
static bool may_match(const struct trace *t, struct slice value)
{
    struct wire w = wire_of(value);
    struct wire_field f, g;
    while (wire_next(&w, &f)) {
        if (f.id != 14 || f.type != WIRE_BYTES)
            continue;
        struct wire chat = wire_of(f.bytes);
        while (wire_next(&chat, &g))
            if (known(t) ? g.id == 2 && g.type == WIRE_VARINT && g.number == t->client_seq
                         : g.id == 3 && g.type == WIRE_BYTES && g.bytes.n == ID_SIZE &&
                               !memcmp(g.bytes.p, t->msg_id.b, ID_SIZE))
                return true;
    }
    return false;
}

static void take_frame(struct trace *t, const struct record *r, const Im__Inbound *in)
{
    struct id16 user;
    for (size_t i = 0; i < t->n_frames; i++)
        if (t->frames[i].offset == r->offset && t->frames[i].part == r->part)
            return;
    if (r->key.n != ID_SIZE || t->n_frames == TRACE_TIMES)
        return;
    memcpy(user.b, r->key.p, ID_SIZE);
    who(t, user, in->session->device, in->chat->client_seq);
    if (!t->has_conv && in->chat->conversation.len == ID_SIZE) {
        t->conv = codec_id(in->chat->conversation);
        t->peer = codec_id(in->chat->peer);
        t->group = id_is_zero(t->peer);
        t->has_conv = true;
        copy_login(t->peer_login, (struct slice){in->chat->peer_login, strlen(in->chat->peer_login)});
    }
    t->frames[t->n_frames++] = (struct trace_frame){.part = r->part,
                                                    .offset = r->offset,
                                                    .time_ms = r->time_ms,
                                                    .edge_us = in->edge_time_us,
                                                    .slot = in->session->slot,
                                                    .epoch = in->session->epoch,
                                                    .seq_id = in->seq_id};
}

static void look_at_frame(struct trace *t, const struct record *r)
{
    Im__Inbound *in = NULL;
    if (t->has_user && (r->key.n != ID_SIZE || memcmp(r->key.p, t->user.b, ID_SIZE) != 0))
        return;
    if (!may_match(t, r->value) || codec_inbound(NULL, r->value, &in))
        return;
    if (in->body_case == IM__INBOUND__BODY_CHAT && in->session &&
        (!t->device || in->session->device == t->device))
        take_frame(t, r, in);
    im__inbound__free_unpacked(in, NULL);
}

static void look_at_record(struct trace *t, const struct record *r)
{
    struct convrec rec;
    if (t->has_conv && (r->key.n != ID_SIZE || memcmp(r->key.p, t->conv.b, ID_SIZE) != 0))
        return;
    if (convrec_decode(r->value, r->time_ms, &rec) == 0 && trace_matches(t, &rec))
        trace_took(t, r, &rec);
}

static enum scan_go look(void *ctx, const struct record *r)
{
    (r->topic == T_INBOUND ? look_at_frame : look_at_record)(ctx, r);
    return SCAN_ON;
}

/* ---- where ---- */

/* Adds the partitions of a topic in which it can be, between two times; INT64_MAX: to the end. */
static int ranges_of(struct trace *t, uint16_t topic, const struct id16 *key, int64_t from_ms, int64_t to_ms,
                     struct scan_range *out, size_t *n)
{
    int32_t parts = topics_get(t->c->deploy.topics, topic)->parts;
    int32_t first = key ? topics_partition(t->c->deploy.topics, topic, slice_id(key)) : 0;
    int32_t many = key ? 1 : parts;
    int64_t *from = calloc(2 * (size_t)many, sizeof *from), *to = from + many;
    int rc = !from ? -EIO : from_ms > 0 ? scan_times(t->scan, topic, first, many, from_ms, from) : 0;
    if (!rc && to_ms < INT64_MAX)
        rc = scan_times(t->scan, topic, first, many, to_ms, to);
    for (int32_t p = 0; !rc && p < many; p++)
        out[(*n)++] = (struct scan_range){topic, first + p, from[p], to_ms < INT64_MAX ? to[p] : INT64_MAX};
    free(from);
    return rc;
}

static int hunt_between(struct trace *t, bool inbound, bool conversation, int64_t from_ms, int64_t to_ms)
{
    const struct topics *ts = t->c->deploy.topics;
    size_t n = 0, room = (size_t)(topics_get(ts, T_INBOUND)->parts + topics_get(ts, T_CONVERSATION)->parts);
    struct scan_range *r = calloc(room, sizeof *r);
    int rc = r ? 0 : -EIO;
    if (!rc && inbound)
        rc = ranges_of(t, T_INBOUND, t->has_user ? &t->user : NULL, from_ms, to_ms, r, &n);
    if (!rc && conversation)
        rc = ranges_of(t, T_CONVERSATION, t->has_conv ? &t->conv : NULL, from_ms, to_ms, r, &n);
    if (!rc)
        rc = scan_read(t->scan, r, n, "looking for the message", look, t);
    free(r);
    return rc;
}

/* Backwards from now in steps that grow: what is asked for is mostly new. */
static int hunt(struct trace *t, bool inbound, bool conversation)
{
    static const int64_t back_ms[] = {10 * MINUTE_MS, 120 * MINUTE_MS, 1440 * MINUTE_MS, 10080LL * MINUTE_MS,
                                      0};
    int64_t to = t->until_ms, begin = t->until_ms < INT64_MAX ? t->until_ms : clock_wall_ms();
    int rc = 0;
    for (size_t i = 0; !rc && i < ARRAY_LEN(back_ms) && !t->n_frames && !t->n_records; i++) {
        int64_t from = back_ms[i] ? begin - back_ms[i] : 0;
        bool last = from <= t->since_ms;
        if (last)
            from = t->since_ms;
        rc = hunt_between(t, inbound, conversation, from, to);
        to = from;
        if (last)
            break;
    }
    return rc;
}

/* The very record, by its place. */
static int read_one(struct trace *t, uint16_t topic, int32_t part, int64_t offset)
{
    return scan_read(t->scan, &(struct scan_range){topic, part, offset, offset + 1}, 1, NULL, look, t);
}

static int by_place(struct trace *t)
{
    int64_t offset;
    t->conv = t->ask.conv;
    t->has_conv = true;
    if (!trace_row_place(t, &offset))
        return t->no_fold ? 0 : trace_fold_to_seq(t, t->ask.seq);
    /* PostgreSQL says who sent it; the log has the last word. */
    return read_one(t, T_CONVERSATION,
                    topics_partition(t->c->deploy.topics, T_CONVERSATION, slice_id(&t->conv)), offset);
}

/* Frames that only a record named, resends, records of resends. */
static int complete(struct trace *t)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < t->n_records; i++)
        rc = read_one(t, T_INBOUND, t->records[i].source_part, t->records[i].source_offset);
    if (rc || (!t->n_frames && !t->n_records))
        return rc;
    int64_t begin = trace_begin(t) - SLACK_MS;
    int64_t end =
        t->window_ms ? begin + (t->window_ms < FIRST_FRAMES ? t->window_ms : FIRST_FRAMES) : INT64_MAX;
    return hunt_between(t, true, t->has_conv, begin, end);
}

static int by_offset(const void *a, const void *b)
{
    const struct trace_record *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int frames_by_offset(const void *a, const void *b)
{
    const struct trace_frame *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

int trace_find(struct trace *t)
{
    int rc;
    t->msg_id = t->ask.msg_id;
    if (t->ask.by_place) {
        rc = by_place(t);
    } else if (t->ask.by_id) {
        rc = hunt(t, true, true);
    } else {
        t->user = t->ask.user;
        t->device = t->ask.device;
        t->client_seq = t->ask.client_seq;
        t->has_user = true;
        rc = hunt(t, true, false); /* one partition; only what it no longer has is looked for everywhere */
        if (!rc && !t->n_frames)
            rc = hunt(t, false, true);
    }
    if (!rc)
        rc = complete(t);
    qsort(t->records, t->n_records, sizeof *t->records, by_offset);
    qsort(t->frames, t->n_frames, sizeof *t->frames, frames_by_offset);
    return rc;
}
