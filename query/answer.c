#include "query/answer.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/dead.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_KBYTES (64 << 10)
#define RECORD_MAX (1900 << 10)

METRIC_COUNTER(lost, "parley_query_answers_lost_total", "Answers and pushes that could not be sent.");

struct answers {
    struct daemon_run *run;
    const struct deploy *deploy;
    struct kproducer *producer;
    void (*writable)(void *ctx);
    void *ctx;
};

static void on_fatal(void *ctx, int code, const char *reason)
{
    struct answers *a = ctx;
    (void)code;
    log_error("the producer is dead", log_str("why", reason));
    daemon_fail(a->run);
}

static void on_writable(void *ctx)
{
    struct answers *a = ctx;
    a->writable(a->ctx);
}

struct answers *answers_new(struct daemon_run *run, const struct deploy *d, void (*writable)(void *ctx),
                            void *ctx)
{
    struct answers *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    *a = (struct answers){.run = run, .deploy = d, .writable = writable, .ctx = ctx};
    const struct kproducer_conf conf = {
        .kafka = d->kafka,
        .topics = d->ktopics,
        .n_topics = d->n_ktopics,
        .max_kbytes = MAX_KBYTES,
        .ctx = a,
        .writable = on_writable,
        .fatal = on_fatal,
    };
    a->producer = kproducer_new(run->loop, &conf);
    if (!a->producer) {
        free(a);
        return NULL;
    }
    return a;
}

void answers_free(struct answers *a)
{
    if (!a)
        return;
    kproducer_free(a->producer, 1000);
    free(a);
}

bool answers_ready(const struct answers *a)
{
    return kproducer_ready(a->producer);
}

bool answer_encode(struct answer *a, const struct session *to, Im__ItemKind kind, uint16_t frame_type,
                   uint32_t seq_id, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *payload = malloc(n + 1);
    if (!payload)
        return false;
    protobuf_c_message_pack(m, payload);
    Im__DeliverItem item = IM__DELIVER_ITEM__INIT, *items = &item;
    Im__DeliverRecord r = IM__DELIVER_RECORD__INIT;
    uint32_t handle = to->handle, device = to->device;
    uint64_t login = to->login_offset;
    item.kind = kind;
    item.frame_type = frame_type;
    item.seq_id = seq_id;
    item.payload = (ProtobufCBinaryData){n, payload};
    item.n_handles = item.n_devices = item.n_logins = 1;
    item.handles = &handle;
    item.devices = &device;
    item.logins = &login;
    item.users = (ProtobufCBinaryData){ID_SIZE, (uint8_t *)(uintptr_t)to->user.b};
    r.version = CODEC_VERSION;
    r.epoch = to->epoch;
    r.n_items = 1;
    r.items = &items;
    a->slot = to->slot;
    a->n = im__deliver_record__get_packed_size(&r);
    a->value = a->n <= RECORD_MAX ? malloc(a->n) : NULL;
    if (a->value)
        im__deliver_record__pack(&r, a->value);
    free(payload);
    return a->value;
}

void answer_release(struct answer *a)
{
    free(a->value);
    a->value = NULL;
}

static void on_report(struct ksend *s, const struct kreport *k)
{
    struct answer *a = container_of(s, struct answer, send);
    answer_release(a);
    metric_add(&lost, k->outcome == SENT_FAILED);
    a->done(a, k->outcome == SENT_OK);
}

int answer_send(struct answers *all, struct answer *a)
{
    a->send.done = on_report;
    if (a->slot >= topics_slots(all->deploy->topics))
        return -EINVAL;
    return kproducer_send_ref(all->producer, topic_of_slot(a->slot), 0, (struct slice){NULL, 0},
                              slice_of(a->value, a->n), &a->send);
}

void answer_push(struct answers *all, const struct session *to, uint16_t frame_type,
                 const ProtobufCMessage *m)
{
    struct answer a = {0};
    bool ok = to->slot < topics_slots(all->deploy->topics) &&
              answer_encode(&a, to, IM__ITEM_KIND__ITEM_EVENT, frame_type, 0, m) &&
              kproducer_send(all->producer, topic_of_slot(to->slot), 0, (struct slice){NULL, 0},
                             slice_of(a.value, a.n), NULL) == 0;
    metric_add(&lost, !ok);
    answer_release(&a);
}

int answer_dead(struct answers *all, const struct record *rec, const char *why, struct answer *a)
{
    struct dead d;
    dead_fill(&d, rec, topics_name(all->deploy->topics, rec->topic), all->deploy->process,
              all->deploy->instance, why);
    a->n = im__dlq_record__get_packed_size(&d.r);
    a->value = malloc(a->n);
    if (!a->value)
        return -ENOMEM;
    im__dlq_record__pack(&d.r, a->value);
    a->send.done = on_report;
    int rc =
        kproducer_send_ref(all->producer, T_DLQ, FX_BY_KEY, rec->key, slice_of(a->value, a->n), &a->send);
    if (rc)
        answer_release(a);
    return rc;
}
