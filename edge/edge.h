/* edge.h: the running edge: the core and everything it is connected to. main.c declares it, edge.c wires it. */
#ifndef PARLEY_EDGE_EDGE_H
#define PARLEY_EDGE_EDGE_H

#include "common/base/daemon.h"
#include "common/base/kproducer.h"
#include "common/base/pool.h"
#include "edge/busy.h"
#include "edge/conns.h"
#include "edge/listen.h"
#include "edge/proxied.h"
#include "edge/settings.h"
#include "edge/slot.h"

struct edge_send;

struct edge {
    struct daemon_run *run;
    const struct edge_settings *settings;
    struct deploy deploy;
    struct secrets *secrets;
    struct edge_core *core;
    struct conns *conns;
    struct pool *pool;
    struct kproducer *producer;
    struct slot slot;
    struct listener listener;
    struct proxied *proxied; /* NULL: connections are whose they seem to be */
    struct busy busy;
    struct loop_hook hook;
    struct timer tick;
    struct edge_send *free_sends, *failed; /* failed: refused for good, to be reported in the hook */
    struct edge_send *chunks;
    uint16_t outputs[TOPICS_SLOTS_MAX + 5];
    int64_t wall_us;  /* wall clock minus the loop's */
    const char *lost; /* the core found the slot lost; told in the hook */
    bool stalled, slot_up, going;
    char address[160];
};

int edge_init(struct daemon_run *);
void edge_drain(struct daemon_run *);
void edge_fini(struct daemon_run *);

/* edge_out.c: the core's orders */
extern const struct edge_out edge_orders;
void edge_sends_run(struct edge *); /* in the hook: reports of refused sends, whether there is room again */
void edge_sends_free(struct edge *);
void edge_enter(void *edge); /* tells the core the time */
/* stats.c */
void edge_export(struct edge *);
void edge_observe_ack(int64_t us);
void edge_observe_delivery(int64_t us);

#endif
