/* sender_int.h: what sender.c (attempts) and sender_dead.c (what is given up) share. */
#ifndef PARLEY_WEBHOOKS_SENDER_INT_H
#define PARLEY_WEBHOOKS_SENDER_INT_H

#include "common/base/bytes.h"
#include "common/base/metrics.h"
#include "webhooks/core.h"
#include "webhooks/sender.h"

#include <sys/queue.h>

struct item {
    TAILQ_ENTRY(item) entry;
    struct delivery d;
    struct post post;
    struct sender *s; /* NULL: gone, only Kafka still has to answer */
    struct ksend *k;  /* of the shell; NULL: answered */
    struct hook_item event;
    struct bytes redacted; /* instead of event.json, when it was said by somebody who is erased */
    struct id16 conv;
    int64_t begun_us;
    long status; /* of the last answer */
    struct ksend to_dead;
    bool burying, buried; /* refused for good; given to Kafka */
};
TAILQ_HEAD(items, item);

struct sender {
    struct sender_conf conf;
    struct outbox *outbox;
    struct poster *poster;
    struct sign sign;
    bool off; /* paused */
    struct items items;
    struct timer due, bury_again;
    struct loop_job pump;
    struct metric *paused, *delivered, *failed, *refused, *dead, *waiting, *circuit, *seconds;
};

void sender_soon(struct sender *); /* looks what may be tried, at the end of this turn */
/* The item has left the outbox: answers the shell, frees it now or with Kafka's report. */
void sender_end(struct item *, enum sent);
void sender_item_free(struct item *);

/* sender_dead.c: a delivery that was refused for good goes to im.dlq, then leaves the outbox. */
void sender_bury(struct item *);
void sender_bury_again(struct timer *); /* those that Kafka did not take yet */

#endif
