/* shell_env.c: what partitions ask of the shell. */
#include "common/base/shell_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int env_send(void *ctx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                    struct ksend *k)
{
    struct shell *s = ctx;
    if (topic == SHELL_ELSEWHERE)
        return s->decl.deliver ? s->decl.deliver(s->decl.ctx, key, value, k) : -EINVAL;
    return s->producer ? kproducer_send_ref(s->producer, topic, part, key, value, k) : -EPIPE;
}

static void on_commit(void *ctx, int rc)
{
    struct commit_token *t = ctx;
    if (t->p) {
        t->p->commit_token = NULL;
        spart_committed(t->p, rc, t->next);
    }
    free(t);
}

static int env_commit(void *ctx, struct spart *p, const int64_t *next)
{
    struct shell *s = ctx;
    struct kpart parts[STORE_TOPICS];
    size_t n = 0;
    for (size_t i = 0; i < s->decl.n_inputs; i++)
        if (next[i] >= 0)
            parts[n++] = (struct kpart){s->decl.inputs[i], p->part, next[i]};
    struct commit_token *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->p = p;
    memcpy(t->next, next, s->decl.n_inputs * sizeof *next);
    int rc = s->consumer ? kconsumer_commit(s->consumer, parts, n, on_commit, t) : -ENOENT;
    if (rc < 0)
        free(t);
    else
        p->commit_token = t;
    return rc;
}

static void env_start(void *ctx, struct spart *p, const int64_t *next)
{
    struct shell *s = ctx;
    for (size_t i = 0; s->consumer && i < s->decl.n_inputs; i++)
        (void)kconsumer_start(s->consumer, s->decl.inputs[i], p->part, next[i]); /* revoked: we hear of it */
}

static void env_stop(void *ctx, struct spart *p)
{
    struct shell *s = ctx;
    for (size_t i = 0; s->consumer && i < s->decl.n_inputs; i++)
        kconsumer_halt(s->consumer, s->decl.inputs[i], p->part);
}

static void env_pause(void *ctx, struct spart *p, bool paused)
{
    struct shell *s = ctx;
    for (size_t i = 0; s->consumer && i < s->decl.n_inputs; i++)
        (paused ? kconsumer_pause : kconsumer_resume)(s->consumer, s->decl.inputs[i], p->part);
}

static void env_changed(void *ctx, struct spart *p)
{
    (void)p;
    ((struct shell *)ctx)->changed = true;
}

static void env_low(void *ctx, struct spart *p, int64_t *next)
{
    struct shell *s = ctx;
    for (size_t i = 0; i < s->decl.n_inputs; i++)
        next[i] = s->consumer ? kconsumer_low(s->consumer, s->decl.inputs[i], p->part) : -1;
}

struct spart_env shell_env(struct shell *s)
{
    return (struct spart_env){s,        s->loop,   env_send,    env_commit, env_start,
                              env_stop, env_pause, env_changed, env_low};
}
