/* edge.c: starting, a turn, leaving. */
#include "edge/edge.h"

#include "common/base/addr.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/im/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS  250
#define FLUSH_MS 2000

/* ---- the slot's events ---- */
static void on_claimed(void *ctx, uint32_t slot, uint64_t epoch, int64_t next)
{
    struct edge *e = ctx;
    edge_enter(e);
    edge_core_claimed(e->core, slot, epoch, next);
}

static void on_lost(void *ctx, const char *why)
{
    struct edge *e = ctx;
    (void)why;
    edge_enter(e);
    edge_core_lost(e->core);
}

static bool on_message(void *ctx, const struct record *r)
{
    struct edge *e = ctx;
    edge_enter(e);
    edge_observe_delivery(loop_now_us(e->run->loop) + e->wall_us - r->time_ms * 1000);
    if (!e->lost)
        edge_core_deliver(e->core, r->offset, r->value);
    return !e->lost && !edge_core_full(e->core);
}

static void on_released(void *ctx)
{
    daemon_drained(((struct edge *)ctx)->run);
}

static void on_fatal(void *ctx, const char *why)
{
    struct edge *e = ctx;
    log_error("a Kafka client is dead", log_str("why", why));
    daemon_fail(e->run);
}

static const struct slot_ops slot_ops = {.claimed = on_claimed,
                                         .lost = on_lost,
                                         .message = on_message,
                                         .released = on_released,
                                         .fatal = on_fatal};

/* ---- turns ---- */
static void on_hook(struct loop_hook *hook)
{
    struct edge *e = container_of(hook, struct edge, hook);
    if (e->lost) {
        const char *why = e->lost;
        e->lost = NULL;
        slot_lost(&e->slot, why);
    }
    if (e->producer)
        edge_sends_run(e);
    if (e->slot_up && e->slot.paused && !edge_core_full(e->core))
        slot_resume(&e->slot);
}

static void on_tick(struct timer *t)
{
    struct edge *e = container_of(t, struct edge, tick);
    loop_timer_start(e->run->loop, t, TICK_MS);
    e->wall_us = clock_wall_us() - loop_now_us(e->run->loop);
    edge_enter(e);
    edge_core_busy(e->core, e->busy.busy);
    edge_core_tick(e->core);
    conns_tick(e->conns);
    edge_export(e);
    if (e->going && edge_core_drained(e->core)) {
        e->going = false;
        slot_give_back(&e->slot, edge_core_mark(e->core));
    }
}

static void on_accepted(void *ctx, int fd, uint64_t address)
{
    conns_add(((struct edge *)ctx)->conns, fd, address);
}

static void on_proxied(void *ctx, int fd, uint64_t address)
{
    proxied_add(((struct edge *)ctx)->proxied, fd, address);
}

static void on_freed(void *ctx)
{
    listener_freed(&((struct edge *)ctx)->listener);
}

/* ---- starting ---- */
static void producer_dead(void *ctx, int code, const char *reason)
{
    (void)code;
    on_fatal(ctx, reason); /* clients send again under the same numbers to the next one */
}

static void producer_ready(void *ctx)
{
    ready_ok(((struct edge *)ctx)->run->ready, "producer");
}

static void topics_ready(void *ctx)
{
    struct edge *e = ctx;
    size_t n = 0;
    e->outputs[n++] = T_INBOUND;
    e->outputs[n++] = T_QUERY;
    e->outputs[n++] = T_OFFLINE;
    e->outputs[n++] = T_CURSOR;
    e->outputs[n++] = T_LEASE;
    ready_wait(e->run->ready, "producer", "asking for the topics' leaders");
    struct kproducer_conf k = {.kafka = e->deploy.kafka,
                               .topics = e->deploy.ktopics,
                               .n_topics = e->deploy.n_ktopics,
                               .warm = e->outputs,
                               .n_warm = n,
                               .ctx = e,
                               .ready = producer_ready,
                               .fatal = producer_dead};
    e->producer = kproducer_new(e->run->loop, &k);
    if (!e->producer ||
        slot_init(&e->slot, e->run->loop, e->run->ready, &e->deploy, e->producer, e->address, &slot_ops, e)) {
        daemon_fail(e->run);
        return;
    }
    e->slot_up = true;
    const struct busy_setup b = {.loop = e->run->loop,
                                 .deploy = &e->deploy,
                                 .every_ms = e->settings->busy_check_ms,
                                 .max_lag = e->settings->busy_lag};
    if (busy_init(&e->busy, &b))
        log_warn("the router's lag is not watched: no memory");
}

static bool on_loopback(const char *listen)
{
    return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "localhost", 9) == 0 ||
           strncmp(listen, "[::1]", 5) == 0;
}

static int open_port(struct edge *e)
{
    const struct edge_settings *s = e->settings;
    if (s->proxy_protocol && !(e->proxied = proxied_new(e->run->loop, on_accepted, e)))
        return -ENOMEM;
    e->listener.accepted = s->proxy_protocol ? on_proxied : on_accepted;
    e->listener.ctx = e;
    int rc = listener_open(&e->listener, e->run->loop, s->listen);
    if (rc) {
        log_error("clients' address cannot be used; see edge.listen", log_str("listen", s->listen),
                  log_err(rc));
        return rc;
    }
    const char *colon = strrchr(s->listen, ':');
    snprintf(e->address, sizeof e->address, "%.*s:%d", colon ? (int)(colon - s->listen) : 0, s->listen,
             listener_port(&e->listener));
    log_info("listening", log_str("address", e->address));
    if (s->advertise)
        snprintf(e->address, sizeof e->address, "%s", s->advertise);
    return 0;
}

static int make_core(struct edge *e)
{
    struct loop *loop = e->run->loop;
    struct edge_setup setup = {.name = e->settings->name ? e->settings->name : e->deploy.instance,
                               .secrets = e->secrets,
                               .topics = e->deploy.topics,
                               .out = &edge_orders,
                               .ctx = e};
    const struct conns_setup conns = {.loop = loop,
                                      .pause = (uint32_t)e->settings->output_pause,
                                      .cut = (uint32_t)e->settings->output_cut,
                                      .freed = on_freed,
                                      .entering = edge_enter,
                                      .ctx = e};
    edge_limits_of(e->settings, &setup.limits);
    loop_hook(loop, &e->hook, on_hook); /* before the hook that flushes sockets */
    e->core = edge_core_new(&setup);
    e->conns = conns_new(&conns);
    if (!e->core || !e->conns)
        return -ENOMEM;
    conns_core(e->conns, e->core);
    return pool_new(&e->pool, loop, (unsigned)e->settings->hash_threads, (unsigned)e->settings->hash_waiting);
}

int edge_init(struct daemon_run *run)
{
    struct edge *e = calloc(1, sizeof *e);
    char why[256];
    if (!e)
        return -ENOMEM;
    run->state = e;
    e->run = run;
    e->settings = run->settings;
    timer_init(&e->tick, on_tick);
    int rc = deploy_init(&e->deploy, &e->settings->deploy, "edge");
    if (rc)
        return rc;
    e->secrets = secrets_load(e->settings->key.path, on_loopback(e->settings->listen), why, sizeof why);
    if (!e->secrets) {
        log_error("the deployment's key cannot be used", log_str("why", why));
        return -EINVAL;
    }
    rc = make_core(e);
    if (rc) {
        log_error("the edge cannot start", log_err(rc));
        return rc;
    }
    rc = open_port(e);
    if (rc)
        return rc;
    ready_wait(run->ready, "slot", "waiting for the topics");
    e->wall_us = clock_wall_us() - clock_mono_us();
    edge_core_now(e->core, clock_mono_us(), clock_wall_ms() * 1000);
    loop_timer_start(run->loop, &e->tick, TICK_MS);
    return deploy_wait(&e->deploy, run, topics_ready, e);
}

/* ---- leaving ---- */
void edge_drain(struct daemon_run *run)
{
    struct edge *e = run->state;
    listener_close(&e->listener);
    if (!e->slot_up) {
        daemon_drained(run);
        return;
    }
    e->going = true;
    edge_enter(e);
    edge_core_drain(e->core, e->settings->drain_grace_ms);
}

void edge_fini(struct daemon_run *run)
{
    struct edge *e = run->state;
    if (!e)
        return;
    loop_timer_stop(run->loop, &e->tick);
    listener_close(&e->listener);
    proxied_free(e->proxied);
    busy_release(&e->busy);
    if (e->slot_up)
        slot_release(&e->slot);
    pool_free(e->pool);
    kproducer_free(e->producer, FLUSH_MS);
    conns_free(e->conns);
    edge_core_free(e->core);
    edge_sends_free(e);
    secrets_free(e->secrets);
    deploy_release(&e->deploy);
    if (e->hook.fn)
        loop_unhook(run->loop, &e->hook);
    free(e);
    run->state = NULL;
}
