/* feature.h: test cases that are told in Python (tests/features), each of them one cmocka test. Failures fail the test. */
#ifndef PARLEY_SUPPORT_FEATURE_H
#define PARLEY_SUPPORT_FEATURE_H

#include "tests/support/pipeline.h"
#include "tests/support/script.h"

/* Two of everything but the persister, and limits that are in nobody's way; `more` is JSON laid over, or NULL. */
struct pl *feature_up(const char *more);

/* Runs `name` of tests/features/SCRIPT.py, with what an earlier one answered when `state` is not NULL. Its answer goes to
 * `answer` (of n bytes) when that is not NULL. */
void feature_run(struct pl *, const char *script, const char *name, const char *state, char *answer,
                 size_t n);

/* ---- a program of such cases: they run on one deployment, made by feature_setup as the group's set-up ---- */
extern struct pl *feature_pl;
int feature_setup(void **state);

/* The cmocka test `name` is the case of that name. */
#define FEATURE(script, name)                                  \
    static void name(void **state)                             \
    {                                                          \
        (void)state;                                           \
        feature_run(feature_pl, script, #name, NULL, NULL, 0); \
    }
/* The same on a deployment of its own, with these settings. */
#define FEATURE_WITH(script, name, settings)                             \
    static void name(void **state)                                       \
    {                                                                    \
        (void)state;                                                     \
        feature_run(feature_up(settings), script, #name, NULL, NULL, 0); \
    }

#endif
