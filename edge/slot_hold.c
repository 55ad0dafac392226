/* slot_hold.c: what happens with a slot: assignment, records, commits, loss, giving it back. */
#include "common/base/log.h"
#include "edge/slot_int.h"

#include <errno.h>

#define REJOIN_MS  6000 /* as long as the coordinator waits for us */
#define COMMIT_MS  1000
#define RELEASE_MS 200
#define CLOSE_MS   5000 /* to leave the group */

static struct kpart part_of(const struct slot *s, int64_t offset)
{
    return (struct kpart){s->input, 0, offset};
}

/* ---- leaving ---- */
static void on_closed(void *ctx)
{
    struct slot *s = ctx;
    kconsumer_free(s->consumer);
    s->consumer = NULL;
    if (s->state == SLOT_RELEASE) {
        s->state = SLOT_OFF;
        s->ops->released(s->ctx);
    } else {
        slot_start_over(s, 100 + (int64_t)rng_below(&s->rng, 400));
    }
}

/* Not from inside a callback of the consumer: it may be in the middle of a rebalance. */
static void close_now(struct loop_job *job)
{
    struct slot *s = container_of(job, struct slot, closing);
    if (s->consumer)
        kconsumer_close(s->consumer, on_closed, s);
}

static void slot_close(struct slot *s)
{
    loop_defer(s->loop, &s->closing, close_now);
    if (s->state == SLOT_LEAVE)
        slot_after(s, CLOSE_MS);
}

void slot_close_overdue(struct slot *s)
{
    log_warn("the slot's group was not left in time: going without ceremony", log_uint("slot", s->slot));
    on_closed(s);
}

void slot_leave(struct slot *s, const char *why)
{
    log_info("leaving the slot's group", log_uint("slot", s->slot), log_str("why", why));
    s->state = SLOT_LEAVE;
    loop_timer_stop(s->loop, &s->timer);
    loop_timer_stop(s->loop, &s->commit_timer);
    slot_close(s);
}

void slot_lost(struct slot *s, const char *why)
{
    if (s->state == SLOT_RELEASE) { /* on the way out anyway; nothing more may be committed */
        s->to_commit = -1;
        s->epoch = -1;
        return;
    }
    if (s->state != SLOT_HELD && s->state != SLOT_REJOIN)
        return;
    log_warn("slot lost: all clients are dropped", log_uint("slot", s->slot), log_int("epoch", s->epoch),
             log_str("why", why));
    s->state = SLOT_LEAVE;
    loop_timer_stop(s->loop, &s->timer);
    loop_timer_stop(s->loop, &s->commit_timer);
    ready_wait(s->ready, "slot", why);
    s->ops->lost(s->ctx, why);
    slot_close(s);
}

/* ---- the group ---- */
static const struct kpart *ours(const struct slot *s, const struct kpart *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i].topic == s->input && p[i].part == 0)
            return &p[i];
    return NULL;
}

static void on_assigned(void *ctx, const struct kpart *parts, size_t n)
{
    struct slot *s = ctx;
    const struct kpart *p = ours(s, parts, n);
    if (!p)
        return; /* another member has it; the timer ends our patience */
    if (s->state == SLOT_REJOIN) {
        loop_timer_stop(s->loop, &s->timer);
        s->state = SLOT_HELD;
        s->paused = false;
        ready_ok(s->ready, "slot");
        kconsumer_start(s->consumer, s->input, 0, p->offset); /* what comes twice is known to be old */
        return;
    }
    if (s->state != SLOT_JOIN)
        return;
    loop_timer_stop(s->loop, &s->timer);
    if (p->offset < 0) {
        log_error("the slot's group has no committed position: records may have been skipped; "
                  "run `parleyctl topics check`",
                  log_uint("slot", s->slot));
        slot_leave(s, "no committed position");
        return;
    }
    s->committed = p->offset;
    s->state = SLOT_CLAIM;
    if (!slot_say(s, IM__LEASE_KIND__LEASE_CLAIM))
        slot_leave(s, "the claim could not be written");
}

void slot_claimed(struct slot *s, int64_t epoch)
{
    if (!kconsumer_owned(s->consumer, s->input, 0)) { /* taken away meanwhile: the claim is void */
        slot_leave(s, "reassigned while claiming");
        return;
    }
    if (lease_get(s->lease, s->slot)->claim > epoch) { /* a second claim, of whoever, made this one void */
        slot_leave(s, "claimed again while claiming");
        return;
    }
    s->epoch = epoch;
    s->state = SLOT_HELD;
    s->paused = false;
    s->join_ms = 3000;
    log_info("slot claimed", log_uint("slot", s->slot), log_int("epoch", epoch),
             log_int("position", s->committed));
    ready_ok(s->ready, "slot");
    s->ops->claimed(s->ctx, s->slot, (uint64_t)epoch, s->committed);
    kconsumer_start(s->consumer, s->input, 0, s->committed);
}

static void on_revoked(void *ctx, const struct kpart *parts, size_t n)
{
    struct slot *s = ctx;
    (void)parts;
    (void)n;
    if (s->state == SLOT_HELD) {
        log_info("the slot's group is being rebalanced", log_uint("slot", s->slot));
        s->state = SLOT_REJOIN;
        ready_wait(s->ready, "slot", "the slot's group is being rebalanced");
        slot_after(s, REJOIN_MS);
    } else if (s->state == SLOT_CLAIM) {
        s->state = SLOT_JOIN; /* its report finds us no longer claiming */
        slot_after(s, s->join_ms);
    }
    kconsumer_revoke_done(s->consumer);
}

static void on_lost(void *ctx, const struct kpart *parts, size_t n)
{
    (void)parts;
    (void)n;
    struct slot *s = ctx;
    if (s->state == SLOT_CLAIM)
        slot_leave(s, "lost while claiming");
    else
        slot_lost(s, "the coordinator took it away");
}

static bool on_message(void *ctx, const struct record *r, struct kmsg *m)
{
    struct slot *s = ctx;
    (void)m;
    if (s->state == SLOT_HELD && !s->ops->message(s->ctx, r) && s->consumer && !s->paused) {
        s->paused = true;
        kconsumer_pause(s->consumer, s->input, 0);
    }
    return false;
}

void slot_resume(struct slot *s)
{
    if (!s->paused || s->state != SLOT_HELD)
        return;
    s->paused = false;
    kconsumer_resume(s->consumer, s->input, 0);
}

static void on_error(void *ctx, enum kconsumer_error e, const struct kpart *part, const char *reason)
{
    struct slot *s = ctx;
    if (e == KCONSUMER_FATAL) {
        s->ops->fatal(s->ctx, reason);
    } else if (e == KCONSUMER_OUT_OF_RANGE || (e == KCONSUMER_PARTITION && part)) {
        log_error("the slot cannot be read from its position; records may have been lost to retention",
                  log_uint("slot", s->slot), log_int("position", part ? part->offset : -1),
                  log_str("why", reason));
        slot_lost(s, "its position cannot be read");
    }
}

const struct kconsumer_ops slot_consumer_ops = {.assigned = on_assigned,
                                                .revoked = on_revoked,
                                                .lost = on_lost,
                                                .message = on_message,
                                                .error = on_error};

/* ---- commits ---- */
static void commit_now(struct slot *s);

static void on_committed(void *ctx, int err)
{
    struct slot *s = ctx;
    s->committing = false;
    if (s->state != SLOT_HELD && s->state != SLOT_RELEASE)
        return;
    if (err == -ESTALE) {
        slot_lost(s, "a commit was refused");
        return;
    }
    if (err) {
        loop_timer_start(s->loop, &s->commit_timer, COMMIT_MS);
        return;
    }
    if (s->commit_again) {
        commit_now(s);
        return;
    }
    s->to_commit = -1;
}

static void commit_now(struct slot *s)
{
    struct kpart p = part_of(s, s->to_commit);
    s->commit_again = false;
    s->committing = kconsumer_commit(s->consumer, &p, 1, on_committed, s) == 0;
    if (!s->committing)
        loop_timer_start(s->loop, &s->commit_timer, COMMIT_MS);
}

void slot_commit_timer(struct timer *t)
{
    struct slot *s = container_of(t, struct slot, commit_timer);
    if (s->to_commit >= 0 && !s->committing && (s->state == SLOT_HELD || s->state == SLOT_RELEASE))
        commit_now(s);
}

void slot_commit(struct slot *s, int64_t next)
{
    if (s->state != SLOT_HELD && s->state != SLOT_REJOIN && s->state != SLOT_RELEASE)
        return;
    s->to_commit = next;
    s->commit_again = s->committing;
    if (!s->committing && s->state != SLOT_REJOIN)
        commit_now(s);
    else if (!s->committing)
        loop_timer_start(s->loop, &s->commit_timer, COMMIT_MS);
}

/* ---- giving it back ---- */
void slot_give_back(struct slot *s, int64_t next)
{
    bool held = s->state == SLOT_HELD;
    bool in_group = s->consumer && s->state != SLOT_LEAVE;
    s->state = held || in_group ? SLOT_RELEASE : SLOT_OFF;
    ready_wait(s->ready, "slot", "the edge is going");
    loop_timer_stop(s->loop, &s->timer);
    if (s->state == SLOT_OFF) {
        s->ops->released(s->ctx);
        return;
    }
    if (!held) {
        slot_close(s);
        return;
    }
    slot_commit(s, next);
    slot_after(s, RELEASE_MS / 10);
}

void slot_release_step(struct slot *s)
{
    if (s->epoch >= 0 && s->to_commit >= 0) { /* not committed yet; the daemon's deadline ends this */
        slot_after(s, RELEASE_MS / 10);
    } else if (s->epoch < 0 || s->sending || !slot_say(s, IM__LEASE_KIND__LEASE_RELEASE)) {
        slot_close(s);
    }
}

void slot_released(struct slot *s)
{
    log_info("slot given back", log_uint("slot", s->slot), log_int("epoch", s->epoch));
    slot_close(s);
}
