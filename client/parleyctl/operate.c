#include "client/parleyctl/operate.h"

#include "common/im/codec.h"

#include <string.h>
#include <time.h>

#define WAIT_MS 15000
#define POLL_MS 100

struct work {
    struct ctl *c;
    const struct topic *inbound, *user;
    int32_t part; /* of both: their partitions go together */
    struct id16 id;
    int64_t offset; /* of the record, once it is in the log; -1 */
    int64_t until_ms;
    rd_kafka_t *reader;
};

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int left_ms(const struct work *w)
{
    int64_t left = w->until_ms - clock_ms();
    return left > 0 ? (int)left : 0;
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256] = "";
    rd_kafka_t *rk = conf ? rd_kafka_new(type, conf, why, sizeof why) : NULL;
    if (!rk && conf)
        rd_kafka_conf_destroy(conf);
    if (!rk)
        ctl_complain("cannot make a Kafka client: %s", why);
    return rk;
}

/* From the end that im.user has now: what is awaited comes after it. */
static int watch(struct work *w)
{
    static const char *const defaults[] = {"enable.auto.commit", "false", "group.id", "parleyctl-user",
                                           "fetch.wait.max.ms",  "50",    NULL};
    int64_t low = 0, high = 0;
    w->reader = client(RD_KAFKA_CONSUMER, kconf_build(&w->c->deploy.kafka, defaults));
    if (!w->reader)
        return CTL_FAILED;
    rd_kafka_poll_set_consumer(w->reader);
    rd_kafka_resp_err_t err =
        rd_kafka_query_watermark_offsets(w->reader, w->user->name, w->part, &low, &high, left_ms(w));
    if (err) {
        ctl_complain("cannot read %s: %s", w->user->name, rd_kafka_err2str(err));
        return CTL_FAILED;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, w->user->name, w->part)->offset = high;
    rd_kafka_assign(w->reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    return CTL_OK;
}

static void reported(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct work *w = opaque;
    (void)rk;
    if (m->err)
        ctl_complain("not written: %s", rd_kafka_err2str(m->err));
    else
        w->offset = m->offset;
}

static int put(struct work *w, struct slice value)
{
    static const char *const defaults[] = {"enable.idempotence", "true", NULL};
    rd_kafka_conf_t *conf = kconf_build(&w->c->deploy.kafka, defaults);
    if (conf) {
        rd_kafka_conf_set_dr_msg_cb(conf, reported);
        rd_kafka_conf_set_opaque(conf, w);
    }
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, conf);
    if (!rk)
        return CTL_FAILED;
    rd_kafka_resp_err_t err = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(w->inbound->name), RD_KAFKA_V_PARTITION(w->part),
        RD_KAFKA_V_KEY(w->id.b, ID_SIZE), RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (err)
        ctl_complain("not written: %s", rd_kafka_err2str(err));
    else if (rd_kafka_flush(rk, left_ms(w)))
        ctl_complain("not written in time; it may be still. The same command again does no harm");
    rd_kafka_destroy(rk);
    return w->offset >= 0 ? CTL_OK : CTL_FAILED;
}

static bool is_it(const struct work *w, const rd_kafka_message_t *m, Im__UserKind done)
{
    Im__UserRecord *u = NULL;
    if (m->err || codec_user(NULL, (struct slice){m->payload, m->len}, &u))
        return false;
    bool yes = u->kind == done && u->source_part == w->part && u->source_offset == w->offset &&
               id_eq(codec_id(u->user), w->id);
    im__user_record__free_unpacked(u, NULL);
    return yes;
}

static int await(struct work *w, const char *login, Im__UserKind done)
{
    while (left_ms(w) > 0) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(w->reader, POLL_MS);
        bool yes = m && is_it(w, m, done);
        if (m)
            rd_kafka_message_destroy(m);
        if (yes)
            return CTL_OK;
    }
    ctl_complain(
        "%s: no router did it within %d s. Is there such an account (or device)? Is a router running?\n"
        "  When one comes, it is done if it can be",
        login, (w->c->timeout_ms > 0 ? w->c->timeout_ms : WAIT_MS) / 1000);
    return CTL_FAILED;
}

int operate(struct ctl *c, const char *login, Im__Inbound *m, Im__UserKind done)
{
    struct work w = {.c = c, .offset = -1};
    Im__Session s = IM__SESSION__INIT;
    uint8_t value[256];
    char normal[LOGIN_MAX + 1];
    if (login_normalise(login, strlen(login), normal)) {
        ctl_complain("\"%s\" is not a login name", login);
        return CTL_USAGE;
    }
    int rc = c->admin ? 0 : ctl_kafka(c);
    if (rc)
        return rc;
    w.until_ms = clock_ms() + (c->timeout_ms > 0 ? c->timeout_ms : WAIT_MS);
    w.inbound = topics_get(c->deploy.topics, T_INBOUND);
    w.user = topics_get(c->deploy.topics, T_USER);
    w.id = id_user(normal);
    w.part = topics_partition(c->deploy.topics, T_INBOUND, slice_id(&w.id));
    s.slot = UINT32_MAX;
    m->version = CODEC_VERSION;
    m->session = &s;
    int n = codec_pack_into(&m->base, value, sizeof value);
    rc = n < 0 ? CTL_FAILED : watch(&w);
    if (!rc)
        rc = put(&w, slice_of(value, (size_t)n));
    if (!rc)
        rc = await(&w, login, done);
    if (w.reader) {
        rd_kafka_consumer_close(w.reader);
        rd_kafka_destroy(w.reader);
    }
    return rc;
}
