/* sim_quiet.c: has it come to rest? */
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_world.h"

static const char *process_busy(const struct sim *s, const struct sim_proc *p)
{
    if (!p->actor.alive || !p->ready || p->actor.paused_until > s->now)
        return "is not running";
    if (p->view.lease && !sim_view_current(&p->view))
        return "has not seen all of its views";
    return p->producer.in_flight ? "has sends in flight" : NULL;
}

static bool processes_quiet(const struct sim *s, char *why, size_t n)
{
    const struct sim_world *w = s->world;
    for (size_t g = 0; g < SIM_GROUPS; g++)
        for (int32_t i = 0; i < w->groups[g].parts; i++) {
            const struct sim_proc *p = w->groups[g].part[i].owner;
            const struct sim_shell *sh = p ? p->shells[g == SGROUP_USERS][i] : NULL;
            if (!sh || !sim_group_owns(&w->groups[g], i, p) || !sim_shell_idle(sh)) {
                snprintf(why, n, "%s/%d is not idle", w->groups[g].name, i);
                return false;
            }
        }
    for (int k = 0; k < SIM_KINDS; k++)
        for (uint32_t i = 0; i < s->conf.workers; i++) {
            const char *busy = process_busy(s, &w->procs[k][i]);
            if (busy) {
                snprintf(why, n, "%s %s", w->procs[k][i].actor.name, busy);
                return false;
            }
        }
    return true;
}

bool sim_quiet(struct sim *s, char *why, size_t n)
{
    struct sim_world *w = s->world;
    const char *what;
    for (size_t i = 0; i < SIM_GROUPS; i++)
        if (sim_group_lag(&w->groups[i])) {
            snprintf(why, n, "%s lags by %ld", w->groups[i].name, (long)sim_group_lag(&w->groups[i]));
            return false;
        }
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        if (w->slots[i].committed != sim_log_end(s, topic_of_slot(i), 0)) {
            snprintf(why, n, "slot %u waits unread: %ld of %ld", i, (long)w->slots[i].committed,
                     (long)sim_log_end(s, topic_of_slot(i), 0));
            return false;
        }
    for (uint32_t i = 0; i < w->n_clients; i++)
        if (w->clients[i].lives && !sim_client_done(&w->clients[i], &what)) {
            snprintf(why, n, "%s %s", w->clients[i].name, what);
            return false;
        }
    return processes_quiet(s, why, n);
}
