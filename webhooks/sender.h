/* sender.h: gives an endpoint what waits for it (outbox.h) by POST (post.h), and answers the shell.
 *
 * 2xx is success. No answer, 5xx and 408 are tried again for as long as it takes, 429 after the pause it asks for.
 * Anything else, redirects too, is refused: after so many refusals the event goes to im.dlq and the conversation moves
 * on. A delivery is answered SENT_OK when the endpoint, or im.dlq, has it. Loop thread. */
#ifndef PARLEY_WEBHOOKS_SENDER_H
#define PARLEY_WEBHOOKS_SENDER_H

#include "common/base/kproducer.h"
#include "common/im/endpoint.h"
#include "webhooks/outbox.h"
#include "webhooks/post.h"
#include "webhooks/sign.h"

struct sender;

struct sender_conf { /* all borrowed */
    struct loop *loop;
    const struct endpoint *endpoint;
    struct outbox_conf outbox;
    struct poster_conf poster;
    struct kproducer *dead;  /* for im.dlq */
    struct bodykeys *bodies; /* who was erased since the event was read; NULL: nobody */
    const char *instance;
};

struct sender *sender_new(const struct sender_conf *,
                          const struct sign *); /* sign is copied. NULL: no memory */
/* Answers all that it still has (SENT_UNKNOWN); before the producer is freed. */
void sender_free(struct sender *);
void sender_sign(struct sender *, const struct sign *); /* from now on, with these secrets */

/* While it is on nothing is tried; what is under way ends. */
void sender_pause(struct sender *, bool on);

/* shell_decl.deliver; the value is a struct hook_item (core.h), the key its conversation. */
/* -ENOMEM: not taken. */
int sender_deliver(struct sender *, struct slice key, struct slice value, struct ksend *);
/* The partition is not ours any more: what is not done of it is answered SENT_UNKNOWN at once. */
void sender_drop(struct sender *, int32_t part);

#endif
