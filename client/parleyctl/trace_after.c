#include "client/parleyctl/trace.h"

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/im/codes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SLACK_MS   2000 /* brokers' clocks */
#define DEVICES    1000 /* whose cursors are kept */
#define NAMES      8    /* told of one item */
#define USER_PARTS 4096

struct device {
    struct id16 user;
    uint32_t device;
    int32_t part;
    int64_t offset, time_ms;
    uint64_t from, upto;
};

struct after {
    struct trace *t;
    int64_t *positions; /* of slots; -2: not asked yet */
    struct device *devices;
    size_t n_devices, left_out;
};

static bool is_it(const struct trace *t, ProtobufCBinaryData conv, uint64_t seq)
{
    return t->seq && seq == t->seq && conv.len == ID_SIZE && !memcmp(conv.data, t->conv.b, ID_SIZE);
}

static const char *enum_name(const ProtobufCEnumDescriptor *d, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
    return v ? v->name : "?";
}

/* ---- im.deliver ---- */

static int64_t position(struct after *a, uint32_t slot)
{
    struct ctl *c = a->t->c;
    int64_t at = -1;
    if (a->positions[slot] == -2) {
        const struct topic *d = topics_get(c->deploy.topics, topic_of_slot(slot));
        a->positions[slot] = ctl_offsets(c, GROUP_SLOT0 + slot, d, &at) ? -1 : at;
    }
    return a->positions[slot];
}

/* "bob/1, bob/2 and 3 more"; also as JSON. */
static void recipients(struct trace *t, const Im__DeliverItem *it, char *out, size_t n, json_t *list)
{
    size_t named = it->users.len / ID_SIZE, used = 0;
    *out = '\0';
    for (size_t i = 0; i < named && i < it->n_handles; i++) {
        struct id16 user;
        memcpy(user.b, it->users.data + i * ID_SIZE, ID_SIZE);
        uint32_t device = i < it->n_devices ? it->devices[i] : 0;
        json_array_append_new(
            list, json_pack("{ss sI}", "user", trace_name(t, user), "device", (json_int_t)device));
        if (i < NAMES && used < n)
            used += (size_t)snprintf(out + used, n - used, "%s%s/%" PRIu32, i ? ", " : "",
                                     trace_name(t, user), device);
    }
    if (it->all)
        snprintf(out, n, "all sessions");
    else if (!named || named > NAMES)
        snprintf(out + (used < n ? used : n - 1), used < n ? n - used : 1, "%s%zu sessions",
                 named ? " … of " : "", it->n_handles);
}

static void pushed(struct after *a, const struct record *r, const Im__DeliverItem *it, const char *what)
{
    struct trace *t = a->t;
    uint32_t slot = (uint32_t)(r->topic - T_DELIVER0);
    char title[64], to[200];
    json_t *list = json_array();
    recipients(t, it, to, sizeof to, list);
    int64_t at = position(a, slot);
    const char *state = at < 0           ? "position not known"
                        : at > r->offset ? "confirmed, or handed back"
                                         : "not confirmed yet";
    snprintf(title, sizeof title, "im.deliver.%" PRIu32 "@%" PRId64, slot, r->offset);
    trace_hop(t, 2, r->time_ms * 1000, title,
              json_pack("{si sI ss so sI sI sb}", "slot", (int)slot, "offset", (json_int_t)r->offset, "kind",
                        what, "to", list, "sessions", (json_int_t)it->n_handles, "position", (json_int_t)at,
                        "passed", at > r->offset),
              "%s to %s: %s", what, to, state);
}

static void told_sender(struct trace *t, const struct record *r, const Im__DeliverItem *it)
{
    Im__MsgAck *m = im__msg_ack__unpack(NULL, it->payload.len, it->payload.data);
    char title[64];
    if (m && m->msg_id.len == ID_SIZE && !memcmp(m->msg_id.data, t->msg_id.b, ID_SIZE)) {
        const char *stage = enum_name(&im__stage__descriptor, (int)m->stage);
        snprintf(title, sizeof title, "im.deliver.%d@%" PRId64, (int)(r->topic - T_DELIVER0), r->offset);
        trace_hop(t, 2, r->time_ms * 1000, title,
                  json_pack("{si sI ss ss sI ss}", "slot", (int)(r->topic - T_DELIVER0), "offset",
                            (json_int_t)r->offset, "kind", "MSG_ACK", "stage", stage, "seq",
                            (json_int_t)m->seq, "code", code_name(m->code)),
                  "the sender is told %s%s%s", stage, m->code ? " " : "", m->code ? code_name(m->code) : "");
    }
    if (m)
        im__msg_ack__free_unpacked(m, NULL);
}

static void look_in_page(struct after *a, const struct record *r, const Im__DeliverItem *it)
{
    Im__PullOfflineRsp *m = im__pull_offline_rsp__unpack(NULL, it->payload.len, it->payload.data);
    for (size_t i = 0; m && i < m->n_items; i++)
        if (is_it(a->t, m->items[i]->conversation, m->items[i]->seq))
            pushed(a, r, it, "in a page of what was missed");
    if (m)
        im__pull_offline_rsp__free_unpacked(m, NULL);
}

static enum scan_go on_deliver(void *ctx, const struct record *r)
{
    struct after *a = ctx;
    Im__DeliverRecord *m = NULL;
    if (codec_deliver(NULL, r->value, &m))
        return SCAN_ON;
    for (size_t i = 0; i < m->n_items; i++) {
        const Im__DeliverItem *it = m->items[i];
        if (is_it(a->t, it->conversation, it->seq) && it->frame_type != IM__FRAME_TYPE__MSG_ACK)
            pushed(a, r, it, enum_name(&im__item_kind__descriptor, (int)it->kind));
        else if (it->frame_type == IM__FRAME_TYPE__MSG_ACK)
            told_sender(a->t, r, it);
        else if (it->frame_type == IM__FRAME_TYPE__PULL_OFFLINE_RSP)
            look_in_page(a, r, it);
    }
    im__deliver_record__free_unpacked(m, NULL);
    return SCAN_ON;
}

/* ---- im.offline ---- */

static void queued(struct trace *t, const struct record *r, const char *what, struct id16 user,
                   const char *more)
{
    char title[64];
    snprintf(title, sizeof title, "im.offline/%d@%" PRId64, (int)r->part, r->offset);
    trace_hop(t, 2, r->time_ms * 1000, title,
              json_pack("{si sI ss ss ss}", "partition", (int)r->part, "offset", (json_int_t)r->offset,
                        "kind", what, "user", id_is_zero(user) ? "" : trace_name(t, user), "detail", more),
              "%s%s%s%s", what, id_is_zero(user) ? "" : " for ", id_is_zero(user) ? "" : trace_name(t, user),
              more);
}

static void on_item(struct trace *t, const struct record *r, const Im__OfflineRecord *m)
{
    char more[160] = "";
    size_t used = 0;
    if (!is_it(t, m->item->item->conversation, m->item->item->seq))
        return;
    for (size_t i = 0; i < m->item->n_served && used < sizeof more - 16; i++)
        used += (size_t)snprintf(more + used, sizeof more - used, "%s%" PRIu32,
                                 i ? ", " : ", not for device ", m->item->served[i]);
    queued(t, r, "to be queued", codec_id(m->user), more);
}

static void on_bounce(struct trace *t, const struct record *r, const Im__OfflineRecord *m)
{
    char more[80];
    for (size_t i = 0; i < m->bounce->n_items; i++)
        if (is_it(t, m->bounce->items[i]->conversation, m->bounce->items[i]->seq)) {
            snprintf(more, sizeof more, "/%" PRIu32 " (slot %" PRIu32 ")", m->bounce->session->device,
                     m->bounce->session->slot);
            queued(t, r, "not confirmed, handed back", codec_id(m->user), more);
        }
}

static enum scan_go on_offline(void *ctx, const struct record *r)
{
    struct trace *t = ((struct after *)ctx)->t;
    Im__OfflineRecord *m = NULL;
    char more[80];
    if (codec_offline(NULL, r->value, &m))
        return SCAN_ON;
    if (m->body_case == IM__OFFLINE_RECORD__BODY_ITEM) {
        on_item(t, r, m);
    } else if (m->body_case == IM__OFFLINE_RECORD__BODY_BOUNCE) {
        on_bounce(t, r, m);
    } else if (m->body_case == IM__OFFLINE_RECORD__BODY_GROUP &&
               is_it(t, m->group->conversation, m->group->seq)) {
        snprintf(more, sizeof more, ": %zu members with a device that was not served",
                 m->group->users.len / ID_SIZE);
        queued(t, r, "to be marked", (struct id16){{0}},
               m->group->n_handles ? ": of connections without a name" : more);
    }
    im__offline_record__free_unpacked(m, NULL);
    return SCAN_ON;
}

/* ---- im.cursor ---- */

static enum scan_go on_cursor(void *ctx, const struct record *r)
{
    struct after *a = ctx;
    struct trace *t = a->t;
    Im__CursorRecord *m = NULL;
    size_t i;
    if (!r->value.n || codec_cursor(NULL, r->value, &m))
        return SCAN_ON;
    if (t->seq && m->from <= t->seq && m->upto >= t->seq && id_eq(codec_id(m->conversation), t->conv)) {
        struct id16 user = codec_id(m->user);
        for (i = 0; i < a->n_devices; i++)
            if (a->devices[i].device == m->device && id_eq(a->devices[i].user, user))
                break;
        if (i == DEVICES)
            a->left_out++;
        else if (i == a->n_devices) /* the first that covers it says when */
            a->devices[a->n_devices++] =
                (struct device){user, m->device, r->part, r->offset, r->time_ms, m->from, m->upto};
    }
    im__cursor_record__free_unpacked(m, NULL);
    return SCAN_ON;
}

static void cursors_told(struct after *a)
{
    struct trace *t = a->t;
    for (size_t i = 0; i < a->n_devices; i++) {
        const struct device *d = &a->devices[i];
        char title[64];
        snprintf(title, sizeof title, "im.cursor/%d@%" PRId64, (int)d->part, d->offset);
        trace_hop(t, 2, d->time_ms * 1000, title,
                  json_pack("{si sI ss sI sI sI}", "partition", (int)d->part, "offset", (json_int_t)d->offset,
                            "user", trace_name(t, d->user), "device", (json_int_t)d->device, "from",
                            (json_int_t)d->from, "upto", (json_int_t)d->upto),
                  "%s/%" PRIu32 " says that it has %" PRIu64 " to %" PRIu64, trace_name(t, d->user),
                  d->device, d->from, d->upto);
    }
    if (a->left_out)
        trace_hop(t, 2, 0, "im.cursor", json_pack("{sI}", "left_out", (json_int_t)a->left_out),
                  "… and %zu more devices", a->left_out);
}

/* ---- all ---- */

/* What a topic no longer has of the time that matters. */
static void gone(struct trace *t, uint16_t topic, int32_t part, int64_t from, int64_t begin_ms)
{
    const struct topic *tp = topics_get(t->c->deploy.topics, topic);
    int64_t low, high;
    if (tp->compact || tp->retention_ms < 0 || scan_ends(t->scan, topic, part, &low, &high) || low == 0 ||
        from > low)
        return;
    if (clock_wall_ms() - begin_ms < tp->retention_ms && from < high)
        return;
    trace_hop(t, 2, 0, tp->name,
              json_pack("{sb sI}", "beyond_retention", 1, "kept_ms", (json_int_t)tp->retention_ms),
              "keeps %" PRId64 " h: what it had of this is gone", tp->retention_ms / 3600000);
}

/* Partitions of a topic: those of the two people, or all. */
static size_t parts_of(const struct trace *t, uint16_t topic, bool all, int32_t out[USER_PARTS])
{
    const struct topics *ts = t->c->deploy.topics;
    int32_t parts = topics_get(ts, topic)->parts;
    size_t n = 0;
    if (!all) {
        out[n++] = topics_partition(ts, topic, slice_id(&t->user));
        int32_t other = topics_partition(ts, topic, slice_id(&t->peer));
        if (other != out[0])
            out[n++] = other;
        return n;
    }
    for (int32_t p = 0; p < parts && p < USER_PARTS; p++)
        out[n++] = p;
    return n;
}

static int read_from(struct after *a, uint16_t topic, const int32_t *parts, size_t n, int64_t begin_ms,
                     int64_t end_ms, struct scan_range *r, size_t *n_r)
{
    for (size_t i = 0; i < n; i++) {
        int64_t from, to = INT64_MAX;
        if (scan_times(a->t->scan, topic, parts[i], 1, begin_ms, &from) ||
            (end_ms < INT64_MAX && scan_times(a->t->scan, topic, parts[i], 1, end_ms, &to)))
            return -EIO;
        if (i == 0)
            gone(a->t, topic, parts[i], from, begin_ms);
        r[(*n_r)++] = (struct scan_range){topic, parts[i], from, to};
    }
    return 0;
}

static int all(struct after *a, int32_t *parts, struct scan_range *r)
{
    struct trace *t = a->t;
    uint32_t slots = topics_slots(t->c->deploy.topics);
    int64_t begin = trace_begin(t) - SLACK_MS, end = t->window_ms ? trace_begin(t) + t->window_ms : INT64_MAX;
    size_t n = 0;
    int rc = 0;
    parts[0] = 0;
    for (uint32_t s = 0; !rc && s < slots; s++)
        rc = read_from(a, topic_of_slot(s), parts, 1, begin, end, r, &n);
    if (!rc)
        rc = scan_read(t->scan, r, n, "delivery records", on_deliver, a);
    n = 0;
    size_t n_parts = parts_of(t, T_OFFLINE, t->group, parts);
    if (!rc)
        rc = read_from(a, T_OFFLINE, parts, n_parts, begin, end, r, &n);
    if (!rc)
        rc = scan_read(t->scan, r, n, "what was not served live", on_offline, a);
    n = 0;
    n_parts = parts_of(t, T_CURSOR, t->group, parts);
    if (!rc)
        rc = read_from(a, T_CURSOR, parts, n_parts, begin, INT64_MAX, r, &n);
    return rc ? rc : scan_read(t->scan, r, n, "confirmations", on_cursor, a);
}

int trace_after(struct trace *t)
{
    uint32_t slots = topics_slots(t->c->deploy.topics);
    struct after a = {.t = t};
    int32_t *parts = calloc(USER_PARTS, sizeof *parts);
    struct scan_range *r = calloc(USER_PARTS + slots, sizeof *r);
    a.positions = calloc(slots, sizeof *a.positions);
    a.devices = calloc(DEVICES, sizeof *a.devices);
    int rc = parts && r && a.positions && a.devices ? 0 : -EIO;
    for (uint32_t s = 0; !rc && s < slots; s++)
        a.positions[s] = -2;
    if (!rc)
        rc = all(&a, parts, r);
    cursors_told(&a);
    free(parts);
    free(r);
    free(a.positions);
    free(a.devices);
    return rc;
}
