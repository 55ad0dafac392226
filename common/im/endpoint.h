/* endpoint.h: the webhook endpoints of a deployment, as its settings name them (webhooks.endpoints).
 *
 *     [{"name": "crm", "url": "https://crm.example/hooks/parley", "secret_file": "crm.secret",
 *       "events": ["message", "edit", "recall"], "conversations": ["9f…"]}]
 *
 * name: letters, digits, `-` and `_`, at most 32; it is part of the consumer group's name. events, conversations: only
 * these; left out: all. An endpoint's position is that of the group endpoint_group(): im.webhook says which `begin` is
 * the present one. Pure, any thread. */
#ifndef PARLEY_IM_ENDPOINT_H
#define PARLEY_IM_ENDPOINT_H

#include "common/base/conf.h"
#include "common/im/codec.h"

#define ENDPOINTS_MAX 16

struct endpoint {
    char name[WEBHOOK_NAME_MAX + 1];
    char *url;
    char *secret_file; /* a path that can be opened from the working folder */
    uint64_t kinds;    /* bit k: events of Im__ConvKind k */
    struct id16 *convs;
    size_t n_convs; /* 0: all */
};
/* Everything in the section "webhooks"; also for tools, which want to know the endpoints. */
struct webhook_settings {
    struct conf_json endpoints;
    int64_t parallel, connect_ms, timeout_ms, retry_ms, retry_max_ms, refusals, failures, open_ms,
        open_max_ms, wait_max_ms, cache_bytes;
    bool private_addresses, plain_http;
    const char *ca_file, *proxy;
};
#define WEBHOOK_DEFS 16
extern const struct conf_def webhook_defs[WEBHOOK_DEFS];

struct endpoints { /* zeroed: none */
    struct endpoint v[ENDPOINTS_MAX];
    size_t n;
};

/* For conf_def.check: 0, or -EINVAL and what was expected. */
int endpoints_check(const char *json, char *why, size_t why_n);
/* From a checked setting; .text NULL: none. 0, -EINVAL with the reason in `why`, -ENOMEM. */
int endpoints_read(struct endpoints *, const struct conf_json *, char *why, size_t why_n);
void endpoints_release(struct endpoints *);
const struct endpoint *endpoints_find(const struct endpoints *, const char *name); /* NULL: none */

bool endpoint_wants(const struct endpoint *, uint32_t kind, struct id16 conv);
/* "message" for CONV_MESSAGE, "group_join" for CONV_GROUP_JOIN; NULL: no such kind. */
const char *endpoint_event(uint32_t kind, char out[40]);

/* The consumer group that has the position: `group` is that of GROUP_WEBHOOKS. */
#define ENDPOINT_GROUP_MAX 160
const char *endpoint_group(const char *group, const char *name, uint32_t begin, char out[ENDPOINT_GROUP_MAX]);

#endif
