#include "client/parleyctl/webhooks_word.h"

#define WAIT_MS 15000

struct reading {
    const struct endpoints *all;
    struct word *words;
};

static enum scan_go take(void *ctx, const struct record *r)
{
    struct reading *g = ctx;
    Im__WebhookRecord *w = NULL;
    if (!r->value.p || codec_webhook(NULL, r->value, &w))
        return SCAN_ON;
    const struct endpoint *e = endpoints_find(g->all, w->name);
    if (e)
        g->words[e - g->all->v] = (struct word){w->begin, w->paused};
    im__webhook_record__free_unpacked(w, NULL);
    return SCAN_ON;
}

int words_read(struct ctl *c, struct scan *s, const struct endpoints *all, struct word *words)
{
    struct scan_range range = {.topic = T_WEBHOOK};
    struct reading g = {all, words};
    (void)c;
    memset(words, 0, all->n * sizeof *words);
    if (scan_ends(s, T_WEBHOOK, 0, &range.from, &range.to) || scan_read(s, &range, 1, NULL, take, &g))
        return CTL_FAILED;
    return CTL_OK;
}

static void reported(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    if (m->err)
        ctl_complain("not written: %s", rd_kafka_err2str(m->err));
    else
        *(bool *)opaque = true;
}

int word_write(struct ctl *c, const char *name, const struct word *word, const char *by)
{
    static const char *const defaults[] = {"enable.idempotence", "true", NULL};
    Im__WebhookRecord w = IM__WEBHOOK_RECORD__INIT;
    uint8_t value[256];
    char why[256] = "no memory";
    bool done = false;
    w.version = CODEC_VERSION;
    w.name = (char *)(uintptr_t)name;
    w.begin = word->begin;
    w.paused = word->paused;
    w.by = (char *)(uintptr_t)by;
    int n = codec_pack_into(&w.base, value, sizeof value);
    rd_kafka_conf_t *conf = n < 0 ? NULL : kconf_build(&c->deploy.kafka, defaults);
    if (conf) {
        rd_kafka_conf_set_dr_msg_cb(conf, reported);
        rd_kafka_conf_set_opaque(conf, &done);
    }
    rd_kafka_t *rk = conf ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why) : NULL;
    if (!rk) {
        ctl_complain("cannot make a Kafka client: %s", why);
        return CTL_FAILED;
    }
    rd_kafka_resp_err_t err = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topics_name(c->deploy.topics, T_WEBHOOK)), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_KEY(name, strlen(name)), RD_KAFKA_V_VALUE(value, (size_t)n),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (err)
        ctl_complain("not written: %s", rd_kafka_err2str(err));
    else if (rd_kafka_flush(rk, c->timeout_ms > 0 ? c->timeout_ms : WAIT_MS))
        ctl_complain("not written in time");
    rd_kafka_destroy(rk);
    return done ? CTL_OK : CTL_FAILED;
}
