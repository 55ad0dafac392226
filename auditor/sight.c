#include "auditor/sight.h"

#include "common/base/arena_protobuf.h"
#include "common/im/presence.h"
#include "common/im/topics.h"

#include <errno.h>
#include <stdlib.h>

static int budget(const struct record *r)
{
    return (int)(1 << 20) + (int)(16 * r->value.n);
}

static void show(const struct sight_env *env, struct books_sight *s, ProtobufCBinaryData conv)
{
    s->conv = codec_id(conv);
    books_sight(env->books, topics_partition(env->topics, T_CONVERSATION, slice_id(&s->conv)), s);
}

static struct books_sight sight_of(const struct sight_env *env, const struct record *r,
                                   ProtobufCBinaryData trace)
{
    return (struct books_sight){.topic = topics_name(env->topics, r->topic),
                                .part = r->part,
                                .offset = r->offset,
                                .time_ms = r->time_ms,
                                .offline = r->topic == T_OFFLINE,
                                .trace = codec_slice(trace)};
}

static struct id16 *room(const struct sight_env *env, size_t n)
{
    struct id16 *ids = arena_alloc(env->arena, (n ? n : 1) * sizeof *ids);
    if (!ids)
        abort();
    return ids;
}

/* By their handles. */
static void look_up(const struct sight_env *env, struct books_sight *s, uint32_t slot, uint64_t epoch,
                    const uint32_t *handles, size_t n)
{
    struct id16 *ids = room(env, n);
    for (size_t i = 0; i < n; i++) {
        const struct session *who =
            env->presence ? presence_find(env->presence, slot, epoch, handles[i]) : NULL;
        if (!who && env->presence)
            who = presence_ended(env->presence, slot, epoch, handles[i]);
        if (who && !id_is_zero(who->user))
            ids[s->n_users++] = who->user;
        else
            s->nameless = true;
    }
    s->users = ids;
}

static void read_push(const struct sight_env *env, struct books_sight *s, ProtobufCBinaryData payload)
{
    struct arena_protobuf pb;
    ProtobufCAllocator *a = arena_protobuf_allocator(&pb, env->arena, (1 << 20) + 16 * payload.len);
    const Im__ChatPush *p = payload.len ? im__chat_push__unpack(a, payload.len, payload.data) : NULL;
    if (!p || p->msg_id.len != ID_SIZE || p->sender.len != ID_SIZE)
        return;
    s->has_ids = true;
    s->msg_id = codec_id(p->msg_id);
    s->sender = codec_id(p->sender);
    s->has_body = !p->erased;
    if (s->has_body)
        books_hash((struct slice){p->text, strlen(p->text)},
                   (struct slice){p->content_type, strlen(p->content_type)}, codec_slice(p->data), s->body);
}

static void read_item(const struct sight_env *env, const struct record *r, const Im__DeliverRecord *d,
                      const Im__DeliverItem *i)
{
    struct books_sight s = sight_of(env, r, i->trace);
    if ((i->kind != IM__ITEM_KIND__ITEM_MESSAGE && i->kind != IM__ITEM_KIND__ITEM_POINTED) || i->all ||
        i->conversation.len != ID_SIZE)
        return;
    s.seq = i->seq;
    if (i->users.len == i->n_handles * ID_SIZE && i->n_handles) {
        struct id16 *ids = room(env, i->n_handles);
        memcpy(ids, i->users.data, i->users.len);
        s.users = ids;
        s.n_users = i->n_handles;
    } else {
        look_up(env, &s, (uint32_t)(r->topic - T_DELIVER0), d->epoch, i->handles, i->n_handles);
    }
    if (i->frame_type == IM__FRAME_TYPE__CHAT_PUSH)
        read_push(env, &s, i->payload);
    show(env, &s, i->conversation);
}

static int read_deliver(const struct sight_env *env, const struct record *r)
{
    struct arena_protobuf pb;
    Im__DeliverRecord *d;
    int rc = codec_deliver(arena_protobuf_allocator(&pb, env->arena, (size_t)budget(r)), r->value, &d);
    for (size_t i = 0; !rc && i < d->n_items; i++)
        read_item(env, r, d, d->items[i]);
    return rc;
}

static void queued(const struct sight_env *env, struct books_sight s, const struct id16 *user,
                   const Im__QueueItem *q)
{
    if (!q || q->conversation.len != ID_SIZE)
        return;
    s.seq = q->seq;
    s.users = user;
    s.n_users = 1;
    read_push(env, &s, q->payload);
    show(env, &s, q->conversation);
}

static int read_offline(const struct sight_env *env, const struct record *r)
{
    struct arena_protobuf pb;
    Im__OfflineRecord *o;
    int rc = codec_offline(arena_protobuf_allocator(&pb, env->arena, (size_t)budget(r)), r->value, &o);
    if (rc)
        return rc;
    struct books_sight s = sight_of(env, r, o->trace);
    struct id16 user = codec_id(o->user);
    if (o->body_case == IM__OFFLINE_RECORD__BODY_ITEM) {
        queued(env, s, &user, o->item->item);
    } else if (o->body_case == IM__OFFLINE_RECORD__BODY_BOUNCE) {
        for (size_t i = 0; i < o->bounce->n_items; i++)
            queued(env, s, &user, o->bounce->items[i]);
    } else if (o->body_case == IM__OFFLINE_RECORD__BODY_GROUP) {
        const Im__OffGroup *g = o->group;
        s.seq = g->seq;
        if (g->n_handles) {
            look_up(env, &s, g->slot, g->epoch, g->handles, g->n_handles);
        } else {
            struct id16 *ids = room(env, g->users.len / ID_SIZE);
            memcpy(ids, g->users.data, g->users.len / ID_SIZE * ID_SIZE);
            s.users = ids;
            s.n_users = g->users.len / ID_SIZE;
        }
        if (g->conversation.len == ID_SIZE)
            show(env, &s, g->conversation);
    }
    return 0;
}

int sight_record(const struct sight_env *env, const struct record *r)
{
    arena_reset(env->arena);
    return r->topic == T_OFFLINE ? read_offline(env, r) : read_deliver(env, r);
}
