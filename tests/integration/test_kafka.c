/* Against a real broker: PARLEY_KAFKA. Names are new in every run. */
#include "common/base/clock.h"
#include "common/base/kadmin.h"
#include "common/base/kconsumer.h"
#include "common/base/kgroups.h"
#include "common/base/klive.h"
#include "common/base/kproducer.h"
#include "common/base/kview.h"
#include "common/base/loop.h"
#include "common/base/rand.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define WAIT_MS 20000
#define PARTS   2

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

struct names {
    char a[64], b[64], group[64];
    struct ktopic table[2];
    uint16_t inputs[2];
};

static void make_names(struct names *n, const char *what)
{
    snprintf(n->a, sizeof n->a, "%s-%s-a", prefix, what);
    snprintf(n->b, sizeof n->b, "%s-%s-b", prefix, what);
    snprintf(n->group, sizeof n->group, "%s-%s-g", prefix, what);
    n->table[0] = (struct ktopic){n->a, PARTS};
    n->table[1] = (struct ktopic){n->b, PARTS};
    n->inputs[0] = 0;
    n->inputs[1] = 1;
    assert_int_equal(kadmin_create_topic(admin, n->a, PARTS, 1, NULL, 0), 0);
    assert_int_equal(kadmin_create_topic(admin, n->b, PARTS, 1, NULL, 0), 0);
}

/* ---- producer ---- */
struct report {
    struct ksend s;
    int reports;
    struct kreport r;
};

static void reported(struct ksend *s, const struct kreport *r)
{
    struct report *x = container_of(s, struct report, s);
    x->reports++;
    x->r = *r;
}

static struct kproducer *producer(const struct names *n)
{
    struct kproducer *p =
        kproducer_new(loop, &(struct kproducer_conf){.kafka = kafka, .topics = n->table, .n_topics = 2});
    assert_non_null(p);
    WAIT_UNTIL(kproducer_ready(p));
    return p;
}

static void fill(struct kproducer *p, uint16_t topic, int32_t part, int count)
{
    struct report *r = calloc((size_t)count, sizeof *r);
    for (int i = 0; i < count; i++) {
        char v[32];
        int n = snprintf(v, sizeof v, "%d", i);
        r[i].s.done = reported;
        while (kproducer_send(p, topic, part, (struct slice){"k", 1}, (struct slice){v, (size_t)n}, &r[i].s) <
               0)
            assert_int_equal(loop_turn(loop, 10), 0);
    }
    for (int i = 0; i < count; i++) {
        WAIT_UNTIL(r[i].reports);
        assert_int_equal(r[i].r.outcome, SENT_OK);
        assert_int_equal(r[i].reports, 1);
    }
    free(r);
}

static void sends_are_confirmed_once(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "prod");
    struct kproducer *p = producer(&n);
    assert_int_equal(kproducer_partitions(p, 0), PARTS);
    static char value[] = "zero-copy";
    struct report a = {.s = {reported}}, b = {.s = {reported}}, t = {.s = {reported}};
    struct slice key = {"user-7", 6};
    assert_int_equal(kproducer_send(p, 0, FX_BY_KEY, key, (struct slice){"v", 1}, &a.s), 0);
    assert_int_equal(kproducer_send_ref(p, 1, FX_BY_KEY, key, (struct slice){value, sizeof value}, &b.s), 0);
    assert_int_equal(kproducer_send(p, 0, FX_BY_KEY, key, (struct slice){NULL, 0}, &t.s), 0);
    WAIT_UNTIL(a.reports && b.reports && t.reports);
    assert_int_equal(a.r.outcome, SENT_OK);
    assert_int_equal(b.r.outcome, SENT_OK);
    assert_ptr_equal(b.r.value.p, value);
    assert_int_equal(a.r.part, kconf_part_of("user-7", 6, PARTS));
    assert_int_equal(b.r.part, a.r.part);
    assert_int_equal(t.r.part, a.r.part);
    assert_int_equal(t.r.offset, a.r.offset + 1);
    int64_t low, high;
    assert_int_equal(kadmin_watermarks(admin, n.a, a.r.part, &low, &high), 0);
    assert_int_equal(high, 2);
    kproducer_free(p, 1000);
}

static void wake(void *ctx)
{
    ++*(int *)ctx;
}

static void full_queue_is_told_and_reopens(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "full");
    int writable = 0;
    struct kproducer *p = kproducer_new(loop, &(struct kproducer_conf){.kafka = kafka,
                                                                       .topics = n.table,
                                                                       .n_topics = 2,
                                                                       .max_messages = 100,
                                                                       .ctx = &writable,
                                                                       .writable = wake});
    int sent = 0, rc;
    while (!(rc = kproducer_send(p, 0, 0, (struct slice){"k", 1}, (struct slice){"v", 1}, NULL)))
        sent++;
    assert_int_equal(rc, -EAGAIN);
    assert_in_range(sent, 50, 100);
    WAIT_UNTIL(writable > 0);
    assert_int_equal(kproducer_send(p, 0, 0, (struct slice){"k", 1}, (struct slice){"v", 1}, NULL), 0);
    kproducer_free(p, 5000);
    int64_t low, high;
    assert_int_equal(kadmin_watermarks(admin, n.a, 0, &low, &high), 0);
    assert_int_equal(high, sent + 1); /* flushed at the end */
}

static void unreachable_broker_reports_every_send(void **state)
{
    (void)state;
    struct ktopic t = {"nowhere", 1};
    struct kconf away = {.bootstrap = "127.0.0.1:1", .client_id = "t"};
    struct kproducer *p =
        kproducer_new(loop, &(struct kproducer_conf){.kafka = away, .topics = &t, .n_topics = 1});
    struct report r = {.s = {reported}};
    assert_int_equal(kproducer_send(p, 0, 0, (struct slice){"k", 1}, (struct slice){"v", 1}, &r.s), 0);
    kproducer_free(p, 10);
    assert_int_equal(r.reports, 1);
    assert_int_equal(r.r.outcome, SENT_FAILED);
}

/* ---- consumer ---- */
struct member {
    struct kconsumer *c;
    struct names *n;
    int64_t start; /* -1: at the committed offset */
    bool manual;   /* the test starts partitions itself */
    int assigned, revoked, lost, errors, closed;
    size_t n_parts;
    struct kpart parts[8];
    int64_t next[2][PARTS];
    int got, out_of_order, pause_at;
    enum kconsumer_error error;
    int committed, commit_rc;
};

static void on_assigned(void *ctx, const struct kpart *p, size_t n)
{
    struct member *m = ctx;
    m->assigned++;
    m->n_parts = n;
    for (size_t i = 0; i < n; i++) {
        m->parts[i] = p[i];
        int64_t from = m->start >= 0 ? m->start : p[i].offset < 0 ? 0 : p[i].offset;
        m->next[p[i].topic][p[i].part] = from;
        if (!m->manual)
            assert_int_equal(kconsumer_start(m->c, p[i].topic, p[i].part, from), 0);
    }
}

static void on_revoked(void *ctx, const struct kpart *p, size_t n)
{
    struct member *m = ctx;
    (void)p;
    (void)n;
    m->revoked++;
    m->n_parts = 0;
    kconsumer_revoke_done(m->c);
}

static void on_lost(void *ctx, const struct kpart *p, size_t n)
{
    struct member *m = ctx;
    (void)p;
    (void)n;
    m->lost++;
    m->n_parts = 0;
}

static bool on_message(void *ctx, const struct record *r, struct kmsg *k)
{
    struct member *m = ctx;
    (void)k;
    m->out_of_order += r->offset != m->next[r->topic][r->part];
    m->next[r->topic][r->part] = r->offset + 1;
    if (++m->got == m->pause_at)
        kconsumer_pause(m->c, r->topic, r->part);
    return false;
}

static void on_error(void *ctx, enum kconsumer_error e, const struct kpart *p, const char *why)
{
    struct member *m = ctx;
    (void)p;
    (void)why;
    m->errors += e != KCONSUMER_TRANSIENT;
    m->error = e;
}

static void on_closed(void *ctx)
{
    ((struct member *)ctx)->closed++;
}

static void join(struct member *m, struct names *n, size_t topics)
{
    m->n = n;
    m->c = kconsumer_new(
        loop, &(struct kconsumer_conf){.kafka = kafka,
                                       .group = n->group,
                                       .topics = n->table,
                                       .n_topics = 2,
                                       .inputs = n->inputs,
                                       .n_inputs = topics,
                                       .ctx = m,
                                       .ops = {on_assigned, on_revoked, on_lost, on_message, on_error}});
    assert_non_null(m->c);
}

static void leave(struct member *m)
{
    kconsumer_close(m->c, on_closed, m);
    WAIT_UNTIL(m->closed);
    kconsumer_free(m->c);
}

static void on_commit(void *ctx, int rc)
{
    struct member *m = ctx;
    m->committed++;
    m->commit_rc = rc;
}

static int commit(struct member *m, uint16_t topic, int32_t part, int64_t offset)
{
    int before = m->committed;
    struct kpart p = {topic, part, offset};
    int rc = kconsumer_commit(m->c, &p, 1, on_commit, m);
    if (rc)
        return rc;
    WAIT_UNTIL(m->committed > before);
    return m->commit_rc;
}

static void reads_commits_and_resumes(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "read");
    struct kproducer *p = producer(&n);
    fill(p, 0, 0, 500);
    fill(p, 0, 1, 500);
    struct member m = {.start = -1};
    join(&m, &n, 1);
    WAIT_UNTIL(m.got == 1000);
    assert_int_equal(m.parts[0].offset, -1);
    assert_int_equal(m.out_of_order, 0);
    assert_int_equal(commit(&m, 0, 0, 400), 0);
    assert_int_equal(kconsumer_lag(m.c, 0, 0), 0);
    leave(&m);
    assert_int_equal(m.revoked, 1);
    int64_t offsets[PARTS];
    assert_int_equal(kadmin_group_offsets(admin, n.group, n.a, offsets, PARTS), 0);
    assert_int_equal(offsets[0], 400);
    assert_int_equal(offsets[1], -1);
    struct member again = {.start = -1};
    join(&again, &n, 1);
    WAIT_UNTIL(again.got == 600);
    assert_int_equal(again.out_of_order, 0);
    leave(&again);
    kproducer_free(p, 1000);
}

static void pause_stops_and_resume_goes_on(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "pause");
    struct kproducer *p = producer(&n);
    fill(p, 0, 0, 1000);
    struct member m = {.start = 0, .pause_at = 300};
    join(&m, &n, 1);
    WAIT_UNTIL(m.got == 300);
    fill(p, 0, 1, 10); /* the other partition goes on meanwhile */
    WAIT_UNTIL(m.got >= 310);
    assert_int_equal(m.got, 310);
    kconsumer_resume(m.c, 0, 0);
    WAIT_UNTIL(m.got == 1010);
    assert_int_equal(m.out_of_order, 0);
    leave(&m);
    kproducer_free(p, 1000);
}

static void start_again_rewinds_and_others_go_on(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "rewind");
    struct kproducer *p = producer(&n);
    fill(p, 0, 0, 3000);
    fill(p, 0, 1, 3000);
    struct member m = {.start = 0};
    join(&m, &n, 1);
    for (int round = 0; round < 5; round++) {
        m.pause_at = m.got + 500 * (round + 1);
        m.next[0][0] = m.next[0][1] = 0;
        if (round) {
            assert_int_equal(kconsumer_start(m.c, 0, 0, 0), 0);
            assert_int_equal(kconsumer_start(m.c, 0, 1, 0), 0);
        }
        WAIT_UNTIL(m.got >= m.pause_at);
        m.next[0][0] = 100; /* in the middle of what is prefetched */
        assert_int_equal(kconsumer_start(m.c, 0, 0, 100), 0);
        kconsumer_resume(m.c, 0, 1);
        WAIT_UNTIL(m.next[0][0] == 3000 && m.next[0][1] == 3000);
        assert_int_equal(m.out_of_order, 0);
    }
    kconsumer_halt(m.c, 0, 1);
    fill(p, 0, 1, 5);
    fill(p, 0, 0, 5);
    WAIT_UNTIL(m.next[0][0] == 3005);
    assert_int_equal(m.next[0][1], 3000);
    assert_int_equal(m.out_of_order, 0);
    leave(&m);
    kproducer_free(p, 1000);
}

static void offset_past_the_end_is_loud(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "range");
    struct kproducer *p = producer(&n);
    fill(p, 0, 0, 10);
    struct member m = {.start = 5000};
    join(&m, &n, 1);
    WAIT_UNTIL(m.errors);
    assert_int_equal(m.error, KCONSUMER_OUT_OF_RANGE);
    leave(&m);
    kproducer_free(p, 1000);
}

static void two_members_share_and_hand_over(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "share");
    struct kproducer *p = producer(&n);
    struct member a = {.start = -1}, b = {.start = -1};
    join(&a, &n, 2);
    WAIT_UNTIL(a.n_parts == 4);
    join(&b, &n, 2);
    WAIT_UNTIL(a.n_parts == 2 && b.n_parts == 2);
    assert_int_equal(a.parts[0].part, a.parts[1].part); /* equal numbers travel together */
    assert_int_equal(a.revoked, 1);
    int32_t mine = b.parts[0].part;
    fill(p, 0, mine, 50);
    WAIT_UNTIL(b.next[0][mine] == 50);
    assert_int_equal(commit(&b, 0, mine, 50), 0);
    assert_int_not_equal(b.n_parts, 0);
    leave(&b);
    WAIT_UNTIL(a.n_parts == 4);
    assert_int_equal(a.next[0][mine], 50);
    leave(&a);
    kproducer_free(p, 1000);
}

static void a_zombie_cannot_commit(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "zombie");
    struct member a = {.start = 0}, b = {.start = 0};
    join(&a, &n, 1);
    WAIT_UNTIL(a.n_parts == 2);
    join(&b, &n, 1);
    WAIT_UNTIL(a.n_parts == 1 && b.n_parts == 1);
    int32_t theirs = b.parts[0].part;
    assert_int_equal(commit(&a, 0, a.parts[0].part, 0), 0);
    leave(&a);
    WAIT_UNTIL(b.n_parts == 2);
    assert_int_equal(commit(&b, 0, theirs, 0), 0);
    leave(&b);
    assert_int_equal(a.lost + b.lost, 0);
}

static void leave_inside(struct member *m)
{
    kconsumer_close(m->c, on_closed, m);
}

static void on_revoked_leave(void *ctx, const struct kpart *p, size_t n)
{
    on_revoked(ctx, p, n);
    leave_inside(ctx);
}

static bool on_message_leave(void *ctx, const struct record *r, struct kmsg *k)
{
    struct member *m = ctx;
    bool keep = on_message(ctx, r, k);
    if (m->got == 1)
        leave_inside(m);
    return keep;
}

static void members_leave_from_inside_callbacks(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "leave");
    struct kproducer *p = producer(&n);
    fill(p, 0, 0, 10);
    struct kconsumer_conf c = {.kafka = kafka,
                               .group = n.group,
                               .topics = n.table,
                               .n_topics = 2,
                               .inputs = n.inputs,
                               .n_inputs = 1,
                               .ops = {on_assigned, on_revoked_leave, on_lost, on_message, on_error}};
    struct member a = {.start = 0}, b = {.start = 0};
    c.ctx = &a;
    assert_non_null(a.c = kconsumer_new(loop, &c));
    WAIT_UNTIL(a.got == 10);
    c.ctx = &b;
    c.ops.revoked = on_revoked;
    c.ops.message = on_message_leave;
    assert_non_null(
        b.c = kconsumer_new(loop, &c)); /* its coming makes a leave; then it reads and leaves itself */
    WAIT_UNTIL(a.closed && b.closed);
    assert_int_equal(a.closed + b.closed, 2);
    kconsumer_free(a.c);
    kconsumer_free(b.c);
    kproducer_free(p, 1000);
}

static void members_may_be_freed_at_any_time(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "lost");
    struct member a = {.start = 0};
    join(&a, &n, 1);
    WAIT_UNTIL(a.n_parts == 2);
    kconsumer_free(a.c); /* at once, without a word */
    struct member b = {.start = 0};
    join(&b, &n, 1);
    kconsumer_free(b.c); /* with whatever is under way */
}

static void a_record_of_a_megabyte_passes(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "large");
    char topic[80];
    snprintf(topic, sizeof topic, "%s-l", n.a);
    struct kadmin_config cfg[] = {{"max.message.bytes", KCONF_BATCH_MAX}};
    assert_int_equal(kadmin_create_topic(admin, topic, 1, 1, cfg, 1), 0);
    n.table[0] = (struct ktopic){topic, 1};
    struct kproducer *p = producer(&n);
    size_t size = (1 << 20) + 65536; /* a frame and its envelope */
    uint8_t *big = malloc(size);
    assert_non_null(big);
    for (size_t i = 0; i < size; i += 8) { /* nothing that compresses */
        uint64_t x = rand_u64();
        memcpy(big + i, &x, 8);
    }
    struct report r[4] = {{.s = {reported}}, {.s = {reported}}, {.s = {reported}}, {.s = {reported}}};
    for (int i = 0; i < 4; i++)
        assert_int_equal(kproducer_send(p, 0, 0, (struct slice){"k", 1}, (struct slice){big, size}, &r[i].s),
                         0);
    WAIT_UNTIL(r[0].reports && r[1].reports && r[2].reports && r[3].reports);
    for (int i = 0; i < 4; i++)
        assert_int_equal(r[i].r.outcome, SENT_OK);
    struct member m = {.start = 0};
    join(&m, &n, 1);
    WAIT_UNTIL(m.got == 4);
    leave(&m);
    kproducer_free(p, 1000);
    free(big);
}

/* ---- admin ---- */
struct asked {
    int calls, err;
    struct kgroup g[2];
    struct kgroup_part parts[PARTS];
    size_t n;
};

static void on_groups(void *ctx, int err, const struct kgroup *g, size_t n)
{
    struct asked *x = ctx;
    x->calls++;
    x->err = err;
    x->n = n;
    for (size_t i = 0; i < n && i < 2; i++)
        x->g[i] = g[i];
}

static void on_progress(void *ctx, int err, const struct kgroup_part *p, int32_t n)
{
    struct asked *x = ctx;
    x->calls++;
    x->err = err;
    x->n = (size_t)n;
    for (int32_t i = 0; i < n; i++)
        x->parts[i] = p[i];
}

static void groups_can_be_described_on_the_loop(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "groups");
    const char *groups[] = {n.group, "no-such-group"};
    struct member a = {.start = 0};
    join(&a, &n, 1);
    WAIT_UNTIL(a.n_parts == 2);
    struct asked x = {0};
    struct kgroups *k = kgroups_new(loop, &kafka, NULL, 5000);
    assert_non_null(k);
    assert_int_equal(kgroups_describe(k, groups, 2, on_groups, &x), 0);
    assert_int_equal(kgroups_describe(k, groups, 2, on_groups, &x), -EBUSY);
    assert_true(kgroups_busy(k));
    WAIT_UNTIL(x.calls);
    assert_false(kgroups_busy(k));
    assert_int_equal(x.err, 0);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.g[0].state, KGROUP_STABLE);
    assert_int_equal(x.g[0].n_members, 1);
    assert_string_equal(x.g[0].client_ids[0], "test-kafka");
    assert_int_equal(x.g[1].err, 0);
    assert_int_equal(x.g[1].state, KGROUP_DEAD);
    assert_int_equal(x.g[1].n_members, 0);
    leave(&a);
    assert_int_equal(kgroups_describe(k, groups, 1, on_groups, &x), 0);
    WAIT_UNTIL(x.calls == 2);
    assert_int_equal(x.g[0].n_members, 0);
    assert_int_equal(kgroups_describe(k, groups, 1, on_groups, &x), 0);
    kgroups_free(k); /* with a question under way */
    assert_int_equal(x.calls, 2);
}

static void a_groups_progress_can_be_asked_on_the_loop(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "progress");
    struct kproducer *p = producer(&n);
    fill(p, 0, 1, 30);
    int64_t at[PARTS] = {-1, 7};
    assert_int_equal(kadmin_commit_offsets(admin, n.group, n.a, at, PARTS), 0);
    struct asked x = {0};
    struct kgroups *k = kgroups_new(loop, &kafka, n.group, 5000);
    assert_int_equal(kgroups_progress(k, n.a, PARTS, on_progress, &x), 0);
    WAIT_UNTIL(x.calls);
    assert_int_equal(x.err, 0);
    assert_int_equal(x.n, PARTS);
    assert_int_equal(x.parts[0].committed, -1);
    assert_int_equal(x.parts[1].committed, 7);
    assert_int_equal(x.parts[1].low, 0);
    assert_int_equal(x.parts[1].high, 30);
    kgroups_free(k);
    struct kconf away = {.bootstrap = "127.0.0.1:1", .client_id = "t"};
    k = kgroups_new(loop, &away, n.group, 200);
    assert_int_equal(kgroups_progress(k, n.a, PARTS, on_progress, &x), 0);
    WAIT_UNTIL(x.calls == 2);
    assert_int_equal(x.err, -EAGAIN);
    kgroups_free(k);
    kproducer_free(p, 1000);
}

static void topics_and_offsets(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "admin");
    assert_int_equal(kadmin_create_topic(admin, n.a, PARTS, 1, NULL, 0), -EEXIST);
    char t[64], v[64];
    snprintf(t, sizeof t, "%s-conf", prefix);
    struct kadmin_config cfg[] = {{"cleanup.policy", "compact"}, {"message.timestamp.type", "LogAppendTime"}};
    assert_int_equal(kadmin_create_topic(admin, t, 3, 0, cfg, 2), 0);
    int32_t parts = 0;
    assert_int_equal(kadmin_partitions(admin, t, &parts), 0);
    assert_int_equal(parts, 3);
    assert_int_equal(kadmin_topic_config(admin, t, "cleanup.policy", v, sizeof v), 0);
    assert_string_equal(v, "compact");
    assert_int_equal(kadmin_partitions(admin, "no-such-topic", &parts), -ENOENT);
    int64_t zero[PARTS] = {0, 0}, got[PARTS];
    assert_int_equal(kadmin_commit_offsets(admin, n.group, n.a, zero, PARTS), 0);
    assert_int_equal(kadmin_group_offsets(admin, n.group, n.a, got, PARTS), 0);
    assert_int_equal(got[0], 0);
    assert_int_equal(got[1], 0);
    struct member a = {.start = -1};
    join(&a, &n, 1);
    WAIT_UNTIL(a.n_parts == 2);
    assert_int_equal(a.parts[0].offset, 0);
    assert_int_equal(kadmin_commit_offsets(admin, n.group, n.a, zero, PARTS), -EBUSY);
    leave(&a);
    assert_int_equal(kadmin_delete_topic(admin, t), 0);
    assert_int_equal(kadmin_cluster_id(admin, v, sizeof v), 0);
}

/* ---- readers without a group ---- */
struct seen {
    int records, caught_up, caught_up_at, done, err, refuse_at, refused;
    int64_t last;
};

static void on_view(void *ctx, const struct record *r)
{
    struct seen *s = ctx;
    s->records++;
    s->last = r->offset;
}

static void on_caught_up(void *ctx)
{
    struct seen *s = ctx;
    s->caught_up++;
    s->caught_up_at = s->records;
}

static void view_catches_up_then_follows(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "view");
    struct kproducer *p = producer(&n);
    fill(p, 0, 0, 300);
    fill(p, 0, 1, 200);
    struct seen s = {0}, empty = {0};
    struct kview_conf c = {.kafka = kafka,
                           .topic = 0,
                           .name = n.a,
                           .partitions = PARTS,
                           .ctx = &s,
                           .message = on_view,
                           .caught_up = on_caught_up};
    struct kview *v = kview_new(loop, &c);
    c.name = n.b;
    c.ctx = &empty;
    struct kview *e = kview_new(loop, &c);
    WAIT_UNTIL(s.caught_up && empty.caught_up);
    assert_int_equal(s.caught_up_at, 500);
    assert_int_equal(empty.records, 0);
    fill(p, 0, 0, 10);
    WAIT_UNTIL(s.records == 510);
    assert_int_equal(s.caught_up, 1);
    assert_int_equal(kview_position(v, 0), 310);
    kview_free(v);
    kview_free(e);
    kproducer_free(p, 1000);
}

struct live {
    int n[PARTS], gaps;
    int64_t first[PARTS], last[PARTS];
};

static void on_live(void *ctx, const struct record *r)
{
    struct live *l = ctx;
    int32_t p = r->part;
    assert_in_range(p, 0, PARTS - 1);
    if (l->n[p]++ == 0)
        l->first[p] = r->offset;
    else
        l->gaps += r->offset != l->last[p] + 1;
    l->last[p] = r->offset;
}

/* What is written while it is being added may be missed: until something comes. Returns how many were written. */
static int until_heard(struct kproducer *p, const struct live *h, int32_t part)
{
    int n = 0;
    for (; h->n[part] == 0; n++) {
        assert_true(n < 300);
        fill(p, 0, part, 1);
        for (int64_t end = clock_mono_ms() + 100; h->n[part] == 0 && clock_mono_ms() < end;)
            assert_int_equal(loop_turn(loop, 10), 0);
    }
    return n;
}

static void live_reads_what_is_new(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "live");
    struct kproducer *p = producer(&n);
    fill(p, 0, 0, 50);
    struct live h = {.gaps = 0};
    const struct klive_conf c = {
        .kafka = kafka, .name = n.a, .partitions = PARTS, .ctx = &h, .message = on_live};
    struct klive *l = klive_new(loop, &c);
    klive_add(l, 0);
    klive_add(l, 0);
    klive_add(l, 99);
    int written = 50 + until_heard(p, &h, 0);
    assert_true(h.first[0] >= 50);
    WAIT_UNTIL(h.last[0] == written - 1);
    klive_add(l, 1); /* who was there goes on where it was */
    fill(p, 0, 0, 20);
    until_heard(p, &h, 1);
    WAIT_UNTIL(h.last[0] == written + 19);
    assert_int_equal(h.gaps, 0);
    klive_remove(l, 0);
    assert_int_equal(loop_turn(loop, 0), 0);
    int before = h.n[0];
    int64_t last = h.last[1];
    fill(p, 0, 0, 5);
    fill(p, 0, 1, 5);
    WAIT_UNTIL(h.last[1] >= last + 5);
    assert_int_equal(h.n[0], before);
    klive_remove(l, 1);
    assert_int_equal(loop_turn(loop, 0), 0);
    klive_free(l);
    klive_free(NULL);
    kproducer_free(p, 1000);
}

static bool on_range(void *ctx, const struct record *r)
{
    struct seen *s = ctx;
    if (s->records == s->refuse_at && s->refuse_at) {
        s->refused++;
        return false;
    }
    s->records++;
    s->last = r->offset;
    return true;
}

static void on_range_done(void *ctx, int err)
{
    struct seen *s = ctx;
    s->done++;
    s->err = err;
}

static void range_reads_exactly_what_was_asked(void **state)
{
    (void)state;
    struct names n;
    make_names(&n, "rng");
    struct kproducer *p = producer(&n);
    fill(p, 0, 1, 1000);
    struct seen s = {.refuse_at = 50};
    struct krange_conf c = {.kafka = kafka,
                            .name = n.a,
                            .part = 1,
                            .from = 100,
                            .to = 900,
                            .ctx = &s,
                            .message = on_range,
                            .done = on_range_done};
    struct krange *g = krange_new(loop, &c);
    WAIT_UNTIL(s.refused == 1);
    s.refuse_at = 0;
    krange_resume(g);
    WAIT_UNTIL(s.done);
    assert_int_equal(s.err, 0);
    assert_int_equal(s.records, 800);
    assert_int_equal(s.last, 899);
    krange_free(g);
    s = (struct seen){0};
    c.from = c.to;
    g = krange_new(loop, &c); /* nothing to read */
    WAIT_UNTIL(s.done);
    assert_int_equal(s.err, 0);
    assert_int_equal(s.records, 0);
    krange_free(g);
    s = (struct seen){0};
    c.to = 5000;
    g = krange_new(loop, &c); /* more than there is */
    WAIT_UNTIL(s.done);
    assert_int_equal(s.err, -ERANGE);
    assert_int_equal(s.records, 100);
    krange_free(g);
    kproducer_free(p, 1000);
}

static int setup(void **state)
{
    (void)state;
    const char *bootstrap = getenv("PARLEY_KAFKA");
    if (!bootstrap) {
        print_error("PARLEY_KAFKA is not set: run the integration tests with tools/servers\n");
        return -1;
    }
    kafka = (struct kconf){.bootstrap = bootstrap, .client_id = "test-kafka"};
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
        cmocka_unit_test(sends_are_confirmed_once),
        cmocka_unit_test(full_queue_is_told_and_reopens),
        cmocka_unit_test(unreachable_broker_reports_every_send),
        cmocka_unit_test(reads_commits_and_resumes),
        cmocka_unit_test(pause_stops_and_resume_goes_on),
        cmocka_unit_test(start_again_rewinds_and_others_go_on),
        cmocka_unit_test(offset_past_the_end_is_loud),
        cmocka_unit_test(two_members_share_and_hand_over),
        cmocka_unit_test(a_zombie_cannot_commit),
        cmocka_unit_test(members_leave_from_inside_callbacks),
        cmocka_unit_test(members_may_be_freed_at_any_time),
        cmocka_unit_test(a_record_of_a_megabyte_passes),
        cmocka_unit_test(a_groups_progress_can_be_asked_on_the_loop),
        cmocka_unit_test(groups_can_be_described_on_the_loop),
        cmocka_unit_test(topics_and_offsets),
        cmocka_unit_test(view_catches_up_then_follows),
        cmocka_unit_test(live_reads_what_is_new),
        cmocka_unit_test(range_reads_exactly_what_was_asked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
