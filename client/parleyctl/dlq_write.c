#include "client/parleyctl/dlq.h"

#include "common/im/codec.h"

#include <stdlib.h>
#include <string.h>

#define FLUSH_MS 25000 /* longer than message.timeout.ms */

struct dlq_writer {
    rd_kafka_t *rk;
};

static void reported(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct dlq_sent *s = m->_private;
    (void)rk, (void)opaque;
    s->offset = m->err ? -1 : m->offset;
    if (m->err)
        snprintf(s->error, sizeof s->error, "%s", rd_kafka_err2str(m->err));
}

struct dlq_writer *dlq_writer_new(struct ctl *c)
{
    static const char *const defaults[] = {
        "enable.idempotence", "true", "message.timeout.ms", "20000", "linger.ms", "0", NULL};
    char why[256] = "";
    struct dlq_writer *w = calloc(1, sizeof *w);
    rd_kafka_conf_t *conf = w ? kconf_build(&c->deploy.kafka, defaults) : NULL;
    if (conf) {
        rd_kafka_conf_set(conf, "message.max.bytes", KCONF_BATCH_MAX, NULL,
                          0); /* as it was, whoever wrote it */
        rd_kafka_conf_set_dr_msg_cb(conf, reported);
        w->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    }
    if (conf && !w->rk) {
        rd_kafka_conf_destroy(conf);
        ctl_complain("cannot make a Kafka client: %s", why);
    }
    if (w && !w->rk) {
        free(w);
        w = NULL;
    }
    return w;
}

void dlq_writer_free(struct dlq_writer *w)
{
    if (!w)
        return;
    rd_kafka_destroy(w->rk);
    free(w);
}

void dlq_write(struct dlq_writer *w, const char *topic, int32_t part, struct slice key, struct slice value,
               struct dlq_sent *s)
{
    *s = (struct dlq_sent){.offset = -1};
    rd_kafka_resp_err_t err =
        rd_kafka_producev(w->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(part),
                          RD_KAFKA_V_KEY(key.n ? (void *)(uintptr_t)key.p : NULL, key.n),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(s), RD_KAFKA_V_END);
    if (err)
        snprintf(s->error, sizeof s->error, "%s", rd_kafka_err2str(err));
}

void dlq_mark(struct dlq_writer *w, struct dlq *d, const struct dlq_entry *e, struct slice key,
              Im__DlqMark mark, const uint8_t *run, int64_t retried, struct dlq_sent *s)
{
    Im__DlqRecord m = IM__DLQ_RECORD__INIT;
    m.version = CODEC_VERSION;
    m.topic = e->topic;
    m.part = e->part;
    m.offset = e->offset;
    m.key = codec_bytes(key);
    m.process = "parleyctl";
    m.instance = d->c->deploy.instance;
    m.mark = mark;
    if (run)
        m.run = codec_bytes((struct slice){run, DLQ_RUN});
    m.retried = retried;
    size_t n = im__dlq_record__get_packed_size(&m);
    uint8_t *v = malloc(n);
    if (!v)
        abort();
    im__dlq_record__pack(&m, v);
    dlq_write(w, topics_name(d->c->deploy.topics, T_DLQ), e->dlq_part, key, (struct slice){v, n}, s);
    free(v);
}

void dlq_flush(struct dlq_writer *w)
{
    rd_kafka_flush(w->rk, FLUSH_MS);
}
