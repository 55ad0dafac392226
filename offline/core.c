#include "offline/core.h"

#include "common/base/arena_protobuf.h"
#include "offline/state.h"

#include <errno.h>
#include <stdlib.h>

#define UNPACK_BUDGET (16 << 20)

static void free_row(struct row *r)
{
    switch (row_table(r)) {
    case OFFLINE_USER:
        user_free((struct user *)r);
        break;
    case OFFLINE_QUEUE:
        queue_free((struct queue *)r);
        break;
    case OFFLINE_CURSORS:
        cursors_free((struct cursors *)r);
        break;
    default:
        free(r);
    }
}

static void core_close(void *ctx)
{
    struct offline *o = ctx;
    rowcache_release(&o->rows);
    rowcache_release(&o->items);
    deliver_free(o->out);
    arena_free(o->arena);
    bytes_release(&o->scratch);
    free(o->dirty);
    free(o->told);
    free(o);
}

static void *core_open(const struct core_open *open)
{
    struct offline *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->settings = open->settings;
    o->lease = open->shared;
    o->arena = arena_new(0);
    o->out = deliver_new(lease_slots(o->lease));
    rowcache_init(&o->rows, (size_t)o->settings->cache_bytes, free_row);
    rowcache_init(&o->items, (size_t)o->settings->cache_bytes / 4, free_row);
    if (!o->arena || !o->out) {
        core_close(o);
        return NULL;
    }
    return o;
}

int decode_offline(struct offline *o, const struct record *rec, struct offrec *out)
{
    struct arena_protobuf pb;
    Im__OfflineRecord *m;
    arena_reset(o->arena);
    int rc = codec_offline(arena_protobuf_allocator(&pb, o->arena, UNPACK_BUDGET), rec->value, &m);
    if (rc)
        return rc;
    *out = (struct offrec){.rec = rec, .m = m, .user = codec_id(m->user), .trace = codec_slice(m->trace)};
    return id_is_zero(out->user) && m->body_case != IM__OFFLINE_RECORD__BODY_GROUP ? -EBADMSG : 0;
}

int decode_cursor(struct offline *o, const struct record *rec, Im__CursorRecord **out)
{
    struct arena_protobuf pb;
    arena_reset(o->arena);
    return codec_cursor(arena_protobuf_allocator(&pb, o->arena, UNPACK_BUDGET), rec->value, out);
}

static enum core_rc core_plan(void *ctx, const struct record *rec, struct want *want)
{
    return plan_record(ctx, rec, want);
}

static void core_load(void *ctx, uint8_t table, struct slice key, struct slice row)
{
    rows_load(ctx, table, key, row);
}

static enum core_rc step_offline(struct offline *o, const struct record *rec, struct fx *fx)
{
    static offline_verb *const verbs[] = {
        [IM__OFFLINE_RECORD__BODY_LOGIN] = off_login, [IM__OFFLINE_RECORD__BODY_END] = off_end,
        [IM__OFFLINE_RECORD__BODY_ITEM] = off_item,   [IM__OFFLINE_RECORD__BODY_BOUNCE] = off_bounce,
        [IM__OFFLINE_RECORD__BODY_PULL] = off_pull,   [IM__OFFLINE_RECORD__BODY_GROUP] = off_group,
    };
    struct offrec r;
    if (decode_offline(o, rec, &r))
        return CORE_POISON;
    size_t kind = r.m->body_case;
    if (kind >= sizeof verbs / sizeof *verbs || !verbs[kind])
        return CORE_POISON;
    return verbs[kind](o, &r, fx);
}

static enum core_rc core_step(void *ctx, const struct record *rec, int64_t now_ms, struct fx *fx)
{
    struct offline *o = ctx;
    (void)now_ms;
    if (o->broken)
        return CORE_STOP;
    enum core_rc rc = rec->topic == T_CURSOR ? off_cursor(o, rec, fx) : step_offline(o, rec, fx);
    return o->broken ? CORE_STOP : rc;
}

static void core_end(void *ctx, int64_t now_ms, struct fx *fx)
{
    struct offline *o = ctx;
    (void)now_ms;
    rows_flush(o, fx);
    deliver_flush(o->out, fx);
    rowcache_turn(&o->rows);
    rowcache_turn(&o->items);
    o->page_bytes = o->page_sent = 0;
}

const struct core_ops offline_core = {
    .open = core_open,
    .plan = core_plan,
    .load = core_load,
    .step = core_step,
    .end = core_end,
    .close = core_close,
};
