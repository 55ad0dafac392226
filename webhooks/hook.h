/* hook.h: an endpoint's life: a shell with its own consumer group, store and sender, from its beginning on. While it is
 * paused they stay, so that the position does not expire; nothing is sent.
 *
 * The group, and the store's name, are of one `begin` of the endpoint (endpoint_group()): a replay is another begin, at
 * the offsets that were committed for it beforehand. Then no mark is there, so cells are made again
 * (restore.h) without telling anything, up to those offsets. Endpoints share nothing but the log: one that is slow
 * or gone holds back nobody else. Loop thread. */
#ifndef PARLEY_WEBHOOKS_HOOK_H
#define PARLEY_WEBHOOKS_HOOK_H

#include "common/base/shell.h"
#include "common/im/deploy.h"
#include "common/im/endpoint.h"
#include "webhooks/core.h"
#include "webhooks/sender.h"

struct kv;

struct hook_env { /* what all have in common; borrowed */
    struct daemon_run *run;
    const struct deploy *deploy;
    const struct webhook_settings *settings;
    struct kv *kv;
    struct store *store;
    const char *store_prefix;
    struct kproducer *dead;
    struct bodykeys *bodies;
};

struct hook { /* zeroed: nothing */
    const struct hook_env *env;
    const struct endpoint *endpoint;
    struct sign sign;
    struct hook_settings core;
    uint32_t begin; /* what the operator said; 0: nothing yet */
    bool paused;
    /* private */
    uint32_t running; /* the begin that the shell is of; 0: none */
    struct shell *shell;
    struct sender *sender;
    bool stopping;
    void (*ended)(void *ctx);
    void *ctx;
    char name[48], group[ENDPOINT_GROUP_MAX], store[64];
};

/* Reads its secrets. 0, or negative errno having logged why. */
int hook_init(struct hook *, const struct hook_env *, const struct endpoint *);
void hook_reload(struct hook *); /* secrets anew; what cannot be read leaves the old ones */
/* begin or paused changed: starts, stops or starts over. */
void hook_follow(struct hook *);
/* Stops for good; ended(ctx) once, perhaps at once. */
void hook_end(struct hook *, void (*ended)(void *ctx), void *ctx);
/* Before the producer, the kv and the store are freed. */
void hook_release(struct hook *);

#endif
