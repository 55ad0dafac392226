/* worker.h: a process that is a core on a shell with Redis: what router, fanout and offline do alike at start and stop.
 *
 * Topics are waited for, then the views caught up with, then the shell is started. Loop thread only. */
#ifndef PARLEY_IM_WORKER_H
#define PARLEY_IM_WORKER_H

#include "common/base/krebuild.h"
#include "common/im/bodyview.h"
#include "common/im/follow.h"

struct kv;

#define WORKER_OUTPUTS 8

struct worker_conf {  /* borrowed as long as the worker lives */
    const char *name; /* "router" */
    enum topic_group group;
    const uint16_t *inputs;
    size_t n_inputs;
    const uint16_t *outputs; /* besides the delivery topics and im.dlq */
    size_t n_outputs;
    const struct core_ops *ops;
    /* The body keys, too; secrets NULL: only who was erased is known. */
    bool bodies;
    const struct secrets *secrets;
    void *shared;                 /* core_open.shared; NULL: the lease view */
    unsigned follow;              /* FOLLOW_PRESENCE, besides the leases */
    struct krebuild_decl rebuild; /* topics, builder, done, ctx; the rest is filled in */
    /* Instead of `rebuild`, as in shell_decl; all three or none. */
    void (*recover)(void *ctx, struct shell_recovery *, const struct shell_gap *);
    void (*recover_room)(void *ctx, struct shell_recovery *);
    void (*recover_cancel)(void *ctx, struct shell_recovery *);
    void (*started)(void *ctx);              /* the views have caught up, the shell is next; may be NULL */
    void (*opened)(void *ctx, int32_t part); /* as in shell_decl; may be NULL */
    void (*closed)(void *ctx, int32_t part); /* likewise */
    void (*lease_changed)(void *ctx);        /* may be NULL */
    void *ctx;
    uint32_t batch_records, batches, put_ms; /* as in shell_decl; 0: its defaults */
};

struct worker {
    const struct worker_conf *conf;
    struct daemon_run *run;
    struct deploy deploy;
    struct follow views;
    struct bodyview *bodies; /* when asked for; NULL until topics are there */
    struct shell *shell;     /* NULL until the views have caught up */
    /* private */
    int waiting; /* views that have not caught up */
    struct kv *kv;
    struct store *store;
    struct shell_decl decl;
    struct krebuild_decl rebuild;
    uint16_t outputs[TOPICS_SLOTS_MAX + WORKER_OUTPUTS];
    char store_prefix[80];
};

/* 0 or negative errno, having logged why. `settings` is the core's. */
int MUST_CHECK worker_init(struct worker *, struct daemon_run *, const struct worker_conf *,
                           const struct deploy_settings *, const void *settings);
void worker_drain(struct worker *); /* ends with daemon_drained() */
void worker_release(struct worker *);

#endif
