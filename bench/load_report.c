#include "bench/load.h"
#include "bench/result.h"

#include <unistd.h>

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

void report_progress(struct load *l, int64_t now)
{
    static const char *const names[] = {"log-in", "warm-up", "measure", "tail", "end"};
    uint64_t lag =
        l->history && l->delivered > history_rows(l->history) ? l->delivered - history_rows(l->history) : 0;
    double rate = (double)(l->delivered - l->told.delivered) / seconds(now - l->told.at_ns);
    if (!l->o.quiet)
        fprintf(stderr,
                "%s%-8s %7.0f/s  deliver p50 %8.3f ms  p99 %8.3f ms  in flight %6llu  history behind %6llu%s",
                isatty(2) ? "\r" : "", names[l->phase], rate, (double)hist_at(l->recent, 0.5) / 1e6,
                (double)hist_at(l->recent, 0.99) / 1e6, (unsigned long long)(l->sent - l->done),
                (unsigned long long)lag, isatty(2) ? " " : "\n");
    hist_clear(l->recent);
    l->told.at_ns = now;
    l->told.delivered = l->delivered;
}

static json_t *faults(const struct check *c)
{
    json_t *o = json_object();
    for (int f = 0; f < CHECK_FAULTS; f++)
        json_object_set_new(o, check_name(f), json_integer((json_int_t)check_count(c, f)));
    return o;
}

static void add_mode(const struct load *l, json_t *o)
{
    const char *mode = l->o.rate ? "open" : l->o.in_flight ? "in-flight" : "window";
    uint64_t n = l->o.rate ? l->o.rate : l->o.in_flight ? l->o.in_flight : l->o.window;
    json_object_set_new(o, "mode", json_string(mode));
    json_object_set_new(o, mode, json_integer((json_int_t)n));
    json_object_set_new(o, "connections", json_integer((json_int_t)l->n));
    json_object_set_new(o, "edges", json_integer((json_int_t)l->o.edges.n));
    json_object_set_new(o, "body_bytes", json_integer((json_int_t)l->o.size));
}

json_t *report_result(struct load *l)
{
    const struct load_mark *a = &l->start, *b = &l->end;
    json_t *o = result_new("load", l->o.seed);
    uint64_t delivered = b->delivered - a->delivered;
    double span = seconds(b->at_ns - a->at_ns);
    add_mode(l, o);
    if (l->failure[0])
        json_object_set_new(o, "failure", json_string(l->failure));
    json_object_set_new(o, "seconds", json_real(span));
    json_object_set_new(o, "sent", json_integer((json_int_t)l->sent));
    json_object_set_new(o, "measured", json_integer((json_int_t)delivered));
    json_object_set_new(o, "delivered_per_s", json_real(span > 0 ? (double)delivered / span : 0));
    if (l->history) {
        double hspan = seconds(b->history_at_ns - a->history_at_ns);
        json_object_set_new(o, "rows_per_s",
                            json_real(hspan > 0 ? (double)(b->persisted - a->persisted) / hspan : 0));
        json_object_set_new(o, "history_behind_at_end",
                            json_integer((json_int_t)b->delivered - (json_int_t)b->persisted));
    }
    json_object_set_new(o, "tail_ms", json_real((double)(l->over.at_ns - b->at_ns) / 1e6));
    json_object_set_new(o, "ack_us", result_latency(l->ack));
    json_object_set_new(o, "deliver_us", result_latency(l->deliver));
    json_object_set_new(o, "sequenced_us", result_latency(l->sequenced));
    json_object_set_new(o, "cpu_us_per_message", procs_json(&l->procs, delivered));
    json_object_set_new(o, "client_cpu_us_per_message",
                        json_real(delivered ? (double)(b->self_us - a->self_us) / (double)delivered : 0));
    if (l->o.rate)
        json_object_set_new(o, "generator_late_max_ms", json_real((double)l->late_max_ns / 1e6));
    json_object_set_new(o, "leftovers", json_integer((json_int_t)l->leftovers));
    json_object_set_new(o, "faults", faults(l->check));
    return o;
}
