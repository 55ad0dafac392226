#include "edge/busy.h"

#include "common/base/log.h"
#include "edge/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 2000

struct busy_look { /* the pool's while it runs */
    struct pool_job job;
    struct busy *busy; /* NULL: nobody wants to know any more */
    struct kconf kafka;
    char *topic, *group;
    rd_kafka_t *client;
    int32_t n;
    int err;
    int64_t *low, *high, *committed;
};

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

static void work(struct pool_job *job)
{
    struct busy_look *l = container_of(job, struct busy_look, job);
    if (!l->client)
        l->client = groups_client(&l->kafka, l->group);
    l->err = l->client ? groups_progress(l->client, l->topic, l->n, l->committed, l->low, l->high, ASK_MS)
                       : -ENOMEM;
}

static void look_free(struct busy_look *l)
{
    if (!l)
        return;
    if (l->client)
        rd_kafka_destroy(l->client);
    free(l->topic);
    free(l->group);
    free(l->low);
    free(l->high);
    free(l->committed);
    free(l);
}

static void on_done(struct pool_job *job)
{
    struct busy_look *l = container_of(job, struct busy_look, job);
    struct busy *b = l->busy;
    if (!b) {
        look_free(l);
        return;
    }
    if (!l->err && !job->cancelled) {
        int64_t now = loop_now_ms(b->setup.loop);
        bool behind = false;
        b->lag = 0;
        for (int32_t i = 0; i < b->n_parts; i++) {
            struct busy_part *p = &b->parts[i];
            p->low = l->low[i];
            p->high = l->high[i];
            p->committed = l->committed[i];
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
    loop_timer_start(b->setup.loop, &b->timer, b->setup.every_ms);
}

static void on_timer(struct timer *t)
{
    struct busy *b = container_of(t, struct busy, timer);
    if (pool_submit(b->setup.pool, &b->look->job))
        loop_timer_start(b->setup.loop, &b->timer, b->setup.every_ms);
}

int busy_init(struct busy *b, const struct busy_setup *setup)
{
    const struct topics *topics = setup->deploy->topics;
    const struct topic *in = topics_get(topics, T_INBOUND);
    size_t n = (size_t)in->parts;
    struct busy_look *l = calloc(1, sizeof *l);
    *b = (struct busy){.setup = *setup, .lag = -1, .n_parts = in->parts, .retention_ms = in->retention_ms};
    b->parts = calloc(n, sizeof *b->parts);
    b->look = l;
    if (l) {
        *l = (struct busy_look){.job = {.work = work, .done = on_done}, .busy = b, .n = in->parts};
        l->kafka = setup->deploy->kafka;
        l->topic = strdup(in->name);
        l->group = strdup(topics_group(topics, GROUP_ROUTER));
        l->low = calloc(n, sizeof *l->low);
        l->high = calloc(n, sizeof *l->high);
        l->committed = calloc(n, sizeof *l->committed);
    }
    if (!b->parts || !l || !l->topic || !l->group || !l->low || !l->high || !l->committed) {
        look_free(l);
        free(b->parts);
        *b = (struct busy){0};
        return -ENOMEM;
    }
    timer_init(&b->timer, on_timer);
    loop_timer_start(setup->loop, &b->timer, setup->every_ms < 1000 ? setup->every_ms : 1000);
    return 0;
}

void busy_release(struct busy *b)
{
    if (!b->look)
        return;
    bool running = !timer_running(&b->timer);
    loop_timer_stop(b->setup.loop, &b->timer);
    b->look->busy = NULL;
    if (!running)
        look_free(b->look);
    free(b->parts);
    *b = (struct busy){0};
}
