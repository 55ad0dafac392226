#include "common/base/kconf.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    const char *client = rk ? rd_kafka_name(rk) : "";
    if (level <= 3)
        log_error("kafka client", log_str("client", client), log_str("what", fac), log_str("text", text));
    else if (level == 4)
        log_warn("kafka client", log_str("client", client), log_str("what", fac), log_str("text", text));
    else
        log_debug("kafka client", log_str("client", client), log_str("what", fac), log_str("text", text));
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, bool optional)
{
    char why[256];
    rd_kafka_conf_res_t rc = rd_kafka_conf_set(conf, name, value, why, sizeof why);
    if (rc == RD_KAFKA_CONF_OK)
        return true;
    if (rc == RD_KAFKA_CONF_UNKNOWN && optional) {
        log_warn("kafka property is unknown to this librdkafka, ignored", log_str("property", name));
        return true;
    }
    log_error("kafka property refused", log_str("property", name), log_str("why", why));
    return false;
}

static bool set_json(rd_kafka_conf_t *conf, const char *name, const json_t *v)
{
    char num[64];
    switch (json_typeof(v)) {
    case JSON_STRING:
        return set(conf, name, json_string_value(v), true);
    case JSON_TRUE:
        return set(conf, name, "true", true);
    case JSON_FALSE:
        return set(conf, name, "false", true);
    case JSON_INTEGER:
        snprintf(num, sizeof num, "%lld", (long long)json_integer_value(v));
        return set(conf, name, num, true);
    case JSON_REAL:
        snprintf(num, sizeof num, "%g", json_real_value(v));
        return set(conf, name, num, true);
    default:
        log_error("kafka property is not a plain value", log_str("property", name));
        return false;
    }
}

/* A producer's property given to a consumer is only useless, and librdkafka says so by itself. */
rd_kafka_conf_t *kconf_build(const struct kconf *kc, const char *const *defaults)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool ok = set(conf, "bootstrap.servers", kc->bootstrap, false) &&
              set(conf, "client.id", kc->client_id ? kc->client_id : "parley", false) &&
              set(conf, "socket.nagle.disable", "true", false) &&
              set(conf, "message.max.bytes", KCONF_RECORD_MAX, false) &&
              set(conf, "reconnect.backoff.ms", "50", false) &&
              set(conf, "reconnect.backoff.max.ms", "1000", false) &&
              set(conf, "log.connection.close", "false", false);
    for (; ok && defaults && defaults[0]; defaults += 2)
        ok = set(conf, defaults[0], defaults[1], false);
    const char *name;
    json_t *v;
    if (ok && kc->properties)
        json_object_foreach((json_t *)kc->properties, name, v)
        {
            if (!(ok = set_json(conf, name, v)))
                break;
        }
    if (!ok) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
}

int32_t kconf_part_of(const void *key, size_t n, int32_t partitions)
{
    return rd_kafka_msg_partitioner_murmur2(NULL, key, n, partitions, NULL, NULL);
}

int kconf_errno(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return -EEXIST;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return -ENOENT;
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
        return -ESTALE;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__FENCED:
        return -EPIPE;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return -EMSGSIZE;
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
        return -EBUSY;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
        return -EINVAL;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return -EACCES;
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        return -ERANGE;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR__DESTROY:
        return -EAGAIN;
    default:
        return -EIO;
    }
}
