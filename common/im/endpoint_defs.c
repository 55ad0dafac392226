/* endpoint_defs.c: the settings of webhooks. */
#include "common/im/endpoint.h"

#define S struct webhook_settings

const struct conf_def webhook_defs[WEBHOOK_DEFS] = {
    CONF_JSON("webhooks.endpoints", S, endpoints, "[]",
              "Who is told: [{\"name\", \"url\", \"secret_file\", \"events\", \"conversations\"}]; see "
              "docs/webhooks.md.",
              .check = endpoints_check, .flags = CONF_SENSITIVE),
    CONF_INT("webhooks.parallel", S, parallel, "16", 1, 1024,
             "Conversations of which an endpoint gets an event at the same time."),
    CONF_MS("webhooks.connect_timeout", S, connect_ms, "5s", 10, 600000, "To connect to an endpoint."),
    CONF_MS("webhooks.timeout", S, timeout_ms, "15s", 10, 600000, "For an endpoint to answer, all in all."),
    CONF_MS("webhooks.retry", S, retry_ms, "1s", 10, 3600000,
            "After a failure; doubles with each further one, half of it random."),
    CONF_MS("webhooks.retry_max", S, retry_max_ms, "5m", 10, 86400000, "It does not grow beyond this."),
    CONF_INT("webhooks.refusals", S, refusals, "8", 1, 1000,
             "So many refusals (neither 2xx nor 408, 429, 5xx) and an event goes to im.dlq."),
    CONF_INT("webhooks.failures", S, failures, "10", 1, 1000000,
             "So many attempts in a row without a success and an endpoint gets nothing but a probe now and "
             "then."),
    CONF_MS("webhooks.probe", S, open_ms, "5s", 10, 3600000,
            "Until the first probe; doubles with each that fails."),
    CONF_MS("webhooks.probe_max", S, open_max_ms, "5m", 10, 86400000, "It does not grow beyond this."),
    CONF_MS("webhooks.pause_max", S, wait_max_ms, "1h", 10, 86400000,
            "The longest pause that an endpoint can ask for with Retry-After."),
    CONF_SIZE("webhooks.cache", S, cache_bytes, "16MiB", 1 << 20, 1LL << 36,
              "Conversations kept in memory, per endpoint and partition; further ones are read from Redis."),
    CONF_BOOL("webhooks.private_addresses", S, private_addresses, "false",
              "Endpoints may be at loopback, private and other addresses that are not public."),
    CONF_BOOL("webhooks.plain_http", S, plain_http, "false", "Endpoints may be http://, without TLS."),
    CONF_STR("webhooks.ca_file", S, ca_file, NULL,
             "Certificates that endpoints' certificates are checked against; unset: the system's."),
    CONF_STR("webhooks.proxy", S, proxy, NULL, "An HTTP proxy that leads to endpoints; unset: none.",
             .flags = CONF_SENSITIVE),
};
