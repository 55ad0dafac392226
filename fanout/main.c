/* parley-fanout: gives every message its number and says which edges get it.
 *
 * reads    im.conversation (group parley-fanout); im.lease, im.presence and im.vault as views; of the partitions it has, what is
 *          new in im.signal (no group, no commit: what is missed is missed)
 * writes   im.deliver.<slot>, im.offline, im.dlq
 * keeps    the reducer's cells in Redis; recovers them from PostgreSQL
 * commits  when its output is acked and the cells are in Redis */
#include "common/base/clock.h"
#include "common/base/klive.h"
#include "common/base/metrics.h"
#include "common/im/worker.h"
#include "fanout/core.h"
#include "fanout/restore.h"

#include <errno.h>
#include <stdlib.h>

struct settings {
    struct fanout_settings core;
    struct deploy_settings deploy;
    struct bodyview_settings bodies;
};

static const struct conf_def fanout_defs[] = {
    CONF_SIZE("fanout.cache", struct fanout_settings, cache_bytes, "64MiB", 1 << 20, 1LL << 36,
              "Conversations kept in memory, per partition; further ones are read from Redis."),
};

#define SIGNAL_MS 5000 /* older ones are of no use */

METRIC_COUNTER(signals, "parley_fanout_signals_total", "Signals read.");
METRIC_COUNTER(signals_lost, "parley_fanout_signals_lost_total", "Signals that came too late, or in a rush.");

struct process {
    struct worker worker;
    struct worker_conf conf;
    struct fanout_views views;
    struct restore_conf restore;
    struct klive *signals;
    struct secrets *secrets;
};

static const uint16_t inputs[] = {T_CONVERSATION};
static const uint16_t outputs[] = {T_OFFLINE};

static void recover(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    restore_begin(&((struct process *)ctx)->restore, r, gap);
}

static void recover_room(void *ctx, struct shell_recovery *r)
{
    (void)ctx;
    restore_room(r);
}

static void recover_cancel(void *ctx, struct shell_recovery *r)
{
    (void)ctx;
    restore_cancel(r);
}

static void on_signal(void *ctx, const struct record *r)
{
    struct process *p = ctx;
    metric_add(&signals, 1);
    if (clock_wall_ms() - r->time_ms > SIGNAL_MS || !shell_offer(p->worker.shell, r, SIGNAL_MS))
        metric_add(&signals_lost, 1);
}

static void opened(void *ctx, int32_t part)
{
    klive_add(((struct process *)ctx)->signals, part);
}

static void closed(void *ctx, int32_t part)
{
    klive_remove(((struct process *)ctx)->signals, part);
}

static void started(void *ctx)
{
    struct process *p = ctx;
    const struct follow *v = &p->worker.views;
    const struct deploy *d = &p->worker.deploy;
    p->views = (struct fanout_views){.presence = v->presence,
                                     .lease = v->lease,
                                     .bodies = bodyview_keys(p->worker.bodies),
                                     .offline_parts = topics_get(d->topics, T_OFFLINE)->parts};
    const struct klive_conf conf = {.kafka = d->kafka,
                                    .topic = T_SIGNAL,
                                    .name = topics_name(d->topics, T_SIGNAL),
                                    .partitions = topics_get(d->topics, T_SIGNAL)->parts,
                                    .ctx = p,
                                    .message = on_signal};
    p->signals = klive_new(p->worker.run->loop, &conf);
    if (!p->signals)
        daemon_fail(p->worker.run);
}

static int init(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    struct process *p = run->state = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->secrets = bodyview_secrets(&s->bodies);
    if (!p->secrets)
        return -EINVAL;
    p->restore = (struct restore_conf){.loop = run->loop, .conninfo = s->deploy.postgres};
    p->conf = (struct worker_conf){.name = "fanout",
                                   .group = GROUP_FANOUT,
                                   .inputs = inputs,
                                   .n_inputs = ARRAY_LEN(inputs),
                                   .outputs = outputs,
                                   .n_outputs = ARRAY_LEN(outputs),
                                   .ops = &fanout_core,
                                   .shared = &p->views,
                                   .follow = FOLLOW_PRESENCE,
                                   .bodies = true,
                                   .secrets = p->secrets,
                                   .recover = recover,
                                   .recover_room = recover_room,
                                   .recover_cancel = recover_cancel,
                                   .started = started,
                                   .opened = opened,
                                   .closed = closed,
                                   .ctx = p,
                                   .batches = 8,
                                   .put_ms = 5};
    return worker_init(&p->worker, run, &p->conf, &s->deploy, &s->core);
}

static void drain(struct daemon_run *run)
{
    worker_drain(&((struct process *)run->state)->worker);
}

static void fini(struct daemon_run *run)
{
    struct process *p = run->state;
    if (!p)
        return;
    worker_release(&p->worker); /* closes what is open */
    klive_free(p->signals);
    secrets_free(p->secrets);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct conf_table tables[] = {CONF_TABLE(fanout_defs, struct settings, core),
                                               BODYVIEW_TABLE(struct settings, bodies),
                                               DEPLOY_TABLE(struct settings, deploy)};
    return daemon_main(
        argc, argv,
        &(struct daemon){
            .name = "fanout",
            .summary = "numbers messages and sends them to the edges of their members",
            .examples = "  parley-fanout --config parley.json   # as many as there are partitions\n",
            .http = "127.0.0.1:9103",
            .tables = tables,
            .n_tables = ARRAY_LEN(tables),
            .settings_size = sizeof(struct settings),
            .sections = deploy_sections,
            .init = init,
            .drain = drain,
            .fini = fini,
        });
}
