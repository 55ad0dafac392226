/* The reducer against a plain model of what SPEC and conv.h promise, over seeded logs; and the golden log. */
#include "common/base/hex.h"
#include "common/im/conv.h"
#include "proto/client.pb-c.h"
#include "tests/support/convstore.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/conv-rules1.log"
#define LOGS   300
#define EVENTS 700

/* ---- the model: nothing is clever, everything is a list ---- */

struct mdevice {
    uint32_t device;
    bool ringed, floored;
    uint64_t used, dropped; /* when, counted in recorded outcomes */
    uint64_t evicted;       /* ringed: fell out; floored: how far it got */
    size_t n;
    struct {
        uint64_t number;
        struct conv_outcome o;
    } seen[CONV_RING + 1];
};

struct muser {
    struct id16 id;
    struct mdevice devices[32];
};

struct model {
    struct id16 a, b, conv;
    uint64_t head, clock;
    int64_t time_ms;
    struct muser users[2];
};

static size_t count(struct muser *u, bool floors, struct mdevice **oldest)
{
    size_t n = 0;
    *oldest = NULL;
    for (struct mdevice *d = u->devices; d < u->devices + 32; d++) {
        if (!(floors ? d->floored : d->ringed))
            continue;
        n++;
        if (!*oldest || (floors ? d->dropped < (*oldest)->dropped : d->used < (*oldest)->used))
            *oldest = d;
    }
    return n;
}

static void model_record(struct model *m, struct muser *u, struct mdevice *d, uint64_t number,
                         struct conv_outcome o)
{
    struct mdevice *oldest;
    if (!d->ringed) {
        if (!d->floored)
            d->evicted = 0;
        d->floored = false;
        if (count(u, false, &oldest) == CONV_RINGS) {
            struct mdevice *idle = oldest;
            for (size_t i = 0; i < idle->n; i++)
                if (idle->seen[i].number > idle->evicted)
                    idle->evicted = idle->seen[i].number;
            idle->n = 0;
            idle->ringed = false;
            idle->floored = true;
            idle->dropped = ++m->clock;
            if (count(u, true, &oldest) > 24)
                oldest->floored = false;
        }
        d->ringed = true;
    }
    d->used = ++m->clock;
    d->seen[d->n].number = number;
    d->seen[d->n++].o = o;
    if (d->n <= CONV_RING)
        return;
    size_t low = 0;
    for (size_t i = 1; i < d->n; i++)
        if (d->seen[i].number < d->seen[low].number)
            low = i;
    d->evicted = d->seen[low].number;
    d->seen[low] = d->seen[--d->n];
}

static struct conv_outcome model_apply(struct model *m, const struct conv_event *e)
{
    struct conv_outcome o = {.verdict = CONV_REFUSED,
                             .reason = IM__CODE__NOT_A_MEMBER,
                             .time_ms = e->time_ms > m->time_ms ? e->time_ms : m->time_ms};
    bool ok =
        (id_eq(e->user, m->a) && id_eq(e->peer, m->b)) || (id_eq(e->user, m->b) && id_eq(e->peer, m->a));
    if (!ok || !id_eq(e->conv, m->conv))
        return o;
    struct muser *u = &m->users[id_eq(e->user, m->a) ? 0 : 1];
    struct mdevice *d = &u->devices[e->device];
    if (e->client_seq) {
        for (size_t i = 0; d->ringed && i < d->n; i++)
            if (d->seen[i].number == e->client_seq) {
                o = d->seen[i].o;
                o.verdict = CONV_DUPLICATE;
                return o;
            }
        if ((d->ringed || d->floored) && e->client_seq <= d->evicted) {
            o.reason = IM__CODE__STALE;
            return o;
        }
    }
    o.reason = e->kind == 1 ? 0 : IM__CODE__REFUSED;
    if (!o.reason) {
        o.verdict = CONV_ACCEPTED;
        o.seq = ++m->head;
        m->time_ms = o.time_ms;
    }
    if (e->client_seq)
        model_record(m, u, d, e->client_seq, o);
    return o;
}

static void same(struct conv_outcome a, struct conv_outcome b)
{
    assert_int_equal(a.verdict, b.verdict);
    assert_int_equal(a.reason, b.reason);
    assert_int_equal(a.seq, b.seq);
    assert_int_equal(a.time_ms, b.time_ms);
}

/* ---- one log, three ways: never saved, batches with saves and reloads, the model ---- */

struct run {
    struct conv *whole, *batched;
    struct convstore store;
    struct model model;
    uint64_t accepted;
};

static void check_digests(struct run *r, struct rng *rng)
{
    uint8_t whole[32], stored[32], loaded[32];
    conv_digest(r->whole, whole);
    convstore_digest(&r->store, stored);
    struct conv *all = convstore_load(&r->store, r->model.conv, rng);
    conv_digest(all, loaded);
    conv_free(all);
    assert_memory_equal(whole, stored, 32);
    assert_memory_equal(whole, loaded, 32);
}

static void batch(struct run *r, const struct conv_event *events, size_t n, struct rng *rng)
{
    /* All is planned before anything is applied, as the shell does. */
    for (size_t i = 0; i < n; i++)
        assert_true(convstore_plan(&r->store, r->batched, &events[i]));
    for (size_t i = 0; i < n; i++) {
        struct conv_outcome o = conv_apply(r->batched, &events[i]);
        same(o, conv_apply(r->whole, &events[i]));
        same(o, model_apply(&r->model, &events[i]));
        if (o.verdict == CONV_ACCEPTED)
            assert_int_equal(o.seq, ++r->accepted);
        else
            assert_true(o.verdict == CONV_DUPLICATE || o.seq == 0);
    }
    convstore_save(&r->store, r->batched);
    assert_int_equal(conv_head(r->batched), conv_head(r->whole));
    if (rng_below(rng, 3) == 0) {
        conv_free(r->batched);
        r->batched =
            rng_below(rng, 4) ? conv_new(r->model.conv) : convstore_load(&r->store, r->model.conv, rng);
        check_digests(r, rng);
    }
}

static void one_log(uint64_t seed)
{
    static struct run r;
    static struct conv_event events[EVENTS];
    struct rng rng = {seed ^ 0x5eed};
    struct convlog log;
    convlog_init(&log, seed);
    r = (struct run){.whole = conv_new(log.conv), .batched = conv_new(log.conv)};
    r.model.a = log.a;
    r.model.b = log.b;
    r.model.conv = log.conv;
    assert_int_equal(conv_load(r.whole, &(struct conv_cell){.key_n = 1}), 0);
    for (size_t i = 0; i < EVENTS; i++)
        events[i] = convlog_next(&log);
    for (size_t at = 0, n; at < EVENTS; at += n) {
        n = 1 + rng_below(&rng, rng_below(&rng, 2) ? 4 : 80);
        n = n < EVENTS - at ? n : EVENTS - at;
        batch(&r, events + at, n, &rng);
    }
    check_digests(&r, &rng);
    assert_true(conv_bytes(r.whole) < 80000);
    conv_free(r.whole);
    conv_free(r.batched);
    convstore_release(&r.store);
}

static void any_split_and_any_reload_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LOGS; seed++)
        one_log(seed);
}

/* ---- the golden log: what version 1 says today it says for ever ---- */

static const char *const logins[] = {"anna", "bert", "carl"};

static int who(struct id16 id)
{
    for (int i = 0; i < 3; i++)
        if (id_eq(id, id_user(logins[i])))
            return i;
    return -1;
}

static void write_golden(const char *path)
{
    FILE *f = fopen(path, "w");
    struct convlog log;
    for (uint64_t seed = 1; convlog_init(&log, seed), id_eq(log.a, log.b) || log.devices < 12; seed++)
        ;
    struct conv *c = conv_new(log.conv);
    conv_load(c, &(struct conv_cell){.key_n = 1});
    fprintf(f,
            "# kind user peer right-conversation device client_seq time_ms = verdict reason seq time_ms\n");
    for (int i = 0; i < 600; i++) {
        struct conv_event e = convlog_next(&log);
        struct conv_outcome o = conv_apply(c, &e);
        fprintf(f, "%u %s %s %d %u %" PRIu64 " %" PRId64 " = %d %u %" PRIu64 " %" PRId64 "\n", e.kind,
                logins[who(e.user)], logins[who(e.peer)], id_eq(e.conv, log.conv), e.device, e.client_seq,
                e.time_ms, (int)o.verdict, o.reason, o.seq, o.time_ms);
    }
    uint8_t digest[32];
    char hex[65];
    conv_digest(c, digest);
    fprintf(f, "digest %s\n", hex_encode(hex, digest, 32));
    fclose(f);
    conv_free(c);
}

static void golden_log(void **state)
{
    (void)state;
    const char *write_to = getenv("WRITE_GOLDEN");
    if (write_to)
        write_golden(write_to);
    FILE *f = fopen(GOLDEN, "r");
    assert_non_null(f);
    struct id16 conv = id_direct(id_user("anna"), id_user("bert"));
    struct conv *c = conv_new(conv);
    conv_load(c, &(struct conv_cell){.key_n = 1});
    char line[256], user[16], peer[16], hex[65], have[65] = "";
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        struct conv_event e = {.rules = 1, .conv = conv};
        struct conv_outcome want, got;
        int right, verdict;
        if (sscanf(line, "digest %64s", have) == 1 || line[0] == '#')
            continue;
        assert_int_equal(sscanf(line,
                                "%u %15s %15s %d %u %" SCNu64 " %" SCNd64 " = %d %hu %" SCNu64 " %" SCNd64,
                                &e.kind, user, peer, &right, &e.device, &e.client_seq, &e.time_ms, &verdict,
                                &want.reason, &want.seq, &want.time_ms),
                         11);
        e.user = id_user(user);
        e.peer = id_user(peer);
        if (!right)
            e.conv.b[3] ^= 1;
        want.verdict = (enum conv_verdict)verdict;
        got = conv_apply(c, &e);
        same(got, want);
        n++;
    }
    fclose(f);
    uint8_t digest[32];
    conv_digest(c, digest);
    assert_string_equal(hex_encode(hex, digest, 32), have);
    assert_true(n >= 600);
    conv_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_and_any_reload_agree_with_the_model),
        cmocka_unit_test(golden_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
