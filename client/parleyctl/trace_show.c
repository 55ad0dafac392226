#include "client/parleyctl/trace.h"
#include "client/parleyctl/when.h"

#include "common/base/hex.h"
#include "common/im/codes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void trace_hop(struct trace *t, int depth, int64_t us, const char *title, json_t *json, const char *fmt, ...)
{
    va_list ap;
    if (t->n_hops == TRACE_HOPS) {
        t->n_left_out++;
        json_decref(json);
        return;
    }
    if (!t->hops)
        t->hops = calloc(TRACE_HOPS, sizeof *t->hops);
    if (!t->hops)
        abort();
    struct trace_hop *h = &t->hops[t->n_hops++];
    *h = (struct trace_hop){.depth = depth, .us = us, .json = json ? json : json_object()};
    snprintf(h->title, sizeof h->title, "%s", title);
    va_start(ap, fmt);
    vsnprintf(h->text, sizeof h->text, fmt, ap);
    va_end(ap);
}

/* ---- the first hops ---- */

static const char *kind_name(uint32_t kind)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&im__conv_kind__descriptor, (int)kind);
    return v ? v->name : "?";
}

static void outcome_text(const struct trace_record *r, char *out, size_t n)
{
    const struct conv_outcome *o = &r->outcome;
    if (!r->judged)
        snprintf(out, n, "outcome not known");
    else if (o->verdict == CONV_ACCEPTED)
        snprintf(out, n, "accepted, number %" PRIu64, o->seq);
    else if (o->verdict == CONV_NOTED)
        snprintf(out, n, "noted, without a number");
    else if (o->verdict == CONV_REFUSED)
        snprintf(out, n, "refused: %s, %s", code_name(o->reason), code_cause(o->reason));
    else if (o->reason)
        snprintf(out, n, "a repeat of what was refused: %s", code_name(o->reason));
    else
        snprintf(out, n, "a repeat of number %" PRIu64, o->seq);
}

static void record_told(struct trace *t, const struct trace_record *r)
{
    static const char *const verdicts[] = {[CONV_ACCEPTED] = "accepted",
                                           [CONV_DUPLICATE] = "duplicate",
                                           [CONV_REFUSED] = "refused",
                                           [CONV_NOTED] = "noted"};
    char title[80], what[240];
    outcome_text(r, what, sizeof what);
    snprintf(title, sizeof title, "im.conversation/%d@%" PRId64, (int)r->part, r->offset);
    trace_hop(
        t, 1, r->time_ms * 1000, title,
        json_pack("{si sI ss si ss sI ss si sI}", "partition", (int)r->part, "offset", (json_int_t)r->offset,
                  "kind", kind_name(r->kind), "rules", (int)r->rules, "verdict",
                  r->judged ? verdicts[r->outcome.verdict] : "unknown", "seq", (json_int_t)r->outcome.seq,
                  "reason", r->judged && r->outcome.reason ? code_name(r->outcome.reason) : "",
                  "source_partition", (int)r->source_part, "source_offset", (json_int_t)r->source_offset),
        "%s: %s", kind_name(r->kind), what);
}

static void frame_told(struct trace *t, const struct trace_frame *f)
{
    char title[80];
    if (f->edge_us)
        trace_hop(t, 1, f->edge_us, "edge",
                  json_pack("{si sI sI}", "slot", (int)f->slot, "epoch", (json_int_t)f->epoch, "seq_id",
                            (json_int_t)f->seq_id),
                  "frame read, slot %" PRIu32 " epoch %" PRIu64, f->slot, f->epoch);
    snprintf(title, sizeof title, "im.inbound/%d@%" PRId64, (int)f->part, f->offset);
    trace_hop(t, 1, f->time_ms * 1000, title,
              json_pack("{si sI}", "partition", (int)f->part, "offset", (json_int_t)f->offset),
              "in the log: accepted");
}

/* Each frame, then the record that came of it; a record whose frame is gone by itself. */
void trace_frames_told(struct trace *t)
{
    for (size_t i = 0; i < t->n_frames; i++) {
        bool any = false;
        frame_told(t, &t->frames[i]);
        for (size_t k = 0; k < t->n_records; k++)
            if (t->records[k].source_offset == t->frames[i].offset) {
                record_told(t, &t->records[k]);
                any = true;
            }
        if (!any)
            trace_hop(
                t, 1, 0, "im.conversation", json_pack("{sb}", "missing", 1),
                "nothing of it: the router did not come so far yet, or refused the session or the frame");
    }
    for (size_t k = 0; k < t->n_records; k++) {
        bool framed = false;
        for (size_t i = 0; i < t->n_frames; i++)
            framed |= t->records[k].source_offset == t->frames[i].offset;
        if (framed)
            continue;
        trace_hop(t, 1, 0, "im.inbound", json_pack("{sb}", "beyond_retention", 1),
                  "keeps its records for a while: the frame, %d@%" PRId64 ", is gone",
                  (int)t->records[k].source_part, t->records[k].source_offset);
        if (t->records[k].edge_us)
            trace_hop(t, 1, t->records[k].edge_us, "edge", NULL, "frame read");
        record_told(t, &t->records[k]);
    }
}

/* ---- output ---- */

static void since_text(int64_t us, char out[24])
{
    if (us < -999)
        snprintf(out, 24, "%.1f ms", (double)us / 1000);
    else if (us < 10000)
        snprintf(out, 24, "+%.1f ms", (double)(us < 0 ? 0 : us) / 1000);
    else if (us < 10000000)
        snprintf(out, 24, "+%.0f ms", (double)us / 1000);
    else
        snprintf(out, 24, "+%.0f s", (double)us / 1000000);
}

static void head_json(struct trace *t, char id[ID_HEX], char conv[ID_HEX])
{
    char trace_id[2 * CODEC_TRACE + 1] = "";
    if (t->has_trace)
        hex_encode(trace_id, t->trace_id, CODEC_TRACE);
    ctl_put(json_pack("{ss ss ss sI sI ss ss sI sI sI ss}", "hop", "message", "msg_id", id, "sender",
                      trace_name(t, t->user), "device", (json_int_t)t->device, "client_seq",
                      (json_int_t)t->client_seq, "conversation", t->has_conv ? conv : "", "peer",
                      t->group ? "" : trace_name(t, t->peer), "seq", (json_int_t)t->seq, "body_bytes",
                      (json_int_t)t->body_bytes, "key_id", (json_int_t)t->key_id, "trace", trace_id));
}

static void head_text(struct trace *t, const char *id, const char *conv)
{
    printf("message %s\n  number %" PRIu64 " of %s/%" PRIu32, id, t->client_seq, trace_name(t, t->user),
           t->device);
    if (t->group)
        printf(", in the group %s", conv);
    else if (t->has_conv)
        printf(", to %s in %s", trace_name(t, t->peer), conv);
    if (t->seq)
        printf(", where it is number %" PRIu64, t->seq);
    printf("; %zu bytes%s\n", t->body_bytes, t->key_id ? " sealed" : "");
}

/* Since the hop before on the way; what came of a record: since that record. */
static int64_t since(const struct trace *t, size_t i)
{
    for (size_t k = i; k-- > 0;)
        if (t->hops[k].us && t->hops[k].depth == 1)
            return t->hops[i].us - t->hops[k].us;
    return 0;
}

static void line(const struct trace *t, size_t i)
{
    const struct trace_hop *h = &t->hops[i];
    char when[32] = "", after[24] = "";
    bool last = i + 1 == t->n_hops || t->hops[i + 1].depth < h->depth;
    if (h->us) {
        when_text(h->us / 1000, when);
        since_text(since(t, i), after);
    }
    printf("%s%s %-24s %-12.12s %9s  %s\n", h->depth > 1 ? "│  " : "", last ? "└─" : "├─", h->title,
           *when ? when + 11 : "", after, h->text);
}

void trace_show(struct trace *t)
{
    char id[ID_HEX], conv[ID_HEX], when[32];
    int64_t first = 0;
    id_hex(t->msg_id, id);
    id_hex(t->conv, conv);
    for (size_t i = 0; i < t->n_hops && !first; i++)
        first = t->hops[i].us;
    if (t->c->json)
        head_json(t, id, conv);
    else
        head_text(t, id, conv);
    for (size_t i = 0; i < t->n_hops; i++) {
        struct trace_hop *h = &t->hops[i];
        if (!t->c->json) {
            line(t, i);
            continue;
        }
        when_text(h->us / 1000, when);
        char *word = strndup(h->title, strcspn(h->title, "/@"));
        json_object_set_new(h->json, "hop", json_string(word ? word : ""));
        free(word);
        if (h->us) {
            json_object_set_new(h->json, "time", json_string(when));
            json_object_set_new(h->json, "since_first_us", json_integer(h->us - first));
            json_object_set_new(h->json, "since_hop_us", json_integer(since(t, i)));
        }
        json_object_set_new(h->json, "text", json_string(h->text));
        ctl_put(json_incref(h->json));
    }
    if (t->n_left_out)
        ctl_say(t->c, "%zu more lines are left out", t->n_left_out);
}
