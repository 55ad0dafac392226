/* The shell against a real broker and, where rows matter, a real Redis: PARLEY_KAFKA, PARLEY_REDIS. */
#include "common/base/clock.h"
#include "common/base/kadmin.h"
#include "common/base/kproducer.h"
#include "common/base/kv.h"
#include "common/base/loop.h"
#include "common/base/rand.h"
#include "common/base/shell.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define WAIT_MS 30000
#define PARTS   2
enum { T_IN, T_IN2, T_OUT, T_DLQ, N_TOPICS };

static struct loop *loop;
static struct kadmin *admin;
static struct kconf kafka;
static char prefix[32];

#define WAIT_UNTIL(cond)                                   \
    do {                                                   \
        int64_t end_ = clock_mono_ms() + WAIT_MS;          \
        while (!(cond)) {                                  \
            if (clock_mono_ms() > end_)                    \
                fail_msg("waited too long for %s", #cond); \
            assert_int_equal(loop_turn(loop, 20), 0);      \
        }                                                  \
    } while (0)

struct setup {
    char names[N_TOPICS][64], group[64];
    struct ktopic topics[N_TOPICS];
};

static const uint16_t inputs[] = {T_IN, T_IN2};
static const uint16_t outputs[] = {T_OUT};

static void make_setup(struct setup *s, const char *what)
{
    static const char *const short_names[] = {"in", "in2", "out", "dlq"};
    int64_t zero[PARTS] = {0};
    snprintf(s->group, sizeof s->group, "%s-%s-g", prefix, what);
    for (int i = 0; i < N_TOPICS; i++) {
        snprintf(s->names[i], sizeof s->names[i], "%s-%s-%s", prefix, what, short_names[i]);
        s->topics[i] = (struct ktopic){s->names[i], PARTS};
        assert_int_equal(kadmin_create_topic(admin, s->names[i], PARTS, 1, NULL, 0), 0);
    }
    for (int i = T_IN; i <= T_IN2; i++)
        assert_int_equal(kadmin_commit_offsets(admin, s->group, s->names[i], zero, PARTS), 0);
}

/* ---- a core that passes records on; "bad" is poison, "stop" stops ---- */
struct pass {
    int64_t next[2];
    int records, closed;
};

static void *pass_open(const struct core_open *o)
{
    struct pass *p = calloc(1, sizeof *p);
    p->next[0] = o->next[0];
    return p;
}

static enum core_rc pass_step(void *core, const struct record *r, int64_t now, struct fx *fx)
{
    struct pass *p = core;
    (void)now;
    p->records++;
    if (r->value.n == 3 && !memcmp(r->value.p, "bad", 3))
        return CORE_POISON;
    if (r->value.n == 4 && !memcmp(r->value.p, "stop", 4))
        return CORE_STOP;
    fx_send_at(fx, T_OUT, r->part, r->key, r->value, 0);
    return CORE_OK;
}

static void pass_close(void *core)
{
    free(core);
}

static const struct core_ops pass_ops = {.open = pass_open, .step = pass_step, .close = pass_close};

static struct slice dead_letter(void *ctx, const struct shell_dead *d, struct fx *fx)
{
    (void)ctx;
    char *p = fx_alloc(fx, 128);
    int n =
        snprintf(p, 128, "%s/%d/%lld %s", d->topic, d->record->part, (long long)d->record->offset, d->error);
    return (struct slice){p, (size_t)n};
}

static struct shell_decl declare(struct setup *s, struct store *store, size_t n_inputs)
{
    return (struct shell_decl){.name = "pass",
                               .group = s->group,
                               .kafka = kafka,
                               .topics = s->topics,
                               .n_topics = N_TOPICS,
                               .inputs = inputs,
                               .n_inputs = n_inputs,
                               .outputs = outputs,
                               .n_outputs = 1,
                               .ops = &pass_ops,
                               .store = store,
                               .dlq_topic = T_DLQ,
                               .dead_letter = dead_letter};
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static void stop(struct shell *s)
{
    int done = 0;
    shell_stop(s, count, &done);
    WAIT_UNTIL(done);
    shell_free(s);
}

static struct kproducer *producer(struct setup *s)
{
    struct kproducer *p = kproducer_new(
        loop, &(struct kproducer_conf){.kafka = kafka, .topics = s->topics, .n_topics = N_TOPICS});
    WAIT_UNTIL(kproducer_ready(p));
    return p;
}

static void put(struct kproducer *p, uint16_t topic, int32_t part, const char *value)
{
    while (kproducer_send(p, topic, part, (struct slice){"k", 1}, (struct slice){value, strlen(value)},
                          NULL) < 0)
        assert_int_equal(loop_turn(loop, 5), 0);
}

static int64_t end_of(struct setup *s, uint16_t topic, int32_t part)
{
    int64_t low = 0, high = 0;
    assert_int_equal(kadmin_watermarks(admin, s->names[topic], part, &low, &high), 0);
    return high;
}

static void passes_everything_on_in_order(void **state)
{
    (void)state;
    struct setup s;
    make_setup(&s, "pass");
    struct store *store = store_none_new(loop);
    struct shell_decl d = declare(&s, store, 2);
    struct kproducer *p = producer(&s);
    char v[16];
    for (int i = 0; i < 20000; i++) {
        snprintf(v, sizeof v, "%d", i);
        put(p, T_IN, i % PARTS, v);
    }
    put(p, T_IN2, 1, "other");
    struct shell *sh = shell_new(loop, &d);
    WAIT_UNTIL(end_of(&s, T_OUT, 0) == 10000 && end_of(&s, T_OUT, 1) == 10001);
    stop(sh);
    int64_t got[PARTS];
    assert_int_equal(kadmin_group_offsets(admin, s.group, s.names[T_IN], got, PARTS), 0);
    assert_int_equal(got[0], 10000);
    assert_int_equal(got[1], 10000);
    assert_int_equal(kadmin_group_offsets(admin, s.group, s.names[T_IN2], got, PARTS), 0);
    assert_int_equal(got[1], 1);
    kproducer_free(p, 1000);
    store_free(store);
}

static void resumes_where_it_stopped(void **state)
{
    (void)state;
    struct setup s;
    make_setup(&s, "resume");
    struct store *store = store_none_new(loop);
    struct shell_decl d = declare(&s, store, 1);
    struct kproducer *p = producer(&s);
    for (int round = 1; round <= 3; round++) {
        struct shell *sh = shell_new(loop, &d);
        for (int i = 0; i < 100; i++)
            put(p, T_IN, 0, "x");
        WAIT_UNTIL(end_of(&s, T_OUT, 0) >= 100 * round);
        stop(sh);
        assert_int_equal(end_of(&s, T_OUT, 0), 100 * round);
    }
    kproducer_free(p, 1000);
    store_free(store);
}

static void poison_goes_to_the_dead_letters(void **state)
{
    (void)state;
    struct setup s;
    make_setup(&s, "poison");
    struct store *store = store_none_new(loop);
    struct shell_decl d = declare(&s, store, 1);
    struct kproducer *p = producer(&s);
    put(p, T_IN, 0, "a");
    put(p, T_IN, 0, "bad");
    put(p, T_IN, 0, "b");
    struct shell *sh = shell_new(loop, &d);
    WAIT_UNTIL(end_of(&s, T_OUT, 0) == 2 && end_of(&s, T_DLQ, 0) + end_of(&s, T_DLQ, 1) == 1);
    stop(sh);
    kproducer_free(p, 1000);
    store_free(store);
}

static void a_stop_halts_one_partition_only(void **state)
{
    (void)state;
    struct setup s;
    make_setup(&s, "stop");
    struct store *store = store_none_new(loop);
    struct shell_decl d = declare(&s, store, 1);
    struct kproducer *p = producer(&s);
    put(p, T_IN, 0, "a");
    put(p, T_IN, 0, "stop");
    put(p, T_IN, 0, "never");
    struct shell *sh = shell_new(loop, &d);
    struct shell_stats st;
    WAIT_UNTIL((shell_stats(sh, &st), st.halted == 1));
    for (int i = 0; i < 10; i++)
        put(p, T_IN, 1, "x");
    WAIT_UNTIL(end_of(&s, T_OUT, 1) == 10);
    assert_int_equal(end_of(&s, T_OUT, 0), 1);
    stop(sh);
    int64_t got[PARTS];
    assert_int_equal(kadmin_group_offsets(admin, s.group, s.names[T_IN], got, PARTS), 0);
    assert_int_equal(got[0], 1); /* up to, not past, where it stopped */
    assert_int_equal(got[1], 10);
    kproducer_free(p, 1000);
    store_free(store);
}

static void two_shells_share_and_take_over(void **state)
{
    (void)state;
    struct setup s;
    make_setup(&s, "two");
    struct store *store = store_none_new(loop);
    struct shell_decl d = declare(&s, store, 2);
    struct kproducer *p = producer(&s);
    struct shell *a = shell_new(loop, &d), *b = shell_new(loop, &d);
    struct shell_stats sa, sb;
    WAIT_UNTIL((shell_stats(a, &sa), shell_stats(b, &sb), sa.parts == 1 && sb.parts == 1));
    for (int i = 0; i < 2000; i++)
        put(p, T_IN, i % PARTS, "x");
    WAIT_UNTIL(end_of(&s, T_OUT, 0) >= 1000 && end_of(&s, T_OUT, 1) >= 1000);
    stop(b);
    for (int i = 0; i < 2000; i++)
        put(p, T_IN, i % PARTS, "x");
    WAIT_UNTIL(end_of(&s, T_OUT, 0) >= 2000 && end_of(&s, T_OUT, 1) >= 2000);
    stop(a);
    assert_int_equal(end_of(&s, T_OUT, 0) + end_of(&s, T_OUT, 1), 4000);
    kproducer_free(p, 1000);
    store_free(store);
}

/* Two cores of one process: the same group, different topics, marks of their own. */
static void two_cores_in_one_group(void **state)
{
    (void)state;
    struct setup s;
    make_setup(&s, "cores");
    struct store *store = store_none_new(loop);
    struct shell_decl d1 = declare(&s, store, 1), d2 = d1;
    d2.inputs = &inputs[1];
    d2.name = "pass2";
    d2.store_name = "second";
    struct kproducer *p = producer(&s);
    struct shell *a = shell_new(loop, &d1), *b = shell_new(loop, &d2);
    struct shell_stats sa, sb;
    WAIT_UNTIL((shell_stats(a, &sa), shell_stats(b, &sb), sa.parts == PARTS && sb.parts == PARTS));
    for (int i = 0; i < 500; i++) {
        put(p, T_IN, 0, "x");
        put(p, T_IN2, 1, "y");
    }
    WAIT_UNTIL(end_of(&s, T_OUT, 0) >= 500 && end_of(&s, T_OUT, 1) >= 500);
    stop(a);
    stop(b);
    int64_t got[PARTS];
    assert_int_equal(kadmin_group_offsets(admin, s.group, s.names[T_IN], got, PARTS), 0);
    assert_int_equal(got[0], 500);
    assert_int_equal(kadmin_group_offsets(admin, s.group, s.names[T_IN2], got, PARTS), 0);
    assert_int_equal(got[1], 500);
    kproducer_free(p, 1000);
    store_free(store);
}

static void nothing_committed_halts(void **state)
{
    (void)state;
    struct setup s;
    make_setup(&s, "none");
    snprintf(s.group, sizeof s.group, "%s-other-group", prefix);
    struct store *store = store_none_new(loop);
    struct shell_decl d = declare(&s, store, 1);
    struct shell *sh = shell_new(loop, &d);
    struct shell_stats st;
    WAIT_UNTIL((shell_stats(sh, &st), st.halted == 2));
    stop(sh);
    store_free(store);
}

/* ---- rows: a core that counts records per value in Redis and forgets them after every batch ---- */
struct counter {
    struct {
        char value[16];
        int count;
    } rows[32];
    size_t n;
};

static void *counter_open(const struct core_open *o)
{
    (void)o;
    return calloc(1, sizeof(struct counter));
}

static int *counter_find(struct counter *c, struct slice v)
{
    for (size_t i = 0; i < c->n; i++)
        if (strlen(c->rows[i].value) == v.n && !memcmp(c->rows[i].value, v.p, v.n))
            return &c->rows[i].count;
    return NULL;
}

static enum core_rc counter_plan(void *core, const struct record *r, struct want *w)
{
    if (!counter_find(core, r->value))
        want_add(w, 1, r->value);
    return CORE_OK;
}

static void counter_load(void *core, uint8_t table, struct slice key, struct slice row)
{
    struct counter *c = core;
    (void)table;
    memcpy(c->rows[c->n].value, key.p, key.n);
    c->rows[c->n].value[key.n] = 0;
    memcpy(&c->rows[c->n].count, row.n ? row.p : &(int){0}, sizeof(int));
    c->n++;
}

static enum core_rc counter_step(void *core, const struct record *r, int64_t now, struct fx *fx)
{
    int *n = counter_find(core, r->value);
    (void)now;
    ++*n;
    fx_put(fx, 1, r->value, (struct slice){n, sizeof *n});
    fx_send_at(fx, T_OUT, r->part, r->key, r->value, 0);
    return CORE_OK;
}

static void counter_end(void *core, int64_t now, struct fx *fx)
{
    (void)now;
    (void)fx;
    ((struct counter *)core)->n = 0;
}

static const struct core_ops counter_ops = {.open = counter_open,
                                            .plan = counter_plan,
                                            .load = counter_load,
                                            .step = counter_step,
                                            .end = counter_end,
                                            .close = pass_close};

static int recoveries;
static void again_from_the_start(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    (void)ctx;
    assert_true(gap->committed[0] > 0);
    recoveries++;
    shell_recovery_from_start(r);
}

static int read_back;
static void on_count(void *ctx, const struct kv_result *r)
{
    int *out = ctx;
    *out = -1;
    if (r->reply && r->reply->type == REDIS_REPLY_STRING)
        memcpy(out, r->reply->str, sizeof *out);
    read_back++;
}

static int count_in(struct kv *kv, struct setup *s, int32_t part, const char *value)
{
    char key[160];
    int out = 0, before = read_back;
    snprintf(key, sizeof key, "ts:{%s:%d}:t1", s->group, part);
    assert_int_equal(kv_sendz(kv, on_count, &out, "HGET", key, value, NULL), 0);
    WAIT_UNTIL(read_back > before);
    return out;
}

static void lose_rows(struct kv *kv, struct setup *s)
{
    for (int part = 0; part < PARTS; part++) {
        char mark[160], rows[160];
        snprintf(mark, sizeof mark, "ts:{%s:%d}:m", s->group, part);
        snprintf(rows, sizeof rows, "ts:{%s:%d}:t1", s->group, part);
        assert_int_equal(kv_sendz(kv, NULL, NULL, "DEL", mark, rows, NULL), 0);
    }
}

static void rows_survive_restarts_and_their_own_loss(void **state)
{
    (void)state;
    const char *url = getenv("PARLEY_REDIS");
    assert_non_null(url);
    struct kv *kv = kv_new(loop, &(struct kv_conf){.url = url});
    WAIT_UNTIL(kv_up(kv));
    struct setup s;
    make_setup(&s, "rows");
    struct store *store = store_redis_new(loop, kv, "ts");
    struct shell_decl d = declare(&s, store, 1);
    d.ops = &counter_ops;
    d.recover = again_from_the_start;
    struct kproducer *p = producer(&s);
    char v[16];
    int sent = 0;
    for (int round = 1; round <= 3; round++) {
        struct shell *sh = shell_new(loop, &d);
        for (int i = 0; i < 3000; i++, sent++) {
            snprintf(v, sizeof v, "v%d", i % 10);
            put(p, T_IN, i / 10 % PARTS, v);
            if (i != 1500 || round != 2)
                continue;
            WAIT_UNTIL(count_in(kv, &s, 0, "v3") == sent / 20); /* the core is at work */
            lose_rows(kv, &s);
        }
        WAIT_UNTIL(count_in(kv, &s, 0, "v3") == sent / 20 && count_in(kv, &s, 1, "v3") == sent / 20);
        stop(sh);
        assert_int_equal(end_of(&s, T_OUT, 0) >= sent / 2, 1);
    }
    lose_rows(kv, &s); /* while nobody runs */
    int before = recoveries;
    int64_t out = end_of(&s, T_OUT, 0);
    struct shell *sh = shell_new(loop, &d);
    WAIT_UNTIL(count_in(kv, &s, 0, "v9") == sent / 20 && count_in(kv, &s, 1, "v9") == sent / 20);
    stop(sh);
    assert_int_equal(recoveries, before + PARTS);
    assert_int_equal(end_of(&s, T_OUT, 0), out); /* nothing is sent a second time */
    kproducer_free(p, 1000);
    store_free(store);
    kv_free(kv);
}

static void without_a_way_to_recover_it_halts(void **state)
{
    (void)state;
    struct kv *kv = kv_new(loop, &(struct kv_conf){.url = getenv("PARLEY_REDIS")});
    WAIT_UNTIL(kv_up(kv));
    struct setup s;
    make_setup(&s, "halt");
    struct store *store = store_redis_new(loop, kv, "ts");
    struct shell_decl d = declare(&s, store, 1);
    d.ops = &counter_ops;
    struct kproducer *p = producer(&s);
    struct shell *sh = shell_new(loop, &d);
    put(p, T_IN, 0, "a");
    put(p, T_IN, 1, "a");
    WAIT_UNTIL(end_of(&s, T_OUT, 0) == 1 && end_of(&s, T_OUT, 1) == 1);
    stop(sh);
    lose_rows(kv, &s);
    sh = shell_new(loop, &d);
    struct shell_stats st;
    WAIT_UNTIL((shell_stats(sh, &st), st.halted == PARTS));
    stop(sh);
    kproducer_free(p, 1000);
    store_free(store);
    kv_free(kv);
}

static int setup(void **state)
{
    (void)state;
    const char *bootstrap = getenv("PARLEY_KAFKA");
    if (!bootstrap) {
        print_error("PARLEY_KAFKA is not set: run the integration tests with tools/servers\n");
        return -1;
    }
    kafka = (struct kconf){.bootstrap = bootstrap, .client_id = "test-shell"};
    snprintf(prefix, sizeof prefix, "t%08x", (unsigned)rand_u64());
    admin = kadmin_new(&kafka, 10000);
    return loop_new(&loop) || !admin ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    kadmin_free(admin);
    loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_everything_on_in_order),
        cmocka_unit_test(resumes_where_it_stopped),
        cmocka_unit_test(poison_goes_to_the_dead_letters),
        cmocka_unit_test(a_stop_halts_one_partition_only),
        cmocka_unit_test(two_shells_share_and_take_over),
        cmocka_unit_test(two_cores_in_one_group),
        cmocka_unit_test(nothing_committed_halts),
        cmocka_unit_test(rows_survive_restarts_and_their_own_loss),
        cmocka_unit_test(without_a_way_to_recover_it_halts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
