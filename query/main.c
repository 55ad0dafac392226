/* parley-query: answers questions about history, conversations and people from the read models in PostgreSQL.
 *
 * reads    im.query (group parley-query); im.presence and im.lease (views)
 * writes   im.deliver.<slot>, im.dlq
 * keeps    nothing but who wants to hear of whom coming and going, for five minutes
 * commits  when the answers to all questions below the position are acked */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/im/deploy.h"
#include "common/im/follow.h"
#include "query/intake.h"
#include "query/judge.h"
#include "query/names.h"
#include "query/subs.h"

#include <errno.h>
#include <stdlib.h>

#define NAMES_MAX 50000

struct settings {
    struct deploy_settings deploy;
    int64_t connections, window, receipt_cap, subscriptions, subscriptions_per_user;
};

static const struct conf_def query_defs[] = {
    CONF_INT("query.connections", struct settings, connections, "4", 1, 64,
             "Connections to PostgreSQL; one of them is for searches."),
    CONF_INT("query.window", struct settings, window, "256", 8, 4096, "Questions answered at a time."),
    CONF_INT("query.receipt_cap", struct settings, receipt_cap, "100", 0, 10000,
             "In groups of more members it is not told who read what; as router.receipt_cap."),
    CONF_INT(
        "query.subscriptions", struct settings, subscriptions, "200000", 0, 10000000,
        "Pairs of a connection and a user whose coming and going it wants to hear of; about 100 bytes each."),
    CONF_INT("query.subscriptions_per_user", struct settings, subscriptions_per_user, "2000", 500, 10000000,
             "Of those, what one user has at most, over all its connections; past it: TOO_MANY_REQUESTS."),
};

struct process {
    struct daemon_run *run;
    struct deploy deploy;
    struct follow views;
    struct question_env env;
    struct subs *subs;
    struct judge *judge;
    struct names *names;
    struct work *work;
    struct intake *intake;
    struct timer tick;
    bool ticking, stopping;
};

/* ---- who is online ---- */

static bool online(void *ctx, struct id16 user)
{
    const struct session *s[PRESENCE_LIVE_MAX];
    return presence_sessions(((struct process *)ctx)->views.presence, user, s) > 0;
}

static bool device_online(void *ctx, struct id16 user, uint32_t device)
{
    return presence_device(((struct process *)ctx)->views.presence, user, device);
}

static const char *login_of(void *ctx, struct id16 user)
{
    return names_get(((struct process *)ctx)->names, user);
}

static void learn(void *ctx, struct id16 user, const char *login)
{
    names_put(((struct process *)ctx)->names, user, login);
}

static bool alive(void *ctx, const struct session *s)
{
    return presence_is_live(((struct process *)ctx)->views.presence, s);
}

static void tell(void *ctx, const struct session *to, const struct id16 *users, const bool *states, size_t n)
{
    struct process *p = ctx;
    Im__PresencePush push = IM__PRESENCE_PUSH__INIT;
    Im__Presence pb[SUBS_TELL_MAX], *list[SUBS_TELL_MAX];
    int64_t now = clock_wall_ms() / 60000 * 60000;
    for (size_t i = 0; i < n; i++) {
        list[i] = &pb[i];
        im__presence__init(&pb[i]);
        pb[i].user = bytes_of_id(&users[i]);
        pb[i].online = states[i];
        pb[i].last_seen_ms = states[i] ? 0 : now;
    }
    push.n_users = n;
    push.users = list;
    answer_push(work_answers(p->work), to, IM__FRAME_TYPE__PRESENCE_PUSH, &push.base);
}

/* Who may not hear of it (any more) is left out. */
static void tell_judged(void *ctx, const struct session *to, const struct id16 *users, const bool *states,
                        size_t n)
{
    judge_add(((struct process *)ctx)->judge, to, users, states, n);
}

static int read_for_judge(void *ctx, const struct ask *a, db_fn *fn, void *fn_ctx)
{
    return work_read(((struct process *)ctx)->work, a, fn, fn_ctx);
}

static void tick_soon(struct process *p)
{
    if (p->ticking || !p->subs || !(subs_busy(p->subs) || judge_busy(p->judge)))
        return;
    p->ticking = true;
    loop_timer_start(p->run->loop, &p->tick, SUBS_TICK_MS);
}

static void on_tick(struct timer *t)
{
    struct process *p = container_of(t, struct process, tick);
    p->ticking = false;
    if (!judge_busy(p->judge)) /* else those that come and go meanwhile are told with the next ones */
        subs_tick(p->subs, loop_now_ms(p->run->loop));
    judge_run(p->judge);
    tick_soon(p);
}

static int subscribe(void *ctx, const struct session *s, const struct id16 *users, const bool *states,
                     size_t n)
{
    struct process *p = ctx;
    int rc = subs_set(p->subs, s, users, states, n, loop_now_ms(p->run->loop));
    tick_soon(p);
    return rc;
}

static void moved(void *ctx, const struct session *s, bool gone)
{
    struct process *p = ctx;
    if (gone)
        subs_drop(p->subs, s);
    subs_touch(p->subs, s->user);
    tick_soon(p);
}

static void lease_changed(void *ctx)
{
    struct process *p = ctx;
    if (!p->subs)
        return;
    subs_touch_all(p->subs);
    tick_soon(p);
}

/* ---- start ---- */

static void done(void *ctx, const struct work_token *token)
{
    struct process *p = ctx;
    if (p->intake)
        intake_done(p->intake, token);
}

static bool ours(void *ctx, struct id16 user)
{
    return intake_owns(((struct process *)ctx)->intake, user);
}

/* Whoever has a user's questions now hears from the client again; two would push twice. */
static void assigned(void *ctx)
{
    struct process *p = ctx;
    if (p->intake)
        subs_keep(p->subs, ours, p);
}

static void views_ready(void *ctx)
{
    struct process *p = ctx;
    if (p->stopping)
        return;
    follow_moves(&p->views, moved);
    p->intake = intake_new(p->run, &p->deploy, p->work, p->views.lease);
    if (p->intake)
        intake_on_assigned(p->intake, assigned, p);
    else
        daemon_fail(p->run);
}

static void topics_ready(void *ctx)
{
    struct process *p = ctx;
    const struct settings *s = p->run->settings;
    const struct work_conf work = {.run = p->run,
                                   .deploy = &p->deploy,
                                   .env = &p->env,
                                   .connections = (unsigned)s->connections,
                                   .window = (unsigned)s->window,
                                   .ctx = p,
                                   .done = done};
    if (p->stopping)
        return;
    p->work = work_new(&work);
    if (!p->work || follow_init(&p->views, p->run, &p->deploy, FOLLOW_LEASE | FOLLOW_PRESENCE | FOLLOW_LATER,
                                views_ready, lease_changed, p))
        daemon_fail(p->run);
}

static int init(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    struct process *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->run = run;
    run->state = p;
    timer_init(&p->tick, on_tick);
    p->env = (struct question_env){.receipt_cap = (uint32_t)s->receipt_cap,
                                   .system = id_system(),
                                   .ctx = p,
                                   .online = online,
                                   .device_online = device_online,
                                   .login = login_of,
                                   .learn = learn,
                                   .subscribe = subscribe};
    const struct subs_env env = {p, online, alive, tell_judged};
    const struct judge_conf judge = {p, read_for_judge, tell};
    p->judge = judge_new(&judge);
    p->names = names_new(NAMES_MAX);
    p->subs = subs_new(&env, (uint32_t)s->subscriptions, (uint32_t)s->subscriptions_per_user);
    int rc = p->subs && p->judge && p->names ? deploy_init(&p->deploy, &s->deploy, "query") : -ENOMEM;
    if (rc)
        return rc;
    ready_wait(run->ready, "kafka", "not begun yet"); /* no moment without a word */
    return deploy_wait(&p->deploy, run, topics_ready, p);
}

static void left(void *ctx)
{
    struct process *p = ctx;
    daemon_drained(p->run);
}

static void drain(struct daemon_run *run)
{
    struct process *p = run->state;
    p->stopping = true;
    if (p->intake)
        intake_stop(p->intake, left, p);
    else
        daemon_drained(run);
}

static void fini(struct daemon_run *run)
{
    struct process *p = run->state;
    if (!p)
        return;
    loop_timer_stop(run->loop, &p->tick);
    work_free(p->work); /* dead letters on their way tell the intake */
    intake_free(p->intake);
    follow_release(&p->views);
    subs_free(p->subs);
    judge_free(p->judge);
    names_free(p->names);
    deploy_release(&p->deploy);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct conf_table tables[] = {{.defs = query_defs, .n = ARRAY_LEN(query_defs)},
                                               DEPLOY_TABLE(struct settings, deploy)};
    return daemon_main(argc, argv,
                       &(struct daemon){
                           .name = "query",
                           .summary = "answers questions from the read models in PostgreSQL",
                           .examples = "  parley-query --config parley.json   # beside a persister\n",
                           .http = "127.0.0.1:9106",
                           .tables = tables,
                           .n_tables = ARRAY_LEN(tables),
                           .settings_size = sizeof(struct settings),
                           .sections = deploy_sections,
                           .init = init,
                           .drain = drain,
                           .fini = fini,
                       });
}
