/* The random operations of test_random while processes and servers die in random order: once all is healed, the model finds
 * no difference: outcomes, history, lists, unread, and what every device was pushed or told of.
 *
 * RANDOM_SEED, RANDOM_SEEDS, RANDOM_SECONDS as there; the order of the faults comes of the seed too. FAULT_EVERY_MS: the
 * pause between two, on average. FAULT_NO_BROKER=1: Kafka lives; its start is the longest part of a run. */
#include "tests/support/pipeline.h"
#include "tests/support/script.h"

#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SLEEP_MS 13000  /* past the session time-out of a slot's group */
#define JUDGE_MS 200000 /* for the operations after healing, and the comparison */

static struct pl *pl;

/* Of one run. */
static struct {
    unsigned seed;
    int64_t begun, woken; /* woken: when the sleeping process is to go on; 0: none sleeps */
    enum pl_kind kind;    /* of the sleeper */
    int sleeper, fired;
} now;

static long setting(const char *name, long otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtol(v, NULL, 10) : otherwise;
}

/* Generous limits, as in test_random. */
static const char settings[] = "{\"edge\": {\"rate\": 100000, \"burst\": 100000, \"tries\": 10000, "
                               "\"query_rate\": 100000, \"query_burst\": 100000}}";

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {3, 2, 2, 1, 2, 1}, .settings = settings});
    return 0;
}

static int below(int n)
{
    return (int)((unsigned)rand_r(&now.seed) % (unsigned)n);
}

static void say(const char *what, const char *whom, int i)
{
    now.fired++;
    fprintf(stderr, "  %6.2f s: %s %s-%d\n", (double)(clock_mono_ms() - now.begun) / 1000, what, whom, i);
}

/* ---- faults ---- */

enum fault {
    KILL_FIRST,
    REDIS_FORGETS = PL_ALWAYS,
    POSTGRES_DIES,
    BROKER_DIES,
    EDGE_SLEEPS,
    OTHER_SLEEPS,
    FAULTS
};

static const char *const names[PL_ALWAYS] = {"edge", "router", "fanout", "persister", "offline", "query"};

static void kill_process(enum pl_kind kind)
{
    int i = below(pl_count(pl, kind));
    if (kind == now.kind && now.woken && i == now.sleeper)
        i = (i + 1) % pl_count(pl, kind);
    pl_look_after(pl);
    say("kill -9", names[kind], i);
    pl_signal(pl, kind, i, SIGKILL);
}

static void server_dies(const char *name)
{
    say("kill -9", name, 0);
    pl_server(pl, "kill9", name);
    pl_server(pl, "start-one", name);
}

static void wake(void)
{
    if (!now.woken)
        return;
    now.woken = 0;
    pl_signal(pl, now.kind, now.sleeper, SIGCONT);
}

static void wait_for_the_sleeper(void)
{
    while (now.woken && clock_mono_ms() < now.woken)
        pl_turn(pl, INT64_MAX, "", __FILE__, __LINE__);
    wake();
}

static void put_to_sleep(enum pl_kind kind)
{
    wait_for_the_sleeper();
    now.kind = kind;
    now.sleeper = below(pl_count(pl, kind));
    now.woken = clock_mono_ms() + SLEEP_MS;
    pl_look_after(pl);
    say("sleep", names[kind], now.sleeper);
    pl_signal(pl, kind, now.sleeper, SIGSTOP);
}

static void happen(int fault)
{
    if (fault < PL_ALWAYS)
        kill_process((enum pl_kind)fault);
    else if (fault == REDIS_FORGETS) {
        say("FLUSHALL", "redis", 0);
        pl_redis(pl, "FLUSHALL");
    } else if (fault == EDGE_SLEEPS)
        put_to_sleep(PL_EDGE);
    else if (fault == OTHER_SLEEPS)
        put_to_sleep((enum pl_kind)(1 + below(PL_ALWAYS - 1)));
    else
        server_dies(fault == POSTGRES_DIES ? "postgres" : "kafka");
}

/* Each process twice, each server once, in an order of the seed's. */
static size_t shuffled(int *faults)
{
    size_t n = 0;
    for (int f = 0; f < FAULTS; f++) {
        int times = f < PL_ALWAYS ? 2 : f == BROKER_DIES && setting("FAULT_NO_BROKER", 0) ? 0 : 1;
        while (times-- > 0)
            faults[n++] = f;
    }
    for (size_t i = n - 1; i > 0; i--) {
        size_t k = (size_t)below((int)i + 1);
        int f = faults[i];
        faults[i] = faults[k];
        faults[k] = f;
    }
    return n;
}

/* ---- the run ---- */

/* Looks after the processes for that long, or until the script has ended. */
static bool goes_on(pid_t script, int64_t ms, int *status)
{
    int64_t until = clock_mono_ms() + ms;
    while (clock_mono_ms() < until) {
        if (waitpid(script, status, WNOHANG) == script)
            return false;
        if (now.woken && clock_mono_ms() > now.woken)
            wake();
        pl_turn(pl, INT64_MAX, "", __FILE__, __LINE__);
    }
    return true;
}

static void everything_heals(const char *file)
{
    wait_for_the_sleeper();
    pl_look_after(pl);
    pl_wait_ready(pl);
    say("healed", "all", 0);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fclose(f);
}

static pid_t start(long seed, long seconds, const char *healed)
{
    char tail[9000], number[24], length[24], edges[1024];
    const char *python = script_python();
    snprintf(tail, sizeof tail,
             "%s/parleyctl --config %s -q tail conversation --from beginning --until-end --open --json", pl_bins(pl),
             pl_config(pl));
    snprintf(edges, sizeof edges, "%s", pl_edges(pl, 0));
    snprintf(number, sizeof number, "%ld", seed);
    snprintf(length, sizeof length, "%ld", seconds);
    const char *const argv[] = {python,       "tests/model/random_ops.py",
                                "--edges",    edges,
                                "--tail",     tail,
                                "--psql",     pl_conninfo(pl),
                                "--seed",     number,
                                "--seconds",  length,
                                "--healed",   healed,
                                "--patience", "6",
                                NULL};
    return script_start(argv);
}

static void run(long seed, long seconds)
{
    int faults[2 * FAULTS], status = 0;
    long every = setting("FAULT_EVERY_MS", 1200);
    char healed[PATH_MAX + 32];
    memset(&now, 0, sizeof now);
    now.seed = (unsigned)seed;
    snprintf(healed, sizeof healed, "%s/healed-%ld", pl_folder(pl), seed);
    pid_t script = start(seed, seconds, healed);
    now.begun = clock_mono_ms();
    size_t n = shuffled(faults);
    bool on = goes_on(script, 2000, &status);
    for (size_t i = 0; on && (i < n || clock_mono_ms() - now.begun < seconds * 1000); i++) {
        happen(faults[i % n]);
        on = goes_on(script, every / 2 + below((int)every), &status);
    }
    assert_true(now.fired > 0);
    if (on) {
        everything_heals(healed);
        on = goes_on(script, pl_ms(JUDGE_MS), &status);
    }
    if (on) {
        kill(script, SIGKILL);
        waitpid(script, &status, 0);
    }
    assert_int_equal(status, 0);
}

static void whatever_dies_it_is_what_the_log_says(void **state)
{
    long first = setting("RANDOM_SEED", 1), seeds = setting("RANDOM_SEEDS", 1),
         seconds = setting("RANDOM_SECONDS", 20);
    (void)state;
    pl_supervise(pl, true);
    for (long i = first; i < first + seeds; i++)
        run(i, seconds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_dies_it_is_what_the_log_says),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
