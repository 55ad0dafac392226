#include "router/recover.h"

#include "router/core.h"
#include "router/rebuild.h"

#include <stdlib.h>

struct builder {
    struct recover *recover;
    struct rebuild *rows;
    bool has_sessions;
};

static bool sessions_known(void *ctx)
{
    struct recover *r = ctx;
    if (!r->following) {
        r->following = true;
        if (follow_init(&r->sessions, r->worker->run, &r->worker->deploy, FOLLOW_PRESENCE, NULL, NULL, r)) {
            daemon_fail(r->worker->run);
            return false;
        }
    }
    return follow_ready(&r->sessions);
}

static void *begin(void *ctx, int32_t part, uint32_t slice, uint32_t slices, const struct krebuild_ends *ends)
{
    struct builder *b = calloc(1, sizeof *b);
    struct rebuild *rows = rebuild_new(slice, slices, ends->committed[0]);
    (void)part;
    if (!b || !rows) {
        rebuild_free(rows);
        free(b);
        return NULL;
    }
    *b = (struct builder){.recover = ctx, .rows = rows};
    b->recover->builders++;
    return b;
}

static int feed(void *builder, const struct record *rec)
{
    return rebuild_feed(((struct builder *)builder)->rows, rec);
}

static bool next_row(void *builder, uint8_t *table, struct slice *key, struct slice *row)
{
    struct builder *b = builder;
    if (!b->has_sessions)
        rebuild_sessions(b->rows, b->recover->sessions.presence, b->recover->worker->views.lease);
    b->has_sessions = true;
    *table = ROUTER_ACCOUNT;
    return rebuild_row(b->rows, key, row);
}

static void end(void *builder)
{
    struct builder *b = builder;
    b->recover->builders--;
    rebuild_free(b->rows);
    free(b);
}

static void done(void *ctx, struct shell_recovery *shell, const struct krebuild_ends *ends)
{
    struct recover *r = ctx;
    if (r->builders == 0)
        recover_release(r);
    shell_recovery_done(shell, ends->committed, ends->committed);
}

struct krebuild_decl recover_decl(struct recover *r)
{
    static const uint16_t topics[] = {T_USER, T_VAULT};
    return (struct krebuild_decl){.topics = topics,
                                  .n_read = 2,
                                  .n = 2,
                                  .ctx = r,
                                  .ready = sessions_known,
                                  .begin = begin,
                                  .feed = feed,
                                  .row = next_row,
                                  .end = end,
                                  .done = done};
}

void recover_release(struct recover *r)
{
    follow_release(&r->sessions);
    r->following = false;
}
