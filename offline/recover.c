#include "offline/recover.h"

#include "common/im/topics.h"
#include "offline/rebuild.h"

enum { READ_USER, READ_CURSOR, LOOK_OFFLINE, TOPICS };

static void *begin(void *ctx, int32_t part, uint32_t slice, uint32_t slices, const struct krebuild_ends *ends)
{
    (void)ctx;
    (void)part;
    return offline_rebuild_new(slice, slices, ends->low[LOOK_OFFLINE] > 0);
}

static int feed(void *builder, const struct record *rec)
{
    return offline_rebuild_feed(builder, rec);
}

static bool next_row(void *builder, uint8_t *table, struct slice *key, struct slice *row)
{
    return offline_rebuild_row(builder, table, key, row);
}

static void end(void *builder)
{
    offline_rebuild_free(builder);
}

/* Inputs are im.offline and im.cursor. */
static void done(void *ctx, struct shell_recovery *shell, const struct krebuild_ends *ends)
{
    const int64_t next[] = {ends->low[LOOK_OFFLINE], ends->high[READ_CURSOR]};
    const int64_t quiet[] = {ends->committed[0], ends->committed[1]};
    (void)ctx;
    shell_recovery_done(shell, next, quiet);
}

struct krebuild_decl offline_recover_decl(void)
{
    static const uint16_t topics[TOPICS] = {
        [READ_USER] = T_USER, [READ_CURSOR] = T_CURSOR, [LOOK_OFFLINE] = T_OFFLINE};
    return (struct krebuild_decl){.topics = topics,
                                  .n_read = LOOK_OFFLINE,
                                  .n = TOPICS,
                                  .begin = begin,
                                  .feed = feed,
                                  .row = next_row,
                                  .end = end,
                                  .done = done};
}
