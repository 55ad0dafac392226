/* slot.c: the way to a slot; slot_hold.c has what happens with one. */
#include "edge/slot.h"

#include "common/base/log.h"
#include "common/im/codec.h"
#include "edge/slot_int.h"

#include <errno.h>
#include <stdlib.h>

#define JOIN_MS     3000
#define JOIN_MAX_MS 15000
#define AGAIN_MS    1000
#define PATIENCE_MS 5000 /* then a claimed slot whose group is empty will do */
#define ASK_MS      3000

static void pick(struct slot *);

void slot_after(struct slot *s, int64_t ms)
{
    loop_timer_start(s->loop, &s->timer, ms);
}

static void pick_again(struct slot *s, int64_t ms, const char *why)
{
    s->state = SLOT_PICK;
    ready_wait(s->ready, "slot", why);
    slot_after(s, ms);
}

/* ---- records of im.lease ---- */
bool slot_say(struct slot *s, Im__LeaseKind kind)
{
    Im__LeaseRecord m = IM__LEASE_RECORD__INIT;
    uint8_t key[KEY_LEASE], value[512];
    m.version = CODEC_VERSION;
    m.kind = kind;
    m.slot = s->slot;
    m.epoch = s->epoch > 0 && kind != IM__LEASE_KIND__LEASE_WANT ? (uint64_t)s->epoch : 0;
    if (kind == IM__LEASE_KIND__LEASE_CLAIM)
        m.epoch = 0; /* it is this record's offset */
    m.holder = (char *)(uintptr_t)s->deploy->instance;
    m.address = (char *)(uintptr_t)s->address;
    key_lease(s->slot, kind, key);
    int n = codec_pack_into(&m.base, value, sizeof value);
    if (n < 0)
        return false;
    int rc = kproducer_send(s->producer, T_LEASE, 0, slice_of(key, sizeof key), slice_of(value, (size_t)n),
                            &s->send);
    s->sending = rc == 0;
    return rc == 0;
}

static void join(struct slot *s)
{
    s->input = topic_of_slot(s->slot);
    struct kconsumer_conf k = {
        .kafka = s->deploy->kafka,
        .group = topics_group(s->deploy->topics, GROUP_SLOT0 + s->slot),
        .topics = s->deploy->ktopics,
        .n_topics = s->deploy->n_ktopics,
        .inputs = &s->input,
        .n_inputs = 1,
        .fetch_wait_ms = 20,
        .turn_max = 256,
        .ctx = s,
        .ops = slot_consumer_ops,
    };
    s->consumer = kconsumer_new(s->loop, &k);
    if (!s->consumer) {
        pick_again(s, AGAIN_MS, "the slot's group cannot be joined");
        return;
    }
    s->state = SLOT_JOIN;
    slot_after(s, s->join_ms);
}

static void on_said(struct ksend *send, const struct kreport *r)
{
    struct slot *s = container_of(send, struct slot, send);
    s->sending = false;
    switch (s->state) {
    case SLOT_WANT:
        if (r->outcome == SENT_OK)
            join(s);
        else
            pick_again(s, AGAIN_MS, "im.lease cannot be written");
        break;
    case SLOT_CLAIM:
        if (r->outcome == SENT_OK)
            slot_claimed(s, r->offset);
        else
            slot_leave(s, "the claim could not be written");
        break;
    case SLOT_RELEASE:
        slot_released(s);
        break;
    default:
        break; /* the slot was lost while a record was on its way */
    }
}

/* ---- choosing ---- */
static bool has_edge(const struct kgroup *g)
{
    for (size_t i = 0; i < g->n_members && i < KGROUP_MEMBERS; i++)
        if (strncmp(g->client_ids[i], "parley-edge", 11) == 0)
            return true;
    return false;
}

/* 0: no; 1: free; 2: its holder has left the group, but nobody said so yet. */
static int fit(const struct slot *s, uint32_t slot, const struct kgroup *g)
{
    uint64_t epoch;
    if (g->err || has_edge(g))
        return 0;
    if (!lease_claimed(s->lease, slot, &epoch) ||
        strcmp(lease_get(s->lease, slot)->holder, s->deploy->instance) == 0)
        return 1;
    return g->n_members == 0 ? 2 : 0;
}

static void choose(struct slot *s, const struct kgroup *groups, uint32_t n)
{
    bool patient = loop_now_ms(s->loop) - s->since_ms < PATIENCE_MS;
    uint32_t seen = 0, best = 0;
    for (int want = 1; want <= (patient ? 1 : 2) && !seen; want++)
        for (uint32_t i = 0; i < n; i++)
            if (fit(s, i, &groups[i]) == want && rng_below(&s->rng, ++seen) == 0)
                best = i;
    if (!seen) {
        pick_again(s, AGAIN_MS, "every slot is held by another edge");
        return;
    }
    s->slot = best;
    s->epoch = 0;
    s->state = SLOT_WANT;
    if (!slot_say(s, IM__LEASE_KIND__LEASE_WANT))
        pick_again(s, AGAIN_MS, "im.lease cannot be written");
}

static void on_groups(void *ctx, int err, const struct kgroup *groups, size_t n)
{
    struct slot *s = ctx;
    if (s->state != SLOT_PICK)
        return;
    if (err)
        pick_again(s, AGAIN_MS, "Kafka does not answer about the slots' groups");
    else
        choose(s, groups, (uint32_t)n);
}

static void pick(struct slot *s)
{
    const char *names[TOPICS_SLOTS_MAX];
    uint32_t n = topics_slots(s->deploy->topics);
    n = n < TOPICS_SLOTS_MAX ? n : TOPICS_SLOTS_MAX;
    for (uint32_t i = 0; i < n; i++)
        names[i] = topics_group(s->deploy->topics, GROUP_SLOT0 + i);
    if (s->sending || kgroups_describe(s->groups, names, n, on_groups, s))
        slot_after(s, AGAIN_MS);
}

void slot_start_over(struct slot *s, int64_t after_ms)
{
    s->since_ms = loop_now_ms(s->loop);
    s->to_commit = -1;
    s->committing = s->commit_again = s->paused = false;
    pick_again(s, after_ms, "looking for a free one");
}

static void on_timer(struct timer *t)
{
    struct slot *s = container_of(t, struct slot, timer);
    switch (s->state) {
    case SLOT_PICK:
        pick(s);
        break;
    case SLOT_JOIN:
        s->join_ms = s->join_ms * 2 > JOIN_MAX_MS ? JOIN_MAX_MS : s->join_ms * 2;
        slot_leave(s, "not assigned in time");
        break;
    case SLOT_REJOIN:
        slot_lost(s, "the partition did not come back after a rebalance");
        break;
    case SLOT_LEAVE:
        slot_close_overdue(s);
        break;
    case SLOT_RELEASE:
        slot_release_step(s);
        break;
    default:
        break;
    }
}

/* ---- the view ---- */
static void on_lease(void *ctx, const struct record *r)
{
    struct slot *s = ctx;
    if (lease_feed(s->lease, r->key, r->value, r->offset))
        log_warn("a record of im.lease cannot be read", log_int("offset", r->offset));
    if (s->state != SLOT_HELD && s->state != SLOT_REJOIN)
        return;
    const struct lease_slot *l = lease_get(s->lease, s->slot);
    if (l->claim > s->epoch)
        slot_lost(s, "another edge claimed it");
    else if (l->ended >= s->epoch)
        slot_lost(s, "our claim was ended");
}

static void on_caught_up(void *ctx)
{
    struct slot *s = ctx;
    if (s->state == SLOT_VIEW)
        slot_start_over(s, 1);
}

static void on_view_error(void *ctx, bool fatal, const char *reason)
{
    struct slot *s = ctx;
    if (fatal)
        s->ops->fatal(s->ctx, reason);
}

int slot_init(struct slot *s, struct loop *loop, struct ready *ready, const struct deploy *deploy,
              struct kproducer *producer, const char *address, const struct slot_ops *ops, void *ctx)
{
    *s = (struct slot){.loop = loop,
                       .ready = ready,
                       .deploy = deploy,
                       .address = address,
                       .producer = producer,
                       .ops = ops,
                       .ctx = ctx,
                       .state = SLOT_VIEW,
                       .to_commit = -1,
                       .join_ms = JOIN_MS,
                       .rng = {rand_u64()},
                       .send = {on_said}};
    timer_init(&s->timer, on_timer);
    timer_init(&s->commit_timer, slot_commit_timer);
    ready_wait(ready, "slot", "reading im.lease");
    struct kview_conf v = {.kafka = deploy->kafka,
                           .topic = T_LEASE,
                           .name = topics_name(deploy->topics, T_LEASE),
                           .partitions = topics_get(deploy->topics, T_LEASE)->parts,
                           .ctx = s,
                           .message = on_lease,
                           .caught_up = on_caught_up,
                           .error = on_view_error};
    s->lease = lease_new(topics_slots(deploy->topics));
    s->groups = kgroups_new(loop, &deploy->kafka, NULL, ASK_MS);
    int rc = s->lease && s->groups ? 0 : -ENOMEM;
    if (rc == 0 && !(s->view = kview_new(loop, &v)))
        rc = -ENOMEM;
    if (rc)
        slot_release(s);
    return rc;
}

void slot_release(struct slot *s)
{
    if (!s->loop)
        return;
    loop_timer_stop(s->loop, &s->timer);
    loop_timer_stop(s->loop, &s->commit_timer);
    loop_cancel(s->loop, &s->closing);
    s->state = SLOT_OFF;
    kconsumer_free(s->consumer);
    kview_free(s->view);
    kgroups_free(s->groups);
    lease_free(s->lease);
    s->consumer = NULL;
    s->view = NULL;
    s->groups = NULL;
    s->lease = NULL;
}
