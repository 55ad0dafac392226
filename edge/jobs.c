#include "edge/jobs.h"

#include "common/im/codec.h"
#include "common/im/secrets.h"
#include "common/im/validate.h"

#include <stdlib.h>

struct job {
    struct pool_job base;
    const struct secrets *secrets;
    enum edge_job_kind kind;
    uint64_t tag;
    struct id16 user;
    void (*done)(void *ctx, uint64_t tag, bool ok, struct slice sealed);
    void *ctx;
    bool ok;
    size_t password_n, sealed_n;
    char password[PASSWORD_MAX];
    uint8_t sealed[CODEC_VERIFIER_MAX];
};

static void hash(struct job *j)
{
    char text[PASSWORD_HASH_SIZE] = "";
    if (password_hash(j->password, j->password_n, text))
        return;
    int n = secret_seal(j->secrets, j->user, (struct slice){text, strlen(text)}, j->sealed, sizeof j->sealed);
    secret_wipe(text, sizeof text);
    j->ok = n > 0;
    j->sealed_n = n > 0 ? (size_t)n : 0;
}

static void verify(struct job *j)
{
    char text[PASSWORD_HASH_SIZE] = "";
    int n = j->sealed_n ? secret_open(j->secrets, j->user, (struct slice){j->sealed, j->sealed_n},
                                      (uint8_t *)text, sizeof text - 1)
                        : -1;
    if (n > 0)
        text[n] = 0;
    /* No such user, or sealed by a key we do not have: as much work, and no. */
    j->ok = password_verify(n > 0 ? text : NULL, j->password, j->password_n) == 0 && n > 0;
    secret_wipe(text, sizeof text);
}

static void work(struct pool_job *base)
{
    struct job *j = container_of(base, struct job, base);
    if (j->kind == EDGE_JOB_HASH)
        hash(j);
    else
        verify(j);
    secret_wipe(j->password, sizeof j->password);
}

static void done(struct pool_job *base)
{
    struct job *j = container_of(base, struct job, base);
    if (!base->cancelled)
        j->done(j->ctx, j->tag, j->ok, (struct slice){j->sealed, j->kind == EDGE_JOB_HASH ? j->sealed_n : 0});
    secret_wipe(j, sizeof *j);
    free(j);
}

bool jobs_submit(struct pool *pool, const struct secrets *secrets, enum edge_job_kind kind, uint64_t tag,
                 struct id16 user, struct slice password, struct slice sealed,
                 void (*fn)(void *ctx, uint64_t tag, bool ok, struct slice sealed), void *ctx)
{
    if (password.n > PASSWORD_MAX || sealed.n > CODEC_VERIFIER_MAX)
        return false;
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return false;
    *j = (struct job){.base = {.work = work, .done = done},
                      .secrets = secrets,
                      .kind = kind,
                      .tag = tag,
                      .user = user,
                      .done = fn,
                      .ctx = ctx,
                      .password_n = password.n,
                      .sealed_n = sealed.n};
    memcpy(j->password, password.p, password.n);
    if (sealed.n)
        memcpy(j->sealed, sealed.p, sealed.n);
    if (pool_submit(pool, &j->base)) {
        secret_wipe(j, sizeof *j);
        free(j);
        return false;
    }
    return true;
}
