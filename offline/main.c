/* parley-offline: keeps what each device has not got yet, and looks after the delivery slots of dead edges.
 *
 * reads    im.offline and im.cursor (group parley-offline); im.lease and im.presence as views; slots without an edge
 *          (their groups); at a recovery im.user
 * writes   im.deliver.<slot>, im.dlq; im.offline, when it finds out whom something was for; as minder im.lease (EXPIRE), im.offline (bounces), im.presence (tombstones)
 * keeps    queues and cursors per device in Redis; makes them again from im.offline, im.cursor and im.user
 * commits  when its output is acked and the rows are in Redis; a minded slot below what was handed back */
#include "common/im/worker.h"
#include "offline/minder.h"
#include "offline/recover.h"
#include "offline/settings.h"

#include <errno.h>
#include <stdlib.h>

struct process {
    struct worker worker;
    struct worker_conf conf;
    struct minder *minder;
    const struct offline_process_settings *settings;
    struct offline_settings core; /* and what its cores look at */
    struct secrets *secrets;
};

static const uint16_t inputs[] = {T_OFFLINE, T_CURSOR};
static const uint16_t outputs[] = {T_OFFLINE};

static void started(void *ctx)
{
    struct process *p = ctx;
    struct worker *w = &p->worker;
    p->core.presence = w->views.presence;
    p->core.bodies = bodyview_keys(w->bodies);
    p->core.parts = topics_get(w->deploy.topics, T_OFFLINE)->parts;
    p->minder = minder_new(w->run, &w->deploy, &w->views, &p->settings->minder);
    if (!p->minder)
        daemon_fail(w->run);
}

static void lease_changed(void *ctx)
{
    minder_lease_changed(((struct process *)ctx)->minder);
}

static int init(struct daemon_run *run)
{
    struct process *p = run->state = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->settings = run->settings;
    p->core = p->settings->core;
    p->secrets = bodyview_secrets(&p->settings->bodies);
    if (!p->secrets)
        return -EINVAL;
    p->conf = (struct worker_conf){.name = "offline",
                                   .group = GROUP_OFFLINE,
                                   .inputs = inputs,
                                   .n_inputs = ARRAY_LEN(inputs),
                                   .outputs = outputs,
                                   .n_outputs = ARRAY_LEN(outputs),
                                   .ops = &offline_core,
                                   .follow = FOLLOW_PRESENCE | FOLLOW_ENDED | FOLLOW_LATER,
                                   .bodies = true,
                                   .secrets = p->secrets,
                                   .rebuild = offline_recover_decl(),
                                   .started = started,
                                   .lease_changed = lease_changed,
                                   .ctx = p,
                                   .batches = 8,
                                   .put_ms = 5};
    return worker_init(&p->worker, run, &p->conf, &p->settings->deploy, &p->core);
}

static void slots_left(void *ctx)
{
    worker_drain(ctx);
}

static void drain(struct daemon_run *run)
{
    struct process *p = run->state;
    minder_drain(p->minder, slots_left, &p->worker);
}

static void fini(struct daemon_run *run)
{
    struct process *p = run->state;
    if (!p)
        return;
    minder_free(p->minder);
    worker_release(&p->worker);
    secrets_free(p->secrets);
    free(p);
}

int main(int argc, char **argv)
{
    const struct daemon d = {.name = "offline",
                             .summary =
                                 "keeps what each device has not got yet; looks after slots of dead edges",
                             .examples = "  parley-offline --config parley.json   # one or more\n",
                             .http = "127.0.0.1:9105",
                             .tables = offline_tables,
                             .n_tables = OFFLINE_TABLES,
                             .settings_size = sizeof(struct offline_process_settings),
                             .sections = deploy_sections,
                             .init = init,
                             .drain = drain,
                             .fini = fini};
    return daemon_main(argc, argv, &d);
}
