#include "common/base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct job {
    struct pool_job job;
    int in, out;
    int done, cancelled;
    pthread_t by;
};

static int n_done;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: jobs that wait for it are "running" */

static void square(struct pool_job *j)
{
    struct job *job = container_of(j, struct job, job);
    job->by = pthread_self();
    job->out = job->in * job->in;
}

static void square_after_gate(struct pool_job *j)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    square(j);
}

static void on_done(struct pool_job *j)
{
    struct job *job = container_of(j, struct job, job);
    job->done++;
    job->cancelled = j->cancelled;
    n_done++;
}

static void results_come_to_the_loop(void **state)
{
    (void)state;
    enum { N = 500 };
    static struct job jobs[N];
    struct loop *loop;
    struct pool *pool;
    n_done = 0;
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(pool_new(&pool, loop, 2, 8), 0);
    for (int i = 0, refused = 0; n_done < N;) {
        int rc = -EAGAIN;
        if (i < N) {
            jobs[i] = (struct job){.job = {.work = square, .done = on_done}, .in = i};
            rc = pool_submit(pool, &jobs[i].job);
            assert_true(rc == 0 || rc == -EAGAIN);
            i += rc == 0;
            refused += rc != 0;
        }
        if (rc)
            assert_int_equal(loop_turn(loop, n_done < i ? -1 : 0), 0);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].out, i * i);
        assert_int_equal(jobs[i].done, 1);
        assert_false(pthread_equal(jobs[i].by, pthread_self()));
    }
    pool_free(pool);
    loop_free(loop);
}

static void full_is_refused_and_the_rest_cancelled(void **state)
{
    (void)state;
    static struct job jobs[8];
    struct loop *loop;
    struct pool *pool;
    int accepted = 0;
    n_done = 0;
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(pool_new(&pool, loop, 1, 2), 0);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < 8; i++) { /* one may run, two may wait */
        jobs[i].job = (struct pool_job){.work = square_after_gate, .done = on_done};
        int rc = pool_submit(pool, &jobs[i].job);
        assert_true(rc == 0 || rc == -EAGAIN);
        accepted += rc == 0;
    }
    assert_in_range(accepted, 2, 3);
    pthread_mutex_unlock(&gate);
    pool_free(pool); /* waits for what runs; the others are told */
    assert_int_equal(n_done, accepted);
    pool_free(NULL);
    loop_free(loop);
}

static struct pool *chained;
static int rounds;

static void submit_again(struct pool_job *j)
{
    if (++rounds < 50 && !j->cancelled)
        assert_int_equal(pool_submit(chained, j), 0);
}

static void done_may_submit(void **state)
{
    (void)state;
    struct loop *loop;
    struct job job = {.job = {.work = square, .done = submit_again}, .in = 3};
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(pool_new(&chained, loop, 2, 1), 0);
    assert_int_equal(pool_submit(chained, &job.job), 0);
    while (rounds < 50)
        assert_int_equal(loop_turn(loop, -1), 0);
    pool_free(chained);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_to_the_loop),
        cmocka_unit_test(full_is_refused_and_the_rest_cancelled),
        cmocka_unit_test(done_may_submit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
