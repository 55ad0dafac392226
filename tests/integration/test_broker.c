/* A process whose clients are all at work while the broker dies: PARLEY_KAFKA and PARLEY_STATE (tools/servers run).
 *
 * The process is a child: the parent kills and starts Kafka and watches counters in shared memory. */
#include "common/base/clock.h"
#include "common/base/kadmin.h"
#include "common/base/kconsumer.h"
#include "common/base/kgroups.h"
#include "common/base/kproducer.h"
#include "common/base/loop.h"
#include "common/base/rand.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS  3
#define WAIT_MS 180000
#define PERIOD  5 /* ms between sends */

struct shared { /* written by the child */
    _Atomic uint64_t consumed, sent, described, looked, ready;
};

struct busy {
    struct shared *shared;
    struct loop *loop;
    struct kproducer *producer;
    struct kconsumer *consumer;
    struct kgroups *groups, *progress;
    struct ktopic topic;
    uint16_t input;
    const char *group;
    struct timer timer;
    struct ksend send;
    int64_t next;
};

static void on_sent(struct ksend *s, const struct kreport *r)
{
    struct busy *b = container_of(s, struct busy, send);
    b->shared->sent += r->outcome == SENT_OK;
}

static void ask(struct busy *b);

static void on_groups(void *ctx, int err, const struct kgroup *g, size_t n)
{
    struct busy *b = ctx;
    b->shared->described += !err && n == 2 && !g[0].err && g[0].n_members == 1;
}

static void on_progress(void *ctx, int err, const struct kgroup_part *p, int32_t n)
{
    struct busy *b = ctx;
    b->shared->looked += !err && n == 1 && p[0].high > 0;
}

static void ask(struct busy *b)
{
    const char *const names[] = {b->group, "no-such-group"};
    (void)kgroups_describe(b->groups, names, 2, on_groups, b); /* -EBUSY most of the time */
    (void)kgroups_progress(b->progress, b->topic.name, 1, on_progress, b);
}

static void on_timer(struct timer *t)
{
    struct busy *b = container_of(t, struct busy, timer);
    loop_timer_start(b->loop, t, PERIOD);
    (void)kproducer_send(b->producer, 0, 0, (struct slice){"k", 1}, (struct slice){"v", 1}, &b->send);
    ask(b);
}

static void on_assigned(void *ctx, const struct kpart *p, size_t n)
{
    struct busy *b = ctx;
    for (size_t i = 0; i < n; i++)
        kconsumer_start(b->consumer, p[i].topic, p[i].part, p[i].offset < 0 ? b->next : p[i].offset);
}

static void on_revoked(void *ctx, const struct kpart *p, size_t n)
{
    (void)p;
    (void)n;
    kconsumer_revoke_done(((struct busy *)ctx)->consumer);
}

static void on_lost(void *ctx, const struct kpart *p, size_t n)
{
    (void)ctx;
    (void)p;
    (void)n;
}

static bool on_message(void *ctx, const struct record *r, struct kmsg *k)
{
    struct busy *b = ctx;
    (void)k;
    b->next = r->offset + 1;
    b->shared->consumed++;
    struct kpart p = {0, 0, b->next};
    if (b->next % 16 == 0)
        (void)kconsumer_commit(b->consumer, &p, 1, NULL, NULL);
    return false;
}

static void on_error(void *ctx, enum kconsumer_error e, const struct kpart *p, const char *why)
{
    (void)ctx;
    (void)p;
    (void)why;
    if (e != KCONSUMER_TRANSIENT)
        exit(3);
}

static int busy_run(struct shared *shared, const char *topic, const char *group)
{
    struct kconf kafka = {.bootstrap = getenv("PARLEY_KAFKA"), .client_id = "test-broker"};
    struct busy b = {.shared = shared, .topic = {topic, 1}, .group = group, .send = {on_sent}};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGABRT, SIG_DFL); /* cmocka's handlers would go on with the test */
    signal(SIGSEGV, SIG_DFL);
    if (loop_new(&b.loop))
        return 4;
    b.producer =
        kproducer_new(b.loop, &(struct kproducer_conf){.kafka = kafka, .topics = &b.topic, .n_topics = 1});
    b.groups = kgroups_new(b.loop, &kafka, NULL, 2000);
    b.progress = kgroups_new(b.loop, &kafka, group, 2000);
    b.consumer = kconsumer_new(
        b.loop, &(struct kconsumer_conf){.kafka = kafka,
                                         .group = group,
                                         .topics = &b.topic,
                                         .n_topics = 1,
                                         .inputs = &b.input,
                                         .n_inputs = 1,
                                         .ctx = &b,
                                         .ops = {on_assigned, on_revoked, on_lost, on_message, on_error}});
    if (!b.producer || !b.groups || !b.progress || !b.consumer)
        return 4;
    timer_init(&b.timer, on_timer);
    loop_timer_start(b.loop, &b.timer, 1);
    return loop_run(b.loop);
}

static void servers(const char *what)
{
    char line[64];
    snprintf(line, sizeof line, "tools/servers %s kafka 2>/dev/null", what);
    assert_int_equal(system(line), 0);
}

/* All the child's clients have got somewhere since `was`. */
static void await_progress(pid_t child, const struct shared *s)
{
    uint64_t consumed = s->consumed, sent = s->sent, described = s->described, looked = s->looked;
    int64_t end = clock_mono_ms() + WAIT_MS;
    int status;
    while (s->consumed < consumed + 50 || s->sent < sent + 50 || s->described < described + 5 ||
           s->looked < looked + 5) {
        if (waitpid(child, &status, WNOHANG) == child)
            fail_msg("the process ended: status %x", (unsigned)status);
        if (clock_mono_ms() > end)
            fail_msg("consumed +%u, sent +%u, described +%u, looked +%u", (unsigned)(s->consumed - consumed),
                     (unsigned)(s->sent - sent), (unsigned)(s->described - described),
                     (unsigned)(s->looked - looked));
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

static void clients_at_work_survive_the_broker(void **state)
{
    (void)state;
    char topic[64], group[64];
    unsigned id = (unsigned)rand_u64();
    snprintf(topic, sizeof topic, "b%08x-t", id);
    snprintf(group, sizeof group, "b%08x-g", id);
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    pid_t child = fork(); /* before there is any client here */
    assert_true(child >= 0);
    if (child == 0) {
        while (!s->ready)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        _exit(busy_run(s, topic, group));
    }
    struct kconf kafka = {.bootstrap = getenv("PARLEY_KAFKA"), .client_id = "test-broker"};
    struct kadmin *admin = kadmin_new(&kafka, 20000);
    assert_non_null(admin);
    assert_int_equal(kadmin_create_topic(admin, topic, 1, 1, NULL, 0), 0);
    kadmin_free(admin);
    s->ready = 1;
    await_progress(child, s);
    for (int i = 0; i < ROUNDS; i++) {
        servers("kill9");
        servers("start-one");
        await_progress(child, s);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    munmap(s, sizeof *s);
}

int main(void)
{
    if (!getenv("PARLEY_KAFKA") || !getenv("PARLEY_STATE")) {
        print_error(
            "PARLEY_KAFKA or PARLEY_STATE is not set: run the integration tests with tools/servers\n");
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(clients_at_work_survive_the_broker)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
