#include "tests/support/conv2log.h"

#include "proto/record.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, ID_SIZE);
}

void conv2log_init(struct conv2log *l, uint64_t seed, enum conv_type type)
{
    *l = (struct conv2log){
        .rng = {seed}, .time_ms = INT64_C(1700000000000), .type = type, .chatty = seed % 10 == 0};
    for (int i = 0; i < C2_USERS; i++) {
        char login[16];
        (void)snprintf(login, sizeof login, "user%d", i);
        l->users[i] = id_user(login);
    }
    qsort(l->users, C2_USERS, sizeof *l->users, by_id);
    l->devices = 1 + (uint32_t)rng_below(&l->rng, rng_below(&l->rng, 3) ? 3 : C2_DEVICES);
    l->cap = 3 + (uint32_t)rng_below(&l->rng, 11);
    l->conv = type == CONV_GROUP    ? id_group(l->users[3], 1, 1)
              : type == CONV_SYSTEM ? id_system()
                                    : id_direct(l->users[3], l->users[rng_below(&l->rng, 6) ? 5 : 3]);
}

static uint64_t pick_number(struct conv2log *l, uint64_t *next)
{
    switch (rng_below(&l->rng, 16)) {
    case 0:
        return *next - rng_below(&l->rng, *next < 8 ? *next + 1 : 8);
    case 1:
        return rng_below(&l->rng, 3) ? ++*next : *next - rng_below(&l->rng, *next < 90 ? *next + 1 : 90);
    case 2:
        *next += rng_below(&l->rng, 4);
        return ++*next;
    case 3:
        return rng_below(&l->rng, 4) ? ++*next : 0;
    default:
        return ++*next;
    }
}

static uint32_t pick_kind(struct conv2log *l)
{
    static const uint8_t talk[] = {IM__CONV_KIND__CONV_MESSAGE, IM__CONV_KIND__CONV_MESSAGE,
                                   IM__CONV_KIND__CONV_MESSAGE, IM__CONV_KIND__CONV_EDIT,
                                   IM__CONV_KIND__CONV_RECALL,  IM__CONV_KIND__CONV_REACT,
                                   IM__CONV_KIND__CONV_PIN,     IM__CONV_KIND__CONV_PIN,
                                   IM__CONV_KIND__CONV_UNPIN,   IM__CONV_KIND__CONV_RECEIPT};
    if (rng_below(&l->rng, 60) == 0)
        return (uint32_t)rng_below(&l->rng, 64);
    if (l->chatty && rng_below(&l->rng, 4))
        return IM__CONV_KIND__CONV_MESSAGE;
    if (l->type == CONV_SYSTEM && rng_below(&l->rng, 3))
        return IM__CONV_KIND__CONV_ANNOUNCEMENT;
    if (rng_below(&l->rng, 5) < 3)
        return talk[rng_below(&l->rng, sizeof talk)];
    if (l->type == CONV_DIRECT) {
        uint32_t kind = IM__CONV_KIND__CONV_FRIEND_REQUEST + (uint32_t)rng_below(&l->rng, 6);
        return l->chatty && rng_below(&l->rng, 4) ? IM__CONV_KIND__CONV_UNBLOCK : kind;
    }
    if (rng_below(&l->rng, 4) == 0) /* else the group would be empty soon */
        return rng_below(&l->rng, 2) ? IM__CONV_KIND__CONV_GROUP_INVITE : IM__CONV_KIND__CONV_GROUP_JOIN;
    uint32_t kind = IM__CONV_KIND__CONV_GROUP_JOIN + (uint32_t)rng_below(&l->rng, 14);
    if (kind == IM__CONV_KIND__CONV_GROUP_DISSOLVE && rng_below(&l->rng, 30))
        kind = IM__CONV_KIND__CONV_GROUP_APPROVE;
    return kind;
}

static void pick_users(struct conv2log *l, struct conv_event *e, struct id16 *named)
{
    size_t n = 0, odds = 2 + rng_below(&l->rng, 12);
    for (int i = 0; i < C2_USERS; i++)
        if (rng_below(&l->rng, odds) == 0)
            named[n++] = l->users[i];
    if (e->kind == IM__CONV_KIND__CONV_GROUP_HAND_OVER && n > 1 && rng_below(&l->rng, 8))
        n = 1;
    e->users = (struct slice){named, n * ID_SIZE};
}

static uint64_t pick_target(struct conv2log *l)
{
    uint64_t back = rng_below(&l->rng, rng_below(&l->rng, 3) ? 12 : rng_below(&l->rng, 3) ? 200 : 2000);
    return l->head + 3 > back ? l->head + 3 - back : 0;
}

/* Who acts most: the two of a direct conversation, the one who made the group. */
static struct id16 pick_user(struct conv2log *l)
{
    if (l->type == CONV_DIRECT)
        return l->users[rng_below(&l->rng, 40) == 0 ? 1 : rng_below(&l->rng, 2) ? 3 : 5];
    return l->users[rng_below(&l->rng, 3) ? rng_below(&l->rng, C2_USERS) : 3 + rng_below(&l->rng, 2)];
}

static size_t index_of(const struct id16 *users, struct id16 id)
{
    size_t i = 0;
    while (!id_eq(users[i], id))
        i++;
    return i;
}

static void first(struct conv2log *l, struct conv_event *e, struct id16 *named)
{
    l->begun = true;
    if (l->type == CONV_GROUP) {
        e->kind = IM__CONV_KIND__CONV_GROUP_CREATE;
        e->user = l->users[3];
        e->device = 1;
        e->client_seq = 1;
        e->settings.group_cap = C2_USERS;
        e->flags = (uint32_t)rng_below(&l->rng, 4);
        pick_users(l, e, named);
    }
}

struct conv_event conv2log_next(struct conv2log *l, struct id16 *named)
{
    struct conv_event e = {.rules = 2, .conv = l->conv, .user = pick_user(l)};
    size_t who = index_of(l->users, e.user);
    e.kind = pick_kind(l);
    e.device = 1 + (uint32_t)rng_below(&l->rng, 1 + rng_below(&l->rng, l->devices));
    e.settings = (struct conv_settings){.strangers_refused = rng_below(&l->rng, 12) == 0,
                                        .admin = rng_below(&l->rng, 2),
                                        .recall_limit_s = (uint32_t)rng_below(&l->rng, 3) * 60,
                                        .group_cap = l->cap};
    if (l->type == CONV_DIRECT) {
        if (who == 3 || who == 5)
            e.peer = l->users[8 - who];
        if (id_eq(l->conv, id_direct(l->users[3], l->users[3])))
            e.peer = e.user;
        if (rng_below(&l->rng, 8) == 0)
            e.peer = rng_below(&l->rng, 4) ? (struct id16){{0}} : l->users[7];
        if (rng_below(&l->rng, 20) == 0)
            e.rules = 1;
    }
    if (rng_below(&l->rng, 100) == 0)
        e.conv.b[3] ^= 1;
    e.reply_to = rng_below(&l->rng, 6) ? 0 : pick_target(l);
    e.target = pick_target(l);
    pick_users(l, &e, named);
    e.role = (uint32_t)rng_below(&l->rng, 12) ? 1 + (uint32_t)rng_below(&l->rng, 2) : 3;
    e.flags = (uint32_t)rng_below(&l->rng, 32);
    e.flags_mask = rng_below(&l->rng, 3) ? 1u << rng_below(&l->rng, 5) : 31;
    e.duration_s = rng_below(&l->rng, 3) ? rng_below(&l->rng, 100) : rng_below(&l->rng, 9) ? 0 : INT64_MAX;
    e.read = rng_below(&l->rng, 2) ? pick_target(l) : 0;
    e.delivered = rng_below(&l->rng, 2) ? pick_target(l) : 0;
    l->time_ms += (int64_t)rng_below(&l->rng, 3000) - 900;
    e.time_ms = l->time_ms;
    bool late = l->begun || rng_below(&l->rng, 10) == 0;
    e.client_seq = e.kind == IM__CONV_KIND__CONV_RECEIPT ? 0 : pick_number(l, &l->next[who][e.device]);
    if (!late)
        first(l, &e, named);
    if (l->next[3][1] == 0)
        l->next[3][1] = 1;
    return e;
}
