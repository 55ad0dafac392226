#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char usual[] =
    "{\"edge\": {\"rate\": 100000, \"burst\": 100000, \"tries\": 10000, \"query_rate\": "
    "10000, \"query_burst\": 10000}}";

struct pl *feature_up(const char *more)
{
    struct pl_conf conf = {.n = {2, 2, 2, 1, 2, 2}, .settings = more ? more : usual};
    return pl_up(&conf);
}

struct pl *feature_pl;

int feature_setup(void **state)
{
    (void)state;
    feature_pl = feature_up(NULL);
    return 0;
}

void feature_run(struct pl *pl, const char *script, const char *name, const char *state, char *answer,
                 size_t n)
{
    char path[256], ctl[9000], edges[1024];
    const char *python = script_python();
    snprintf(path, sizeof path, "tests/features/%s.py", script);
    snprintf(ctl, sizeof ctl, "%s/parleyctl --config %s -q", pl_bins(pl), pl_config(pl));
    snprintf(edges, sizeof edges, "%s", pl_edges(pl, 0));
    const char *const argv[] = {python,  path, "--edges", edges, "--psql", pl_conninfo(pl),
                                "--ctl", ctl,  name,      state, NULL};
    assert_int_equal(script_run(argv, answer, n), 0);
    pl_look_after(pl); /* nothing died of it */
}
