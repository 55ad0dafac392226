/* tail.c: what goes through a topic, as it comes. */
#include "client/parleyctl/bodies.h"
#include "client/parleyctl/ctl.h"
#include "client/parleyctl/decode.h"
#include "client/parleyctl/pbjson.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_MS 10000

static struct {
    const char *from;
    int64_t count; /* 0: no end */
    bool until_end, open;
} asked;

static volatile sig_atomic_t interrupted;

static void on_signal(int n)
{
    (void)n;
    interrupted = 1;
}

/* "inbound", "deliver.3", "im.inbound" or the whole name with its prefix. */
static int find(const struct ctl *c, const char *name)
{
    char full[400];
    const char *prefix = topics_prefix(c->deploy.topics);
    static const char *const before[] = {"", "%", "%im."};
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        snprintf(full, sizeof full, "%s%s%s", i ? prefix : "", i == 2 ? "im." : "", name);
        int t = topics_find(c->deploy.topics, full);
        if (t >= 0)
            return t;
    }
    return -ENOENT;
}

static int64_t start_at(void)
{
    char *end;
    if (!asked.from || !strcmp(asked.from, "end"))
        return RD_KAFKA_OFFSET_END;
    if (!strcmp(asked.from, "beginning"))
        return RD_KAFKA_OFFSET_BEGINNING;
    long long v = strtoll(asked.from, &end, 10);
    return *end || end == asked.from || v < 0 ? -1000000 : v;
}

static rd_kafka_t *consumer(struct ctl *c, const struct topic *t, int64_t from)
{
    static const char *const defaults[] = {"enable.auto.commit",
                                           "false",
                                           "enable.partition.eof",
                                           "true",
                                           "auto.offset.reset",
                                           "earliest",
                                           "group.id",
                                           "parleyctl-tail",
                                           "fetch.wait.max.ms",
                                           "50",
                                           NULL};
    char why[256] = "";
    rd_kafka_conf_t *conf = kconf_build(&c->deploy.kafka, defaults);
    rd_kafka_t *rk = conf ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why) : NULL;
    if (!rk) {
        ctl_complain("cannot make a Kafka client: %s", why);
        return NULL;
    }
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(t->parts);
    for (int32_t p = 0; p < t->parts; p++)
        rd_kafka_topic_partition_list_add(list, t->name, p)->offset = from;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return rk;
}

static struct bodies bodies; /* with --open */

/* A body that is sealed as it was said, where its key is there. */
static void open_body(json_t *value, const rd_kafka_message_t *m)
{
    struct convrec r;
    struct convrec_body body;
    json_t *j = json_object_get(value, "body");
    if (!j || !json_object_get(j, "sealed") || convrec_decode((struct slice){m->payload, m->len}, 0, &r))
        return;
    uint8_t *room = malloc(r.body.sealed.n + 1);
    enum bodykeys_rc rc = room ? bodykeys_open(bodies.keys, &r, room, &body) : BODY_LATER;
    if (rc == BODY_OK || rc == BODY_ERASED) {
        json_object_del(j, "sealed");
        if (rc == BODY_ERASED)
            json_object_set_new(j, "erased", json_true());
        if (rc == BODY_OK && body.text.n)
            json_object_set_new(j, "text", json_stringn(body.text.p, body.text.n));
        if (rc == BODY_OK && body.content_type.n)
            json_object_set_new(j, "content_type", json_stringn(body.content_type.p, body.content_type.n));
        if (rc == BODY_OK && body.data.n)
            json_object_set_new(j, "data", pbjson_hex(body.data.p, body.data.n));
    }
    free(room);
}

static void show(const struct ctl *c, uint16_t topic, const rd_kafka_message_t *m)
{
    char when[40], what[200];
    int64_t ms = rd_kafka_message_timestamp(m, NULL);
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when + n, sizeof when - n, ".%03dZ", (int)(ms % 1000));
    const char *name = rd_kafka_topic_name(m->rkt);
    json_t *key = decode_key(topic, (struct slice){m->key, m->key_len});
    json_t *value = decode_value(topic, (struct slice){m->payload, m->len});
    if (bodies.keys && topic == T_CONVERSATION)
        open_body(value, m);
    if (c->json) {
        ctl_put(json_pack("{ss si sI ss so so}", "topic", name, "partition", (int)m->partition, "offset",
                          (json_int_t)m->offset, "time", when, "key", key, "value", value));
    } else {
        decode_summary(value, what, sizeof what);
        printf("%s/%" PRId32 "@%" PRId64 " %.12s %s\n    ", name, m->partition, m->offset, when + 11, what);
        json_dumpf(value, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(key);
        json_decref(value);
    }
    fflush(stdout);
}

/* True: enough was seen. */
static bool handle(struct ctl *c, uint16_t topic, const rd_kafka_message_t *m, int32_t *at_end, int *rc)
{
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return ++*at_end >= topics_get(c->deploy.topics, topic)->parts && asked.until_end;
    if (m->err) {
        ctl_complain("%s", rd_kafka_message_errstr(m));
        *rc = CTL_FAILED;
        return m->err != RD_KAFKA_RESP_ERR__TRANSPORT && m->err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    }
    show(c, topic, m);
    return ferror(stdout) || (asked.count > 0 && --asked.count == 0);
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct sigaction sa = {.sa_handler = on_signal};
    int64_t from = start_at();
    int32_t at_end = 0, parts = 0;
    if (argc != 2 || from == -1000000)
        return ctl_usage("tail TOPIC [--from beginning|end|OFFSET] [--count N] [--until-end] [--json]");
    int rc = ctl_kafka(c);
    if (rc)
        return rc;
    int topic = find(c, argv[1]);
    if (topic < 0) {
        ctl_complain("there is no topic %s; parleyctl topics list shows them", argv[1]);
        return CTL_USAGE;
    }
    const struct topic *t = topics_get(c->deploy.topics, (uint16_t)topic);
    if (ctl_partitions(c, t, &parts)) {
        ctl_complain("%s does not exist; run: parleyctl topics create", t->name);
        return CTL_FAILED;
    }
    if (asked.open && bodies_load(&bodies, c))
        return CTL_FAILED;
    rd_kafka_t *rk = consumer(c, t, from);
    if (!rk)
        return CTL_FAILED;
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    for (bool enough = false; !enough && !interrupted;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 200);
        if (m)
            enough = handle(c, (uint16_t)topic, m, &at_end, &rc);
        if (m)
            rd_kafka_message_destroy(m);
    }
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    bodies_release(&bodies);
    return rc;
}

static int take(int option, const char *arg)
{
    switch (option) {
    case CTL_OWN:
        asked.from = arg;
        return 0;
    case CTL_OWN + 1:
        asked.until_end = true;
        return 0;
    case CTL_OWN + 3:
        asked.open = true;
        return 0;
    default:
        return ctl_number(arg, "--count", 1, &asked.count);
    }
}

static const struct option options[] = {{"from", required_argument, NULL, CTL_OWN},
                                        {"until-end", no_argument, NULL, CTL_OWN + 1},
                                        {"count", required_argument, NULL, CTL_OWN + 2},
                                        {"open", no_argument, NULL, CTL_OWN + 3},
                                        {0}};

const struct ctl_command ctl_tail = {
    .name = "tail",
    .about = "records of a topic as text or JSON; verifiers are never shown",
    .help = "Examples\n"
            "  parleyctl tail inbound                what clients send, as it comes\n"
            "  parleyctl tail conversation --from beginning --until-end --json | jq .value\n"
            "  parleyctl tail deliver.0 --count 10\n"
            "\n"
            "Options\n"
            "  --from WHERE   beginning, end (default) or an offset\n"
            "  --count N      end after N records\n"
            "  --until-end    end when all is shown\n"
            "  --open         conversation: bodies as they were said; needs the master key,\n"
            "                 and knows the keys that there are when it begins\n",
    .options = options,
    .take = take,
    .run = run,
};
