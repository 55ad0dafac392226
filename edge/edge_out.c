/* edge_out.c: what the core orders, done with sockets, the producer, the pool and the slot. */
#include "edge/edge.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "edge/jobs.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK         1024
#define IN_FLIGHT_MAX 100000u
#define STALL_AT      (IN_FLIGHT_MAX / 4 * 3)

struct edge_send { /* one record in flight; from chunks that are never given back while running */
    struct ksend base;
    struct edge *edge;
    uint64_t tag;
    struct edge_send *next;
};

void edge_enter(void *edge)
{
    struct edge *e = edge;
    int64_t us = loop_now_us(e->run->loop);
    edge_core_now(e->core, us, us + e->wall_us);
}

static void give_back(struct edge *e, struct edge_send *s)
{
    s->next = e->free_sends;
    e->free_sends = s;
}

static void on_report(struct ksend *base, const struct kreport *r)
{
    struct edge_send *s = container_of(base, struct edge_send, base);
    struct edge *e = s->edge;
    uint64_t tag = s->tag;
    give_back(e, s);
    edge_enter(e);
    edge_core_sent(e->core, tag, r->outcome, r->outcome == SENT_OK ? r->offset : -1);
}

static struct edge_send *take(struct edge *e)
{
    if (!e->free_sends) {
        struct edge_send *v = calloc(CHUNK, sizeof *v);
        if (!v)
            return NULL;
        v[0].next = e->chunks; /* the first of a chunk only links it */
        e->chunks = v;
        for (size_t i = 1; i < CHUNK; i++) {
            v[i] = (struct edge_send){.base = {on_report}, .edge = e};
            give_back(e, &v[i]);
        }
    }
    struct edge_send *s = e->free_sends;
    e->free_sends = s->next;
    return s;
}

static bool produce(void *ctx, uint16_t topic, struct slice place, struct slice key, struct slice value,
                    uint64_t tag)
{
    struct edge *e = ctx;
    struct edge_send *s = e->producer ? take(e) : NULL;
    if (!s)
        return false;
    s->tag = tag;
    int32_t part = topics_partition(e->deploy.topics, topic, place);
    int rc = kproducer_send(e->producer, topic, part, key, value, &s->base);
    if (rc == -EMSGSIZE || rc == -EINVAL) { /* never will be taken: reported from the hook */
        log_error("a record cannot be written", log_str("topic", topics_name(e->deploy.topics, topic)),
                  log_err(rc), log_uint("bytes", value.n));
        s->next = e->failed;
        e->failed = s;
        loop_again(e->run->loop);
        return true;
    }
    if (rc) {
        give_back(e, s);
        e->stalled = true;
        conns_stall(e->conns, true);
        return false;
    }
    struct kproducer_stats st;
    kproducer_stats(e->producer, &st);
    if (st.in_flight >= STALL_AT && !e->stalled) {
        e->stalled = true;
        conns_stall(e->conns, true);
    }
    return true;
}

void edge_sends_run(struct edge *e)
{
    struct edge_send *s;
    while ((s = e->failed)) {
        uint64_t tag = s->tag;
        e->failed = s->next;
        give_back(e, s);
        edge_enter(e);
        edge_core_sent(e->core, tag, SENT_FAILED, -1);
    }
    if (!e->stalled)
        return;
    struct kproducer_stats st;
    kproducer_stats(e->producer, &st);
    if (kproducer_ready(e->producer) && st.in_flight <= STALL_AT / 2) {
        e->stalled = false;
        conns_stall(e->conns, false);
    }
}

void edge_sends_free(struct edge *e)
{
    while (e->chunks) {
        struct edge_send *v = e->chunks;
        e->chunks = v[0].next;
        free(v);
    }
}

static void job_done(void *ctx, uint64_t tag, bool ok, struct slice sealed)
{
    struct edge *e = ctx;
    edge_enter(e);
    edge_core_job(e->core, tag, ok, sealed);
}

static bool job(void *ctx, enum edge_job_kind kind, uint64_t tag, struct id16 user, struct slice password,
                struct slice sealed)
{
    struct edge *e = ctx;
    return jobs_submit(e->pool, e->secrets, kind, tag, user, password, sealed, job_done, e);
}

static void write_frame(void *ctx, uint32_t conn, uint16_t type, uint32_t seq_id, struct slice payload,
                        struct buf *owner)
{
    conns_write(((struct edge *)ctx)->conns, conn, type, seq_id, payload, owner);
}

static void close_conn(void *ctx, uint32_t conn, enum edge_cut why)
{
    conns_close(((struct edge *)ctx)->conns, conn, why);
}

static void pause_conn(void *ctx, uint32_t conn, bool paused)
{
    conns_pause(((struct edge *)ctx)->conns, conn, paused);
}

static void commit(void *ctx, int64_t next)
{
    slot_commit(&((struct edge *)ctx)->slot, next);
}

static void lost(void *ctx, const char *why)
{
    struct edge *e = ctx;
    e->lost = why;
    loop_again(e->run->loop);
}

static bool behind(void *ctx, uint32_t conn)
{
    return conns_behind(((struct edge *)ctx)->conns, conn);
}

static void ack_us(void *ctx, int64_t us)
{
    (void)ctx;
    edge_observe_ack(us);
}

const struct edge_out edge_orders = {
    .write = write_frame,
    .close = close_conn,
    .pause = pause_conn,
    .produce = produce,
    .job = job,
    .commit = commit,
    .lost = lost,
    .ack_us = ack_us,
    .behind = behind,
};
