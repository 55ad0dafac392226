/* Random operations of several people over several edges, against a plain model of what must come of them (tests/model).
 *
 * TEST_PLANT names a defect that it must notice (tests/planted).
 *
 * RANDOM_SEED, RANDOM_SEEDS: the first seed and how many; RANDOM_SECONDS: how long each. A seed gives the same choices,
 * not the same interleaving; what happened is judged by the log of the run itself. */
#include "tests/support/pipeline.h"
#include "tests/support/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static long setting(const char *name, long otherwise)
{
    const char *v = getenv(name);
    return v && *v ? strtol(v, NULL, 10) : otherwise;
}

/* Generous limits: what is compared is what is allowed, not how often. */
static const char settings[] = "{\"edge\": {\"rate\": 100000, \"burst\": 100000, \"tries\": 10000, "
                               "\"query_rate\": 100000, \"query_burst\": 100000}}";

static void what_is_seen_is_what_the_log_says(void **state)
{
    long first = setting("RANDOM_SEED", 1), seeds = setting("RANDOM_SEEDS", 1),
         seconds = setting("RANDOM_SECONDS", 8);
    char tail[9000], seed[24], length[24], edges[1024];
    (void)state;
    if (getenv("TEST_PLANT") && *getenv("TEST_PLANT"))
        setenv("PARLEY_PLANT", getenv("TEST_PLANT"), 1); /* for the processes, in a build that can */
    struct pl *pl = pl_up(&(struct pl_conf){.settings = settings});
    const char *python = script_python();
    snprintf(tail, sizeof tail,
             "%s/parleyctl --config %s -q tail conversation --from beginning --until-end --open --json", pl_bins(pl),
             pl_config(pl));
    snprintf(edges, sizeof edges, "%s", pl_edges(pl, 0));
    snprintf(length, sizeof length, "%ld", seconds);
    for (long i = first; i < first + seeds; i++) {
        snprintf(seed, sizeof seed, "%ld", i);
        const char *const argv[] = {python,      "tests/model/random_ops.py",
                                    "--edges",   edges,
                                    "--tail",    tail,
                                    "--psql",    pl_conninfo(pl),
                                    "--seed",    seed,
                                    "--seconds", length,
                                    NULL};
        assert_int_equal(script_run(argv, NULL, 0), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_seen_is_what_the_log_says),
    };
    return pl_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
