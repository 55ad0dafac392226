/* sim_jobs.c: many schedules over the cores, the summary, and the checker's own test. */
#include "tests/sim/sim.h"
#include "tests/sim/sim_run.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAIL 120

struct shared { /* between the workers */
    _Atomic uint64_t next, done, events, sends;
    _Atomic uint64_t fired[SIM_FAULTS];
    _Atomic uint32_t failures;
    struct sim_result failed[16];
    _Atomic uint32_t n_failed;
};

bool sim_plant_named(const char *name, enum sim_plant *out)
{
    for (int i = 0; i < SIM_PLANTS; i++)
        if (strcmp(sim_plant_names[i], name) == 0) {
            *out = (enum sim_plant)i;
            return true;
        }
    return false;
}

static void work(const struct sim_job *job, struct shared *all, uint32_t enough)
{
    for (;;) {
        uint64_t i = all->next++;
        struct sim_result r;
        if (i >= job->seeds || all->failures >= enough)
            break;
        sim_schedule(job->first + i, job->plant, false, &r);
        all->done++;
        all->events += r.events;
        all->sends += r.sends;
        for (int f = 0; f < SIM_FAULTS; f++)
            all->fired[f] += r.fired[f];
        if (!r.verdict[0])
            continue;
        all->failures++;
        uint32_t at = all->n_failed++;
        if (at < ARRAY_LEN(all->failed))
            all->failed[at] = r;
    }
    sim_schedule_release();
}

static struct shared *run(const struct sim_job *job, uint32_t enough)
{
    struct shared *all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned jobs = job->jobs ? job->jobs : cores > 0 ? (unsigned)cores : 1;
    if (all == MAP_FAILED)
        abort();
    fflush(stdout);
    for (unsigned i = 0; i < jobs; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            work(job, all, enough);
            exit(0);
        }
        if (pid < 0)
            abort();
    }
    for (unsigned i = 0; i < jobs; i++) {
        int status;
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
            printf("a worker died (status %d) near seed %" PRIu64 "\n", status, job->first + all->next);
            all->failures++;
        }
    }
    return all;
}

static void replay(const struct sim_job *job, const struct sim_result *r)
{
    struct sim_result again;
    sim_schedule(r->seed, job->plant, true, &again);
    sim_print_tail(TAIL);
    sim_schedule_release();
    if (strcmp(again.why, r->why) != 0)
        printf("NOT REPEATABLE: the replay says \"%s\" %s\n", again.verdict, again.why);
}

static void tell(const struct sim_job *job, const struct shared *all)
{
    for (uint32_t i = 0; i < all->n_failed && i < ARRAY_LEN(all->failed); i++) {
        const struct sim_result *r = &all->failed[i];
        if (i == 0)
            replay(job, r);
        printf("seed %" PRIu64 ": %s: %s\n", r->seed, r->verdict, r->why);
        printf("  replay: parley-sim --trace --seed %" PRIu64 "%s%s\n", r->seed,
               job->plant ? " --planted " : "", job->plant ? sim_plant_names[job->plant] : "");
    }
    printf("%" PRIu64 " schedules, %" PRIu64 " sends, %" PRIu64 " events\n", all->done, all->sends,
           all->events);
    printf("faults that fired:\n");
    for (int f = 0; f < SIM_FAULTS; f++)
        printf("  %8" PRIu64 "  %s\n", all->fired[f], sim_fault_names[f]);
    printf("%u schedules failed\n", all->failures);
}

static int trace_one(const struct sim_job *job)
{
    struct sim_result r;
    sim_schedule(job->first, job->plant, true, &r);
    sim_print_tail(SIZE_MAX);
    printf("seed %" PRIu64 ": %s %s\n", r.seed, r.verdict[0] ? r.verdict : "ok", r.why);
    sim_schedule_release();
    return r.verdict[0] != '\0';
}

int sim_job_run(const struct sim_job *job)
{
    if (job->trace)
        return trace_one(job);
    struct shared *all = run(job, 16);
    tell(job, all);
    int rc = all->failures ? 1 : 0;
    munmap(all, sizeof *all);
    return rc;
}

int sim_self_test(void)
{
    int bad = 0;
    for (int p = PLANT_NONE + 1; p < SIM_PLANTS; p++) {
        struct sim_job job = {.seeds = 2000, .first = 1, .plant = (enum sim_plant)p};
        struct shared *all = run(&job, 1);
        bool red = all->failures;
        printf("%s %s: %s", red ? "ok  " : "FAIL", sim_plant_names[p], red ? "found" : "not found");
        if (all->n_failed)
            printf(" after %" PRIu64 " schedules: %s: %s", all->done, all->failed[0].verdict,
                   all->failed[0].why);
        puts("");
        bad += !red;
        munmap(all, sizeof *all);
    }
    return bad ? 1 : 0;
}
