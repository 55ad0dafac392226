/* stats.c: the edge's metrics, copied from the core a few times a second. */
#include "edge/edge.h"

#include "common/base/metrics.h"
#include "common/im/frame.h"

METRIC_GAUGE(connections, "parley_edge_connections", "Open connections.");
METRIC_GAUGE(sessions, "parley_edge_sessions", "Logged-in connections.");
METRIC_GAUGE(unconfirmed, "parley_edge_unconfirmed", "Pushes that clients have not confirmed.");
METRIC_GAUGE(in_flight, "parley_edge_requests_in_flight", "Requests whose delivery report is awaited.");
METRIC_GAUGE(outbox, "parley_edge_outbox", "Bounces, ends and cursors that are not in the log yet.");
METRIC_GAUGE(output, "parley_edge_output_bytes", "Output that sockets have not taken.");
METRIC_GAUGE(buffers, "parley_edge_input_buffers", "Connections with an incomplete frame.");
METRIC_GAUGE(slot_gauge, "parley_edge_slot", "The delivery slot that is held; -1: none.");
METRIC_GAUGE(lag_gauge, "parley_edge_router_lag",
             "Records of im.inbound the router has not read; -1: not known.");
METRIC_GAUGE(busy_gauge, "parley_edge_busy", "1: sends are refused because the router is too far behind.");
METRIC_COUNTER(accepted, "parley_edge_accepted_total", "Connections taken.");
METRIC_COUNTER(frames, "parley_edge_frames_total", "Frames from clients.", "type");
METRIC_COUNTER(errors, "parley_edge_errors_total", "Error frames to clients.");
METRIC_COUNTER(acks, "parley_edge_acks_total", "Sends acknowledged.");
METRIC_COUNTER(pushes, "parley_edge_pushes_total", "Pushes to clients.");
METRIC_COUNTER(late, "parley_edge_late_total", "Delivery items for sessions that are not here.");
METRIC_COUNTER(bounces, "parley_edge_bounces_total", "Messages handed back through im.offline.");
METRIC_COUNTER(cuts, "parley_edge_cuts_total", "Connections that ended.", "reason");
METRIC_COUNTER(lookups, "parley_edge_lookups_total", "Questions to the router about accounts.");
METRIC_COUNTER(logins, "parley_edge_logins_total", "Logins.", "result");
METRIC_COUNTER(registers, "parley_edge_registers_total", "Registrations asked for.");
METRIC_COUNTER(cursors, "parley_edge_cursors_total", "Cursors written.");
METRIC_COUNTER(bad, "parley_edge_bad_records_total", "Delivery records or items that could not be used.");
METRIC_COUNTER(
    nameless, "parley_edge_nameless_total",
    "Late messages for many, handed to the offline workers because it is not known here whose they were.");
METRIC_COUNTER(queries, "parley_edge_queries_total", "Questions passed on to the query process.");
METRIC_COUNTER(signals, "parley_edge_signals_total", "Typing and the like, by what became of it.", "result");
METRIC_COUNTER(bytes_in, "parley_edge_bytes_in_total", "Bytes from clients.");
METRIC_COUNTER(bytes_out, "parley_edge_bytes_out_total", "Bytes to clients.");
METRIC_HISTOGRAM(ack_time, "parley_edge_ack_seconds", "From frame read to ack queued.", 1e-6);

METRIC_HISTOGRAM(delivery_time, "parley_edge_delivery_seconds",
                 "From a delivery record's time in the log, the broker's in ms, to its push being queued.",
                 1e-6);

static const char *const cut_names[EDGE_CUTS] = {
    [EDGE_CUT_CLIENT] = "client", [EDGE_CUT_BAD] = "bad_frame", [EDGE_CUT_SLOW] = "slow",
    [EDGE_CUT_SILENT] = "silent", [EDGE_CUT_LOGIN] = "login",   [EDGE_CUT_KICKED] = "kicked",
    [EDGE_CUT_LEASE] = "lease",   [EDGE_CUT_DRAIN] = "drain",   [EDGE_CUT_LOG] = "log",
};

void edge_observe_ack(int64_t us)
{
    metric_observe(&ack_time, us);
}

void edge_observe_delivery(int64_t us)
{
    metric_observe(&delivery_time, us);
}

static void set(struct metric *m, uint64_t v)
{
    metric_set(m, (int64_t)v);
}

static void export_labelled(const struct edge_stats *s)
{
    static struct metric *by_type[ARRAY_LEN(s->frames)], *by_cut[EDGE_CUTS], *ok, *failed, *told, *dropped;
    for (uint16_t t = 0; t < ARRAY_LEN(by_type); t++) {
        if (!s->frames[t])
            continue;
        if (!by_type[t])
            by_type[t] = metric_with(&frames, frame_type(t) ? frame_name(t) : "unknown");
        set(by_type[t], s->frames[t]);
    }
    for (int i = 0; i < EDGE_CUTS; i++) {
        if (!by_cut[i])
            by_cut[i] = metric_with(&cuts, cut_names[i]);
        set(by_cut[i], s->cuts[i]);
    }
    if (!ok) {
        ok = metric_with(&logins, "ok");
        failed = metric_with(&logins, "failed");
        told = metric_with(&signals, "written");
        dropped = metric_with(&signals, "dropped");
    }
    set(ok, s->logins);
    set(failed, s->login_failures);
    set(told, s->signals);
    set(dropped, s->signals_dropped);
}

void edge_export(struct edge *e)
{
    const struct edge_stats *s = edge_core_stats(e->core);
    struct conns_stats c;
    conns_stats(e->conns, &c);
    set(&connections, s->connections);
    set(&sessions, s->sessions);
    set(&unconfirmed, s->unconfirmed);
    set(&in_flight, s->in_flight);
    set(&outbox, s->outbox);
    set(&output, c.pending);
    set(&buffers, c.buffers);
    bool held = e->slot_up && e->slot.state == SLOT_HELD;
    metric_set(&slot_gauge, held ? (int64_t)e->slot.slot : -1);
    metric_set(&lag_gauge, e->busy.lag);
    metric_set(&busy_gauge, e->busy.busy);
    set(&accepted, s->accepted);
    set(&errors, s->errors);
    set(&acks, s->acks);
    set(&pushes, s->pushes);
    set(&late, s->late);
    set(&bounces, s->bounced);
    set(&lookups, s->lookups);
    set(&registers, s->registers);
    set(&cursors, s->cursors);
    set(&bad, s->bad_records);
    set(&nameless, s->nameless);
    set(&queries, s->queries);
    set(&bytes_in, c.bytes_in);
    set(&bytes_out, c.bytes_out);
    export_labelled(s);
}
