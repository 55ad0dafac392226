#include "edge/busy.h"

#include "common/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 2000

bool busy_judge(struct busy_part *p, int64_t now_ms, int64_t retention_ms)
{
    int64_t step = retention_ms / BUSY_MARKS;
    if (!p->n || now_ms - p->marks[p->n - 1].at_ms >= step) {
        if (p->n == BUSY_MARKS)
            memmove(p->marks, p->marks + 1, --p->n * sizeof *p->marks);
        p->marks[p->n].at_ms = now_ms;
        p->marks[p->n++].high = p->high;
    }
    if (p->committed < 0 || p->committed >= p->high)
        return false;
    int64_t age = 0; /* at least: the log had already grown past `committed` by then */
    for (uint32_t i = 0; i < p->n && !age; i++)
        if (p->marks[i].high > p->committed)
            age = now_ms - p->marks[i].at_ms;
    if (age >= retention_ms / 2)
        return true;
    return p->low > 0 && p->committed - p->low < (p->high - p->low) / 2;
}

static void judge_all(struct busy *b, const struct kgroup_part *seen)
{
    int64_t now = loop_now_ms(b->setup.loop);
    bool behind = false;
    b->lag = 0;
    for (int32_t i = 0; i < b->n_parts; i++) {
        struct busy_part *p = &b->parts[i];
        p->low = seen[i].low;
        p->high = seen[i].high;
        p->committed = seen[i].committed;
        behind |= busy_judge(p, now, b->retention_ms);
        b->lag += p->committed >= 0 && p->high > p->committed ? p->high - p->committed : 0;
    }
    behind |= b->setup.max_lag && b->lag > b->setup.max_lag;
    if (behind && !b->busy)
        log_warn("the router is too far behind: sends are refused", log_int("lag", b->lag));
    if (!behind && b->busy)
        log_info("the router caught up: sends are taken again", log_int("lag", b->lag));
    b->busy = behind;
}

static void on_progress(void *ctx, int err, const struct kgroup_part *parts, int32_t n)
{
    struct busy *b = ctx;
    if (!err && n == b->n_parts)
        judge_all(b, parts);
    loop_timer_start(b->setup.loop, &b->timer, b->setup.every_ms);
}

static void on_timer(struct timer *t)
{
    struct busy *b = container_of(t, struct busy, timer);
    if (kgroups_progress(b->groups, topics_name(b->setup.deploy->topics, T_INBOUND), b->n_parts, on_progress,
                         b))
        loop_timer_start(b->setup.loop, &b->timer, b->setup.every_ms);
}

int busy_init(struct busy *b, const struct busy_setup *setup)
{
    const struct topics *topics = setup->deploy->topics;
    const struct topic *in = topics_get(topics, T_INBOUND);
    *b = (struct busy){.setup = *setup, .lag = -1, .n_parts = in->parts, .retention_ms = in->retention_ms};
    b->parts = calloc((size_t)in->parts, sizeof *b->parts);
    b->groups = kgroups_new(setup->loop, &setup->deploy->kafka, topics_group(topics, GROUP_ROUTER), ASK_MS);
    if (!b->parts || !b->groups) {
        busy_release(b);
        return -ENOMEM;
    }
    timer_init(&b->timer, on_timer);
    loop_timer_start(setup->loop, &b->timer, setup->every_ms < 1000 ? setup->every_ms : 1000);
    return 0;
}

void busy_release(struct busy *b)
{
    if (b->groups)
        loop_timer_stop(b->setup.loop, &b->timer);
    kgroups_free(b->groups);
    free(b->parts);
    *b = (struct busy){0};
}
