/* A partition of the shell without Kafka and without a store: a log, a fake store and a fake producer that answer
 * when, and in what mood, a random schedule says. The core counts records per key in rows it forgets after every
 * batch, so each count depends on the row that was put before, in flight or not. */
#include "common/base/log.h"
#include "common/base/rand.h"
#include "common/base/shell_int.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LOG = 400, KEYS = 7, QUEUE = 64 };
#define POISON_AT 33
#define STOP_AT   90
#define OFFERED   9 /* the topic of records that are offered; their offset says what the core thinks of them */

static struct loop *loop;
static struct rng rng;

static uint32_t below(uint32_t n)
{
    return (uint32_t)rng_below(&rng, n);
}

/* ---- the world ---- */
struct send {
    struct ksend *s;
    int64_t offset; /* of the record it was made from */
};
struct store_part {
    int64_t generation;
    bool open;
};
struct world {
    int64_t n_log, fed; /* fed: next offset handed to the partition; -1: not started */
    bool paused, stop_record, views_lag;
    struct send sends[4096];
    size_t n_sends;
    bool acked[LOG], sent_ever[LOG], full;
    int dead_letters;
    /* the store */
    int counts[KEYS];
    struct store_mark mark;
    struct store_part *current;
    const struct store_put *put;
    store_done_fn *put_done, *load_done;
    store_row_fn *load_row;
    void *put_ctx, *load_ctx;
    struct store_part *put_part, *load_part;
    const struct store_key *load_keys;
    size_t load_n;
    store_open_fn *opened;
    void *open_ctx;
    struct store_part parts[64];
    size_t n_parts;
    int64_t committed, commit_asked;
    int offers;                 /* stepped */
    int changes, puts, trouble; /* trouble: how much of it is left to make */
    struct store store;
};
static struct world *w;

static int key_of(int64_t offset)
{
    return (int)(offset * 31 % KEYS);
}

/* ---- the core ---- */
struct core {
    int count[KEYS];
    bool have[KEYS];
    int stepped;
};

static void *core_open(const struct core_open *o)
{
    (void)o;
    return calloc(1, sizeof(struct core));
}

static enum core_rc core_plan(void *c, const struct record *r, struct want *want)
{
    struct core *k = c;
    int key = key_of(r->offset);
    if (r->topic == OFFERED && r->offset % 5 < 2)
        return r->offset % 5 ? CORE_MORE : CORE_STOP;
    if (w->views_lag && below(30) == 0)
        return CORE_LATER;
    if (!k->have[key])
        want_add(want, 1, (struct slice){&key, sizeof key});
    return CORE_OK;
}

static void core_load(void *c, uint8_t table, struct slice key, struct slice row)
{
    struct core *k = c;
    int i, v = 0;
    assert_int_equal(table, 1);
    memcpy(&i, key.p, sizeof i);
    if (row.n)
        memcpy(&v, row.p, sizeof v);
    k->count[i] = v;
    k->have[i] = true;
}

static enum core_rc core_step(void *c, const struct record *r, int64_t now, struct fx *fx)
{
    struct core *k = c;
    int key = key_of(r->offset);
    (void)now;
    assert_true(k->have[key]);
    if (r->topic == OFFERED) {
        int64_t undone = POISON_AT;
        w->offers++;
        assert_memory_equal(r->key.p, "key", 4);
        assert_memory_equal(r->value.p, "offered", 8);
        if (r->offset % 5 == 4)
            return CORE_OK;
        fx_send(fx, 1, (struct slice){&undone, sizeof undone}, (struct slice){"v", 1}, 1);
        return r->offset % 5 == 2 ? CORE_STOP : CORE_POISON;
    }
    fx_send(fx, 1, (struct slice){&r->offset, sizeof r->offset}, (struct slice){"v", 1},
            (uint64_t)r->offset + 1);
    if (r->offset == POISON_AT)
        return CORE_POISON; /* what it sent does not count */
    if (w->stop_record && r->offset == STOP_AT)
        return CORE_STOP;
    k->count[key]++;
    fx_put(fx, 1, (struct slice){&key, sizeof key}, (struct slice){&k->count[key], sizeof(int)});
    k->stepped++;
    return CORE_OK;
}

static void core_end(void *c, int64_t now, struct fx *fx)
{
    struct core *k = c;
    (void)now;
    (void)fx;
    memset(k->have, 0, sizeof k->have);
}

static void core_close(void *c)
{
    free(c);
}

static const struct core_ops ops = {.open = core_open,
                                    .plan = core_plan,
                                    .load = core_load,
                                    .step = core_step,
                                    .end = core_end,
                                    .close = core_close};

static struct slice dead_letter(void *ctx, const struct shell_dead *d, struct fx *fx)
{
    (void)ctx;
    (void)fx;
    assert_int_equal(d->record->offset, POISON_AT);
    return (struct slice){"dead", 4};
}

/* ---- the fake store: one question of a kind at a time, answered by the schedule ---- */
static void fs_open(struct store *s, const char *group, int32_t part, size_t n, const int64_t *committed,
                    store_open_fn *fn, void *ctx)
{
    (void)s, (void)group, (void)part, (void)n, (void)committed;
    assert_null(w->opened);
    w->opened = fn;
    w->open_ctx = ctx;
}

static void fs_load(struct store_part *p, const struct store_key *keys, size_t n, store_row_fn *row,
                    store_done_fn *done, void *ctx)
{
    assert_null(w->load_done);
    w->load_part = p;
    w->load_keys = keys;
    w->load_n = n;
    w->load_row = row;
    w->load_done = done;
    w->load_ctx = ctx;
}

static void fs_put(struct store_part *p, const struct store_put *put, store_done_fn *done, void *ctx)
{
    assert_null(w->put_done);
    w->put_part = p;
    w->put = put;
    w->put_done = done;
    w->put_ctx = ctx;
}

static void fs_close(struct store_part *p)
{
    if (w->load_part == p)
        w->load_done = NULL;
    if (w->put_part == p)
        w->put_done = NULL;
    p->open = false;
}

static bool fs_up(const struct store *s)
{
    (void)s;
    return true;
}

static const struct store_ops fs_ops = {fs_open, fs_load, fs_put, fs_close, fs_up, NULL};

static void answer_open(void)
{
    store_open_fn *fn = w->opened;
    struct store_part *p = &w->parts[w->n_parts++ % 64];
    w->opened = NULL;
    w->mark.generation++;
    *p = (struct store_part){w->mark.generation, true};
    w->current = p;
    fn(w->open_ctx, STORE_OK, p, &w->mark);
}

static void answer_load(void)
{
    store_done_fn *done = w->load_done;
    w->load_done = NULL;
    if (w->trouble && below(8) == 0) {
        w->trouble--;
        done(w->load_ctx, STORE_DOWN);
        return;
    }
    for (size_t i = 0; i < w->load_n; i++) {
        int k;
        memcpy(&k, w->load_keys[i].key.p, sizeof k);
        w->load_row(w->load_ctx, &w->load_keys[i],
                    w->counts[k] ? (struct slice){&w->counts[k], sizeof(int)} : (struct slice){NULL, 0});
    }
    done(w->load_ctx, STORE_OK);
}

static enum store_rc apply_put(void)
{
    const struct store_put *p = w->put;
    if (w->put_part->generation != w->mark.generation)
        return STORE_FENCED;
    if (p->mark->serial == w->mark.serial)
        return STORE_OK;
    assert_int_equal(p->mark->serial, w->mark.serial + 1);
    if (p->mark->present)
        assert_true(p->mark->next[0] >= w->mark.next[0]);
    /* what the mark passes was sent and confirmed */
    for (int64_t o = 0; o < p->mark->next[0]; o++)
        if (o != POISON_AT)
            assert_true(w->acked[o]);
    if (p->reset)
        memset(w->counts, 0, sizeof w->counts);
    bool seen[KEYS] = {0};
    for (size_t i = 0; i < p->n; i++) {
        int k;
        memcpy(&k, p->rows[i].key.p, sizeof k);
        assert_false(seen[k]); /* each key once */
        seen[k] = true;
        memcpy(&w->counts[k], p->rows[i].row.p, sizeof(int));
    }
    w->mark = *p->mark;
    w->puts++;
    return STORE_OK;
}

static void check_rows(void)
{
    int want[KEYS] = {0};
    for (int64_t o = 0; o < w->mark.next[0]; o++)
        want[key_of(o)] += o != POISON_AT;
    for (int k = 0; k < KEYS; k++)
        assert_int_equal(w->counts[k], want[k]);
}

static void answer_put(void)
{
    store_done_fn *done = w->put_done;
    void *ctx = w->put_ctx;
    enum store_rc rc;
    uint32_t mood = w->trouble ? below(12) : 11;
    w->trouble -= mood < 3;
    if (mood == 0) {
        rc = STORE_DOWN; /* not done */
    } else if (mood == 1) {
        rc = apply_put(); /* done, but the answer is lost */
        rc = rc == STORE_OK ? STORE_DOWN : rc;
    } else if (mood == 2) {
        w->mark.generation++; /* somebody else has opened it */
        rc = apply_put();
    } else {
        rc = apply_put();
    }
    check_rows();
    w->put_done = NULL;
    done(ctx, rc);
}

/* ---- the fake Kafka ---- */
static int env_send(void *ctx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                    struct ksend *s)
{
    (void)ctx, (void)part;
    int64_t offset = -1;
    if (w->full || w->n_sends == 4096)
        return -EAGAIN;
    if (topic == 1) {
        memcpy(&offset, key.p, sizeof offset);
        assert_int_not_equal(offset, POISON_AT);
        w->sent_ever[offset] = true;
    } else {
        assert_int_equal(value.n, 4);
        w->dead_letters++;
    }
    w->sends[w->n_sends++] = (struct send){s, offset};
    return 0;
}

static void answer_send(void)
{
    size_t i = below((uint32_t)w->n_sends);
    struct send s = w->sends[i];
    w->sends[i] = w->sends[--w->n_sends];
    struct kreport r = {.outcome = SENT_OK};
    if (w->trouble && below(200) == 0) {
        w->trouble--;
        r.outcome = below(2) ? SENT_FAILED : SENT_UNKNOWN;
    } else if (s.offset >= 0) {
        w->acked[s.offset] = true;
    }
    s.s->done(s.s, &r);
}

static int env_commit(void *ctx, struct spart *p, const int64_t *next)
{
    (void)ctx, (void)p;
    assert_true(next[0] <= w->mark.next[0]); /* never ahead of the mark */
    assert_true(next[0] > w->committed);
    w->commit_asked = next[0];
    return 0;
}

static void env_start(void *ctx, struct spart *p, const int64_t *next)
{
    (void)ctx, (void)p;
    w->fed = next[0];
    w->paused = false;
}

static void env_stop(void *ctx, struct spart *p)
{
    (void)ctx, (void)p;
    w->fed = -1;
}

static void env_pause(void *ctx, struct spart *p, bool paused)
{
    (void)ctx, (void)p;
    w->paused = paused;
}

static void env_changed(void *ctx, struct spart *p)
{
    (void)ctx, (void)p;
    w->changes++;
}

static void env_low(void *ctx, struct spart *p, int64_t *next)
{
    (void)ctx, (void)p;
    next[0] = 0;
}

static void offer(struct spart *p)
{
    char key[] = "key", value[] = "offered";
    struct record r = {.topic = OFFERED, .offset = below(1000), .key = {key, 4}, .value = {value, 8}};
    bool taken = spart_offer(p, &r, 60000);
    assert_true(taken || p->state != SPART_RUNNING || p->failure || p->stopping ||
                p->q_n >= p->decl->batch_records);
    memset(value, 'x', sizeof value);
}

static void feed(struct spart *p)
{
    if (below(3) == 0)
        offer(p);
    for (uint32_t n = below(20); n && w->fed >= 0 && !w->paused && w->fed < w->n_log; n--) {
        struct record r = {.offset = w->fed, .key = {"k", 1}, .value = {"v", 1}};
        if (!spart_record(p, 0, &r, NULL))
            break;
        w->fed++;
    }
}

static void one_event(struct spart *p)
{
    switch (below(8)) {
    case 0:
        if (w->opened)
            answer_open();
        break;
    case 1:
        if (w->load_done)
            answer_load();
        break;
    case 2:
        if (w->put_done)
            answer_put();
        break;
    case 3:
        if (w->commit_asked >= 0) {
            int64_t next = w->commit_asked;
            w->commit_asked = -1;
            w->committed = next;
            spart_committed(p, 0, &next);
        }
        break;
    case 4:
        w->full = w->trouble && below(4) == 0;
        if (!w->full)
            spart_writable(p);
        break;
    case 5:
        feed(p);
        break;
    default:
        for (uint32_t n = below(30); n && w->n_sends; n--)
            answer_send();
    }
}

static struct spart *begin(struct shell_decl *d, struct spart_env *env, int trouble, bool stop_record)
{
    static const struct ktopic topics[] = {{"in", 1}, {"out", 1}, {"dlq", 1}};
    static const uint16_t inputs[] = {0};
    static const int64_t zero[STORE_TOPICS];
    w = calloc(1, sizeof *w);
    w->n_log = LOG;
    w->fed = w->commit_asked = -1;
    w->trouble = trouble;
    w->stop_record = stop_record;
    w->store.ops = &fs_ops;
    *d = (struct shell_decl){.name = "test",
                             .group = "g",
                             .store_name = "g",
                             .topics = topics,
                             .n_topics = 3,
                             .inputs = inputs,
                             .n_inputs = 1,
                             .ops = &ops,
                             .store = &w->store,
                             .dlq_topic = 2,
                             .dead_letter = dead_letter,
                             .batch_records = 1 + below(30),
                             .batch_kbytes = 1024,
                             .batches = 1 + below(6),
                             .queue_records = QUEUE,
                             .lazy_ms = 1,
                             .put_ms = below(2),
                             .lazy_records = 50,
                             .drain_ms = 10000};
    *env = (struct spart_env){NULL,     loop,      env_send,    env_commit, env_start,
                              env_stop, env_pause, env_changed, env_low};
    struct spart *p = spart_new(d, env, 0, zero);
    backoff_init(&p->backoff, 1, 2, rng_next(&rng));
    return p;
}

static void turn(struct spart *p)
{
    one_event(p);
    spart_turn(p);
    assert_int_equal(loop_turn(loop, 0), 0);
}

static void end(struct spart *p)
{
    spart_free(p);
    while (w->n_sends) /* reports that come after the end */
        answer_send();
    free(w);
}

static void any_schedule_counts_each_record_once(void **state)
{
    (void)state;
    int offers = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct shell_decl d;
        struct spart_env env;
        rng = (struct rng){seed};
        struct spart *p = begin(&d, &env, (int)(seed % 6), false);
        int64_t steps = 0;
        /* running: one that is just being given up and opened again drains without a commit, rightly */
        while (w->mark.next[0] < LOG || p->state != SPART_RUNNING || p->failure) {
            turn(p);
            assert_int_not_equal(p->state, SPART_HALTED);
            assert_true(++steps < 3000000);
        }
        check_rows();
        offers += w->offers;
        for (int i = 0; i < LOG; i++)
            assert_int_equal(w->sent_ever[i], i != POISON_AT);
        assert_true(w->dead_letters >= 1);
        p->why[0] = '\0';
        spart_drain(p);
        while (p->state != SPART_CLOSED)
            turn(p);
        assert_true(w->committed == LOG ||
                    strstr(p->why, "opened by another")); /* fenced: the other commits */
        end(p);
    }
    assert_true(offers > 100);
}

static void a_view_that_is_behind_is_waited_for(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct shell_decl d;
        struct spart_env env;
        rng = (struct rng){seed};
        struct spart *p = begin(&d, &env, 0, false);
        w->views_lag = true;
        bool waited = false;
        while (w->mark.next[0] < (seed % 2 ? LOG : LOG / 2) || p->state != SPART_RUNNING || p->failure) {
            turn(p);
            waited |= p->waiting && strstr(p->why, "view");
            assert_int_not_equal(p->state, SPART_HALTED);
        }
        check_rows();
        assert_true(waited);
        spart_drain(p);
        while (p->state != SPART_CLOSED)
            turn(p);
        end(p);
    }
}

static void a_drain_finishes_what_was_stepped(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct shell_decl d;
        struct spart_env env;
        rng = (struct rng){seed};
        struct spart *p = begin(&d, &env, 0, false);
        for (uint32_t n = 50 + below(300); n; n--)
            turn(p);
        bool running = p->state == SPART_RUNNING;
        spart_drain(p);
        while (p->state != SPART_CLOSED)
            turn(p);
        if (running)
            assert_int_equal(w->committed, w->mark.next[0]);
        check_rows();
        assert_int_equal(w->n_sends, 0);
        end(p);
    }
}

static void what_is_offered_alone_costs_the_store_nothing_and_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct shell_decl d;
    struct spart_env env;
    rng = (struct rng){5};
    struct spart *p = begin(&d, &env, 0, false);
    w->n_log = 0;
    while (p->state != SPART_RUNNING || w->commit_asked >= 0 || w->put_done)
        turn(p);
    int puts = w->puts, offers = w->offers;
    struct record r = {.topic = OFFERED, .offset = 4, .key = {"key", 4}, .value = {"offered", 8}};
    for (int i = 0; i < 200; i++) {
        spart_offer(p, &r, 60000);
        turn(p);
    }
    assert_true(w->offers > offers);
    assert_int_equal(w->puts, puts);
    while (p->q_n || p->loading)
        turn(p);
    offers = w->offers;
    assert_true(spart_offer(p, &r, 0));
    spart_turn(p); /* asks for its row */
    assert_non_null(w->load_done);
    int64_t now = loop_now_ms(loop);
    while (loop_now_ms(loop) <= now)
        assert_int_equal(loop_turn(loop, 1), 0);
    answer_load();
    assert_int_equal(w->offers, offers);
    end(p);
}

/* The store is away for hours, with a batch waiting for its rows: asking again must not cost memory each time. */
static void asking_again_for_rows_costs_no_memory(void **state)
{
    (void)state;
    struct shell_decl d;
    struct spart_env env;
    rng = (struct rng){1};
    struct spart *p = begin(&d, &env, 0, false);
    while (!w->load_done)
        turn(p);
    size_t before = arena_used(p->loading->arena);
    for (int i = 0; i < 200; i++) {
        store_done_fn *done = w->load_done;
        w->load_done = NULL;
        done(w->load_ctx, STORE_DOWN);
        while (!w->load_done)
            assert_int_equal(loop_turn(loop, 5), 0);
    }
    assert_int_equal(arena_used(p->loading->arena), before);
    end(p);
}

static void a_stop_puts_what_was_before_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct shell_decl d;
        struct spart_env env;
        rng = (struct rng){seed};
        struct spart *p = begin(&d, &env, 0, true);
        int64_t steps = 0;
        while (p->state != SPART_HALTED) {
            turn(p);
            assert_true(++steps < 1000000);
        }
        assert_int_equal(w->mark.next[0], STOP_AT);
        assert_int_equal(w->committed, STOP_AT);
        assert_false(w->sent_ever[STOP_AT]);
        assert_non_null(strstr(p->why, "offset 90"));
        end(p);
    }
}

static void a_mark_behind_the_commit_halts_without_recovery(void **state)
{
    (void)state;
    struct shell_decl d;
    struct spart_env env;
    rng = (struct rng){1};
    struct spart *p = begin(&d, &env, 0, false);
    p->committed[0] = 10;
    w->mark = (struct store_mark){.present = true, .next = {9}};
    while (p->state != SPART_HALTED)
        turn(p);
    end(p);
    p = begin(&d, &env, 0, false);
    p->committed[0] = 10; /* missing: the same */
    while (p->state != SPART_HALTED)
        turn(p);
    end(p);
}

/* ---- recovery ---- */
static struct shell_recovery *recovery;
static int cancelled;

static void on_recover(void *ctx, struct shell_recovery *r, const struct shell_gap *gap)
{
    (void)ctx;
    assert_int_equal(gap->committed[0], 100);
    recovery = r;
}

static void on_cancel(void *ctx, struct shell_recovery *r)
{
    (void)ctx;
    assert_ptr_equal(r, recovery);
    cancelled++;
}

static void recovered_rows_then_quiet_then_loud(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct shell_decl d;
        struct spart_env env;
        rng = (struct rng){seed};
        recovery = NULL;
        struct spart *p = begin(&d, &env, 0, false);
        d.recover = on_recover;
        d.recover_cancel = on_cancel;
        p->committed[0] = w->committed = 100;
        memset(w->acked, true, 100); /* sent by whoever lost the rows */
        w->counts[0] = 12345;        /* must not survive */
        while (!recovery)
            turn(p);
        int count[KEYS] = {0};
        for (int64_t o = 0; o < 60; o++)
            count[key_of(o)] += o != POISON_AT;
        for (int k = 0; k < KEYS; k++)
            shell_recovery_row(recovery, 1, (struct slice){&k, sizeof k},
                               (struct slice){&count[k], sizeof(int)});
        shell_recovery_done(recovery, (int64_t[]){60}, (int64_t[]){100});
        while (w->mark.next[0] < LOG)
            turn(p);
        check_rows();
        for (int i = 0; i < LOG; i++)
            assert_int_equal(w->sent_ever[i], i >= 100); /* below: quiet */
        end(p);
    }
    assert_int_equal(cancelled, 0);
}

static void a_lost_partition_cancels_its_recovery(void **state)
{
    (void)state;
    struct shell_decl d;
    struct spart_env env;
    rng = (struct rng){3};
    recovery = NULL;
    cancelled = 0;
    struct spart *p = begin(&d, &env, 0, false);
    d.recover = on_recover;
    d.recover_cancel = on_cancel;
    p->committed[0] = 100;
    while (!recovery)
        turn(p);
    spart_lost(p);
    assert_int_equal(cancelled, 1);
    assert_int_equal(p->state, SPART_CLOSED);
    end(p);
}

static int setup(void **state)
{
    (void)state;
    log_setup(&(struct log_options){.level = LOG_NOTHING, .fd = 2});
    return loop_new(&loop);
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_schedule_counts_each_record_once),
        cmocka_unit_test(a_view_that_is_behind_is_waited_for),
        cmocka_unit_test(a_drain_finishes_what_was_stepped),
        cmocka_unit_test(what_is_offered_alone_costs_the_store_nothing_and_does_not_wait_for_ever),
        cmocka_unit_test(asking_again_for_rows_costs_no_memory),
        cmocka_unit_test(a_stop_puts_what_was_before_it),
        cmocka_unit_test(a_mark_behind_the_commit_halts_without_recovery),
        cmocka_unit_test(recovered_rows_then_quiet_then_loud),
        cmocka_unit_test(a_lost_partition_cancels_its_recovery),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
