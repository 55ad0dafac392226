#include "common/base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char trace[64]; /* what ran, one letter each */

static void note(char c)
{
    size_t n = strlen(trace);
    if (n + 1 < sizeof trace)
        trace[n] = c;
}

struct fixture {
    struct loop *loop;
    struct loop_fd a, b;
    int p[2], q[2];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    memset(trace, 0, sizeof trace);
    *state = f;
    return loop_new(&f->loop) || pipe(f->p) || pipe(f->q);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        close(f->p[i]);
        close(f->q[i]);
    }
    loop_free(f->loop);
    free(f);
    return 0;
}

static struct fixture *now; /* the one being tested */

static void read_one(struct loop_fd *f, uint32_t events)
{
    char c;
    assert_true(events & EPOLLIN);
    assert_int_equal(read(f->fd, &c, 1), 1);
    note(c);
}

static void delete_both(struct loop_fd *f, uint32_t events)
{
    (void)f;
    (void)events;
    note('d');
    loop_del(now->loop, &now->a);
    loop_del(now->loop, &now->b);
}

static void descriptors(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(loop_add(f->loop, &f->a, f->p[0], EPOLLIN, read_one), 0);
    assert_int_equal(loop_turn(f->loop, 0), 0);
    assert_string_equal(trace, "");
    assert_int_equal(write(f->p[1], "xy", 2), 2);
    assert_int_equal(loop_turn(f->loop, -1), 0);
    assert_int_equal(loop_turn(f->loop, -1), 0); /* level-triggered: the rest is reported again */
    assert_string_equal(trace, "xy");
    assert_int_equal(write(f->p[1], "z", 1), 1);
    assert_int_equal(loop_mod(f->loop, &f->a, 0), 0);
    assert_int_equal(loop_turn(f->loop, 0), 0);
    assert_string_equal(trace, "xy");
    loop_del(f->loop, &f->a);
    loop_del(f->loop, &f->a);
    assert_int_equal(loop_add(f->loop, &f->a, -1, EPOLLIN, read_one), -EBADF);
}

static void deleted_in_the_same_turn(void **state)
{
    struct fixture *f = now = *state;
    assert_int_equal(loop_add(f->loop, &f->a, f->p[0], EPOLLIN, delete_both), 0);
    assert_int_equal(loop_add(f->loop, &f->b, f->q[0], EPOLLIN, delete_both), 0);
    assert_int_equal(write(f->p[1], "x", 1), 1);
    assert_int_equal(write(f->q[1], "x", 1), 1);
    assert_int_equal(loop_turn(f->loop, -1), 0);
    assert_string_equal(trace, "d"); /* once: the other event died with its watch */
}

static struct loop_job job_one, job_two;
static struct timer tick;
static struct loop_hook hooks[3];

static void run_two(struct loop_job *j)
{
    (void)j;
    note('2');
    loop_stop(now->loop, 7);
}

static void run_one(struct loop_job *j)
{
    (void)j;
    note('1');
    loop_defer(now->loop, &job_two, run_two);
    loop_defer(now->loop, &job_two, run_two);
}

static void on_tick(struct timer *t)
{
    (void)t;
    note('t');
    loop_defer(now->loop, &job_one, run_one);
}

static void hook(struct loop_hook *h)
{
    note((char)('A' + (h - hooks)));
    if (h == &hooks[1])
        loop_unhook(now->loop, &hooks[1]);
}

static void order_of_a_turn(void **state)
{
    struct fixture *f = now = *state;
    for (int i = 0; i < 3; i++)
        loop_hook(f->loop, &hooks[i], hook);
    timer_init(&tick, on_tick);
    assert_int_equal(loop_add(f->loop, &f->a, f->p[0], EPOLLIN, read_one), 0);
    assert_int_equal(write(f->p[1], "r", 1), 1);
    assert_int_equal(loop_turn(f->loop, -1), 0);
    assert_string_equal(trace, "ABCr");
    loop_timer_start(f->loop, &tick, 1);
    int64_t before = loop_now_ms(f->loop);
    assert_int_equal(loop_run(f->loop), 7); /* as many turns as the timer takes */
    assert_true(loop_now_ms(f->loop) > before);
    assert_non_null(strstr(trace, "ACt12"));
    assert_null(strstr(trace + 3, "B"));
    loop_cancel(f->loop, &job_one);
}

static struct loop_waker waker;
static int wakes;

static void on_wake(struct loop_waker *w)
{
    (void)w;
    wakes++;
}

static void *wake_thrice(void *arg)
{
    for (int i = 0; i < 3; i++)
        loop_wake(arg);
    return NULL;
}

static void wakers(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(loop_waker_init(f->loop, &waker, on_wake), 0);
    assert_int_equal(pthread_create(&thread, NULL, wake_thrice, &waker), 0);
    pthread_join(thread, NULL);
    assert_int_equal(loop_turn(f->loop, -1), 0);
    assert_int_equal(loop_turn(f->loop, 0), 0);
    assert_int_equal(wakes, 1);
    uint64_t one = 1; /* as librdkafka does */
    assert_int_equal(write(loop_waker_fd(&waker), &one, sizeof one), sizeof one);
    assert_int_equal(loop_turn(f->loop, -1), 0);
    assert_int_equal(wakes, 2);
    loop_waker_release(f->loop, &waker);
    loop_waker_release(f->loop, &waker);
}

static void on_signal(struct loop_signal *s)
{
    note(s->signo == SIGUSR1 ? '1' : '2');
}

static void signals(void **state)
{
    struct fixture *f = *state;
    struct loop_signal one, two;
    assert_int_equal(loop_signal_add(f->loop, &one, SIGUSR1, on_signal), 0);
    assert_int_equal(loop_signal_add(f->loop, &two, SIGUSR2, on_signal), 0);
    kill(getpid(), SIGUSR2);
    assert_int_equal(loop_turn(f->loop, -1), 0);
    kill(getpid(), SIGUSR1);
    assert_int_equal(loop_turn(f->loop, -1), 0);
    assert_string_equal(trace, "21");
}

static void again_and_stop(void **state)
{
    struct fixture *f = *state;
    loop_again(f->loop);
    assert_int_equal(loop_turn(f->loop, -1), 0); /* would wait for ever */
    loop_stop(f->loop, 3);
    assert_int_equal(loop_run(f->loop), 3);
    loop_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(descriptors), TEST(deleted_in_the_same_turn), TEST(order_of_a_turn), TEST(wakers),
        TEST(signals),     TEST(again_and_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
