#include "common/base/ready.h"

#include "common/base/log.h"
#include "common/base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

METRIC_GAUGE(is_ready, "parley_ready", "1: the process waits for nothing.");

enum { REMIND_MS = 10000, WHY = 160 };

struct condition {
    const char *name;
    bool missing;
    char why[WHY];
    struct condition *next;
};

struct ready {
    struct loop *loop;
    struct timer remind;
    struct condition *list; /* in the order of their first ready_wait() */
};

static void on_remind(struct timer *t)
{
    struct ready *r = container_of(t, struct ready, remind);
    for (const struct condition *c = r->list; c; c = c->next) {
        if (c->missing)
            log_info("still waiting", log_str("for", c->name), log_str("why", c->why));
    }
    if (!ready_all(r))
        loop_timer_start(r->loop, t, REMIND_MS);
}

struct ready *ready_new(struct loop *loop)
{
    struct ready *r = calloc(1, sizeof *r);
    if (r) {
        r->loop = loop;
        timer_init(&r->remind, on_remind);
    }
    return r;
}

void ready_free(struct ready *r)
{
    if (!r)
        return;
    loop_timer_stop(r->loop, &r->remind);
    while (r->list) {
        struct condition *c = r->list;
        r->list = c->next;
        free(c);
    }
    free(r);
}

/* The named condition, or the end of the list, where it belongs. */
static struct condition **find(struct ready *r, const char *name)
{
    struct condition **at = &r->list;
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

void ready_wait(struct ready *r, const char *name, const char *why)
{
    struct condition **at = find(r, name), *c = *at;
    if (!c) {
        c = *at = calloc(1, sizeof *c);
        if (!c)
            abort(); /* a process that cannot say what it waits for must not look ready */
        c->name = name;
    }
    if (c->missing && !strncmp(c->why, why, WHY - 1))
        return;
    c->missing = true;
    metric_set(&is_ready, 0);
    snprintf(c->why, WHY, "%s", why);
    log_info("waiting", log_str("for", name), log_str("why", c->why));
    if (!timer_running(&r->remind))
        loop_timer_start(r->loop, &r->remind, REMIND_MS);
}

void ready_ok(struct ready *r, const char *name)
{
    struct condition *c = *find(r, name);
    if (!c || !c->missing)
        return;
    c->missing = false;
    log_info("no longer waiting", log_str("for", name));
    if (ready_all(r)) {
        metric_set(&is_ready, 1);
        loop_timer_stop(r->loop, &r->remind);
        log_info("ready");
    }
}

bool ready_all(const struct ready *r)
{
    for (const struct condition *c = r->list; c; c = c->next) {
        if (c->missing)
            return false;
    }
    return true;
}

void ready_json(const struct ready *r, struct bytes *out)
{
    const char *comma = "";
    bytes_printf(out, "{\"ready\":%s,\"waiting\":[", ready_all(r) ? "true" : "false");
    for (const struct condition *c = r->list; c; c = c->next) {
        if (!c->missing)
            continue;
        bytes_printf(out, "%s{\"for\":", comma);
        bytes_json(out, c->name, strlen(c->name));
        bytes_str(out, ",\"why\":");
        bytes_json(out, c->why, strlen(c->why));
        bytes_u8(out, '}');
        comma = ",";
    }
    bytes_str(out, "]}\n");
}

void ready_text(const struct ready *r, char *out, size_t n)
{
    const char *before = "waiting for ";
    size_t at = 0;
    snprintf(out, n, "%s", ready_all(r) ? "ready" : "");
    for (const struct condition *c = r->list; c && at < n; c = c->next) {
        if (c->missing) {
            at += (size_t)snprintf(out + at, n - at, "%s%s: %s", before, c->name, c->why);
            before = "; ";
        }
    }
    for (char *p = out; *p; p++) {
        if ((unsigned char)*p < ' ')
            *p = ' ';
    }
}
