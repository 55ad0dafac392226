/* shell_turn.c: records in, and what a partition does in a turn of the loop. */
#include "common/base/shell_int.h"

#include <stdlib.h>
#include <string.h>

static void back_pressure(struct spart *p)
{
    const struct shell_decl *d = p->decl;
    size_t bytes_max = d->batch_kbytes * 4096ull;
    bool full = p->q_n >= d->queue_records || p->q_bytes >= bytes_max;
    bool low = p->q_n <= d->queue_records / 2 && p->q_bytes <= bytes_max / 2;
    if (p->paused ? !low : !full)
        return;
    p->paused = !p->paused;
    p->env->pause(p->env->ctx, p, p->paused);
}

bool spart_record(struct spart *p, uint8_t input, const struct record *r, struct kmsg *m)
{
    if (p->state != SPART_RUNNING || p->failure || p->stopping || p->q_n >= p->decl->queue_records)
        return false;
    uint32_t at = p->q_head + p->q_n;
    p->queue[at >= p->decl->queue_records ? at - p->decl->queue_records : at] =
        (struct brec){.r = *r, .msg = m, .input = input};
    p->q_n++;
    p->q_bytes += r->value.n + r->key.n;
    back_pressure(p);
    return true;
}

bool spart_offer(struct spart *p, const struct record *r, uint32_t patience_ms)
{
    if (p->state != SPART_RUNNING || p->failure || p->stopping || p->q_n >= p->decl->batch_records)
        return false;
    uint8_t *copy = malloc(r->key.n + r->value.n + 1);
    if (!copy)
        return false;
    struct brec b = {.r = *r, .copy = copy, .input = SHELL_OFFERED};
    b.until_ms = loop_now_ms(p->env->loop) + patience_ms;
    if (r->key.n)
        memcpy(copy, r->key.p, r->key.n);
    if (r->value.n)
        memcpy(copy + r->key.n, r->value.p, r->value.n);
    b.r.key.p = copy;
    b.r.value.p = copy + r->key.n;
    uint32_t at = p->q_head + p->q_n;
    p->queue[at >= p->decl->queue_records ? at - p->decl->queue_records : at] = b;
    p->q_n++;
    p->q_bytes += r->value.n + r->key.n;
    return true;
}

static void arm_wake(struct spart *p, int64_t now)
{
    if (p->wake_at == INT64_MAX || (p->wake_at == p->wake_armed && timer_running(&p->wake)))
        return;
    p->wake_armed = p->wake_at;
    loop_timer_start(p->env->loop, &p->wake, p->wake_at > now ? p->wake_at - now : 1);
}

void spart_turn(struct spart *p)
{
    const struct shell_decl *d = p->decl;
    int64_t now = loop_now_ms(p->env->loop);
    if (p->failure || !p->core)
        return;
    if (p->state == SPART_RUNNING && !p->stopping) {
        bool busy = p->loading || p->n_batches >= d->batches || spart_unsent(p);
        if (!busy && (p->poked || p->wake_at <= now))
            batch_tick(p);
        while (!p->failure && !p->stopping && !p->loading && p->q_n && p->n_batches < d->batches &&
               !spart_unsent(p))
            batch_start(p);
        back_pressure(p);
        arm_wake(p, now);
    }
    spart_put(p);
    spart_drained(p);
}
