/* core.h: what an endpoint is to be told: one core per endpoint and partition of im.conversation.
 *
 * The reducer is run as everywhere; what it accepts and numbers and the endpoint wants goes to SHELL_ELSEWHERE, in the
 * order of the log, packed as struct hook_item, key: the conversation. Repeats, refusals and notes go nowhere. Rows:
 * H_CELL, the reducer's cells. The shell moves its mark only over what the endpoint has taken, so a mark is both: how
 * far the endpoint is, and the state to go on from. */
#ifndef PARLEY_WEBHOOKS_CORE_H
#define PARLEY_WEBHOOKS_CORE_H

#include "common/base/core.h"
#include "common/im/endpoint.h"
#include "webhooks/event.h"

enum hook_table { H_CELL = 1 };

struct hook_settings {
    const struct endpoint *endpoint;
    int64_t cache_bytes; /* conversations kept between batches, per partition */
};

/* One input: T_CONVERSATION. `shared` is the struct bodykeys that opens what was said; NULL: told as it is. */
extern const struct core_ops hook_core;

struct hook_item {
    int32_t part; /* where the record is */
    int64_t offset, time_ms;
    uint64_t seq;
    struct id16 user; /* who said it */
    struct event_span body;
    struct slice json;
};
void hook_item_parse(struct slice value, struct hook_item *); /* of a value that the core sent; borrows */

#endif
