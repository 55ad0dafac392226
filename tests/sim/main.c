/* parley-sim: seeded schedules of a whole deployment, without time, threads or servers. tests/sim/README.md. */
#include "common/base/log.h"
#include "tests/sim/sim_run.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>

static bool number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && *text && !*end;
}

static int usage(void)
{
    puts("parley-sim [--seeds N] [--seed FIRST] [--jobs N] [--trace] [--planted NAME] [--self-test] "
         "[--verbose]");
    puts("  runs N schedules (default 1000) from seed FIRST (default 1)");
    puts("  --trace      prints every event of one schedule");
    fputs("  --planted    builds in a defect:", stdout);
    for (int p = PLANT_NONE + 1; p < SIM_PLANTS; p++)
        printf(" %s", sim_plant_names[p]);
    puts("");
    puts("  --self-test  every planted defect must be found");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},   {"seed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},    {"trace", no_argument, NULL, 't'},
        {"planted", required_argument, NULL, 'p'}, {"self-test", no_argument, NULL, 'S'},
        {"verbose", no_argument, NULL, 'v'},       {0}};
    struct sim_job job = {.seeds = 1000, .first = 1};
    bool self_test = false;
    uint64_t n;
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'n' && number(optarg, &n))
            job.seeds = n;
        else if (o == 's' && number(optarg, &n))
            job.first = n;
        else if (o == 'j' && number(optarg, &n))
            job.jobs = (unsigned)n;
        else if (o == 't')
            job.trace = true;
        else if (o == 'p' && sim_plant_named(optarg, &job.plant))
            ;
        else if (o == 'S')
            self_test = true;
        else if (o == 'v')
            job.verbose = true;
        else
            return usage();
    }
    log_setup(
        &(struct log_options){.process = "sim", .level = job.trace ? LOG_WARNINGS : LOG_NOTHING, .fd = 1});
    return self_test ? sim_self_test() : sim_job_run(&job);
}
