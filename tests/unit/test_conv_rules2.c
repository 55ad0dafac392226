/* Rules 2 over seeded logs of every kind: never saved, in batches with saves and reloads, and by a plain model. */
#include "common/base/hex.h"
#include "common/im/conv.h"
#include "proto/client.pb-c.h"
#include "tests/support/conv2log.h"
#include "tests/support/convstore.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/conv-rules2.log"
#define LOGS   120
#define EVENTS 1200
#define BATCH  80

struct run {
    struct conv *whole, *batched;
    struct convstore store;
    struct conv2model *model;
    uint64_t seed, accepted;
    size_t at;
};

static bool outcome_eq(const struct conv_outcome *a, const struct conv_outcome *b)
{
    return a->verdict == b->verdict && a->reason == b->reason && a->seq == b->seq &&
           a->time_ms == b->time_ms && a->changed[0] == b->changed[0] && a->changed[1] == b->changed[1] &&
           a->read == b->read && a->delivered == b->delivered && a->until_ms == b->until_ms;
}

static void same(const struct run *r, const struct conv_event *e, struct conv_outcome a,
                 struct conv_outcome b)
{
    if (!outcome_eq(&a, &b))
        fail_msg("seed %" PRIu64 " event %zu kind %u: %d %u %" PRIu64 " and %d %u %" PRIu64, r->seed, r->at,
                 e->kind, (int)a.verdict, a.reason, a.seq, (int)b.verdict, b.reason, b.seq);
}

static void check(struct run *r, struct rng *rng)
{
    uint8_t whole[32], stored[32], loaded[32];
    conv_digest(r->whole, whole);
    convstore_digest(&r->store, stored);
    struct conv *all = convstore_load(&r->store, conv_id(r->whole), rng);
    if (r->store.n == 0)
        conv_load(all, &(struct conv_cell){.key_n = 1});
    conv_digest(all, loaded);
    assert_memory_equal(whole, stored, 32);
    assert_memory_equal(whole, loaded, 32);
    const char *a = conv2model_differs(r->model, r->whole), *b = conv2model_differs(r->model, all);
    if (a || b)
        fail_msg("seed %" PRIu64 " event %zu: %s", r->seed, r->at, a ? a : b);
    conv_free(all);
}

static void batch(struct run *r, const struct conv_event *events, size_t n, struct rng *rng)
{
    /* All is planned before anything is applied, as the shell does. */
    for (size_t i = 0; i < n; i++)
        assert_true(convstore_plan(&r->store, r->batched, &events[i]));
    for (size_t i = 0; i < n; i++, r->at++) {
        struct conv_cell need[CONV_NEEDS_MAX];
        assert_int_equal(conv_needs(r->batched, &events[i], need), 0);
        struct conv_outcome o = conv_apply(r->batched, &events[i]), again;
        same(r, &events[i], o, conv_apply(r->whole, &events[i]));
        same(r, &events[i], o, conv2model_apply(r->model, &events[i]));
        if (o.verdict == CONV_ACCEPTED)
            assert_int_equal(o.seq, ++r->accepted);
        else
            assert_true(o.verdict == CONV_DUPLICATE || o.seq == 0);
        if (conv_recall(r->batched, &events[i], &again) && o.verdict != CONV_REFUSED) {
            assert_int_equal(again.seq, o.seq);
            assert_int_equal(again.reason, o.reason);
        }
    }
    convstore_save(&r->store, r->batched);
    if (rng_below(rng, 3) == 0) {
        struct id16 id = conv_id(r->batched);
        conv_free(r->batched);
        r->batched = rng_below(rng, 4) || !r->store.n ? conv_new(id) : convstore_load(&r->store, id, rng);
        if (rng_below(rng, 4) == 0)
            check(r, rng);
    }
}

static void one_log(uint64_t seed, enum conv_type type, size_t n_events)
{
    struct conv_event events[BATCH];
    static struct id16 named[BATCH][C2_USERS];
    struct rng rng = {seed ^ 0x5eed};
    struct conv2log log;
    conv2log_init(&log, seed, type);
    struct run r = {.whole = conv_new(log.conv),
                    .batched = conv_new(log.conv),
                    .model = conv2model_new(&log),
                    .seed = seed};
    assert_int_equal(conv_load(r.whole, &(struct conv_cell){.key_n = 1}), 0);
    for (size_t at = 0, n; at < n_events; at += n) {
        n = 1 + rng_below(&rng, rng_below(&rng, 2) ? 4 : BATCH);
        log.head = conv_head(r.whole);
        for (size_t i = 0; i < n; i++)
            events[i] = conv2log_next(&log, named[i]);
        batch(&r, events, n, &rng);
    }
    check(&r, &rng);
    assert_true(conv_bytes(r.whole) < 400000);
    conv_free(r.whole);
    conv_free(r.batched);
    conv2model_free(r.model);
    convstore_release(&r.store);
}

static void groups_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LOGS; seed++)
        one_log(seed, CONV_GROUP, seed % 10 ? EVENTS : 3 * EVENTS);
}

static void two_people_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LOGS; seed++)
        one_log(seed, CONV_DIRECT, seed % 10 ? EVENTS : 3 * EVENTS);
}

static void the_system_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        one_log(seed, CONV_SYSTEM, 300);
}

/* ---- the logs have everything in them ---- */

static void every_refusal_of_every_kind_happens(void **state)
{
    static const struct {
        enum conv_type type;
        uint16_t kind, reason; /* reason 0: has a place; 1: noted */
    } want[] = {
        {CONV_DIRECT, 1, 0},
        {CONV_DIRECT, 1, IM__CODE__BLOCKED},
        {CONV_DIRECT, 1, IM__CODE__NOT_FRIENDS},
        {CONV_DIRECT, 1, IM__CODE__NO_SUCH_MESSAGE},
        {CONV_DIRECT, 1, IM__CODE__NOT_A_MEMBER},
        {CONV_DIRECT, 2, 0},
        {CONV_DIRECT, 2, IM__CODE__TOO_OLD},
        {CONV_DIRECT, 2, IM__CODE__GONE},
        {CONV_DIRECT, 2, IM__CODE__NOT_ALLOWED},
        {CONV_DIRECT, 2, IM__CODE__BLOCKED},
        {CONV_DIRECT, 3, 0},
        {CONV_DIRECT, 3, IM__CODE__TOO_OLD},
        {CONV_DIRECT, 4, 0},
        {CONV_DIRECT, 5, 0},
        {CONV_DIRECT, 5, IM__CODE__NO_CHANGE},
        {CONV_DIRECT, 6, 0},
        {CONV_DIRECT, 40, 0},
        {CONV_DIRECT, 40, IM__CODE__BLOCKED},
        {CONV_DIRECT, 41, 0},
        {CONV_DIRECT, 42, 0},
        {CONV_DIRECT, 43, 0},
        {CONV_DIRECT, 44, 1},
        {CONV_DIRECT, 45, 1},
        {CONV_DIRECT, 45, IM__CODE__NO_CHANGE},
        {CONV_DIRECT, 60, 1},
        {CONV_DIRECT, 60, IM__CODE__NO_CHANGE},
        {CONV_GROUP, 1, 0},
        {CONV_GROUP, 1, IM__CODE__MUTED},
        {CONV_GROUP, 1, IM__CODE__GONE},
        {CONV_GROUP, 2, 0},
        {CONV_GROUP, 2, IM__CODE__MUTED},
        {CONV_GROUP, 3, 0},
        {CONV_GROUP, 3, IM__CODE__NOT_ALLOWED},
        {CONV_GROUP, 3, IM__CODE__GONE},
        {CONV_GROUP, 4, 0},
        {CONV_GROUP, 5, 0},
        {CONV_GROUP, 5, IM__CODE__NOT_ALLOWED},
        {CONV_GROUP, 6, 0},
        {CONV_GROUP, 20, 0},
        {CONV_GROUP, 21, 0},
        {CONV_GROUP, 21, 1},
        {CONV_GROUP, 21, IM__CODE__GROUP_FULL},
        {CONV_GROUP, 21, IM__CODE__NOT_A_MEMBER},
        {CONV_GROUP, 21, IM__CODE__NO_CHANGE},
        {CONV_GROUP, 22, 0},
        {CONV_GROUP, 22, IM__CODE__OWNER_STAYS},
        {CONV_GROUP, 23, 0},
        {CONV_GROUP, 23, IM__CODE__GROUP_FULL},
        {CONV_GROUP, 23, IM__CODE__NOT_ALLOWED},
        {CONV_GROUP, 24, 0},
        {CONV_GROUP, 24, IM__CODE__NO_SUCH_MEMBER},
        {CONV_GROUP, 24, IM__CODE__NOT_ALLOWED},
        {CONV_GROUP, 25, 0},
        {CONV_GROUP, 25, IM__CODE__NO_CHANGE},
        {CONV_GROUP, 26, 0},
        {CONV_GROUP, 27, 0},
        {CONV_GROUP, 28, 0},
        {CONV_GROUP, 28, IM__CODE__NO_CHANGE},
        {CONV_GROUP, 29, 0},
        {CONV_GROUP, 29, IM__CODE__NOT_ALLOWED},
        {CONV_GROUP, 30, 0},
        {CONV_GROUP, 31, 0},
        {CONV_GROUP, 31, IM__CODE__NO_CHANGE},
        {CONV_GROUP, 32, 0},
        {CONV_GROUP, 33, 0},
        {CONV_GROUP, 33, IM__CODE__NO_SUCH_MEMBER},
        {CONV_GROUP, 34, 1},
        {CONV_GROUP, 60, 1},
        {CONV_SYSTEM, 7, 0},
        {CONV_SYSTEM, 7, IM__CODE__NOT_ALLOWED},
    };
    static bool seen[4][64][512];
    (void)state;
    for (int type = CONV_DIRECT; type <= CONV_SYSTEM; type++)
        for (uint64_t seed = 1; seed <= LOGS; seed++) {
            struct conv2log log;
            struct id16 named[C2_USERS];
            conv2log_init(&log, seed, (enum conv_type)type);
            struct conv *c = conv_new(log.conv);
            conv_load(c, &(struct conv_cell){.key_n = 1});
            for (size_t i = 0; i < (seed % 10 ? EVENTS : 3 * EVENTS); i++) {
                log.head = conv_head(c);
                struct conv_event e = conv2log_next(&log, named);
                struct conv_outcome o = conv_apply(c, &e);
                if (o.verdict != CONV_DUPLICATE)
                    seen[type][e.kind][o.verdict == CONV_NOTED ? 1 : o.reason] = true;
            }
            conv_free(c);
        }
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!seen[want[i].type][want[i].kind][want[i].reason])
            fail_msg("type %d kind %u: never %u", want[i].type, want[i].kind, want[i].reason);
}

/* ---- the golden log: what version 2 says today it says for ever ---- */

static void hex_users(FILE *f, struct slice users)
{
    if (users.n == 0)
        fputc('-', f);
    for (size_t i = 0; i < users.n; i++)
        fprintf(f, "%02x", ((const uint8_t *)users.p)[i]);
}

static void golden_event(FILE *f, const struct conv_event *e, const struct conv_outcome *o)
{
    char user[ID_HEX], peer[ID_HEX], conv[ID_HEX];
    fprintf(f, "%u %u %s %s %s %u %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 " ", e->rules, e->kind,
            id_hex(e->conv, conv), id_hex(e->user, user), id_hex(e->peer, peer), e->device, e->client_seq,
            e->time_ms, e->target, e->reply_to);
    hex_users(f, e->users);
    fprintf(f, " %u %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %d %u %u", e->role, e->flags, e->flags_mask,
            e->duration_s, e->read, e->delivered, e->settings.strangers_refused, e->settings.admin,
            e->settings.recall_limit_s, e->settings.group_cap);
    fprintf(f, " = %d %u %" PRIu64 " %" PRId64 " %" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRId64 "\n",
            (int)o->verdict, o->reason, o->seq, o->time_ms, o->changed[0], o->read, o->delivered,
            o->until_ms);
}

static void golden_digest(FILE *f, const struct conv *c)
{
    uint8_t digest[32];
    char hex[65];
    conv_digest(c, digest);
    fprintf(f, "digest %s\n", hex_encode(hex, digest, 32));
}

static void write_golden(const char *path)
{
    static const struct {
        enum conv_type type;
        uint64_t seed;
        int events;
    } logs[] = {{CONV_GROUP, 10, 400}, {CONV_GROUP, 4, 250}, {CONV_DIRECT, 2, 350}, {CONV_SYSTEM, 1, 50}};
    FILE *f = fopen(path, "w");
    fprintf(
        f,
        "# rules kind conversation user peer device client_seq time_ms target reply_to users role flags mask "
        "duration_s read delivered strangers_refused admin recall_limit_s group_cap\n"
        "# = verdict reason seq time_ms changed read delivered until_ms; `digest` ends a conversation\n");
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        struct conv2log log;
        struct id16 named[C2_USERS];
        conv2log_init(&log, logs[i].seed, logs[i].type);
        struct conv *c = conv_new(log.conv);
        conv_load(c, &(struct conv_cell){.key_n = 1});
        for (int k = 0; k < logs[i].events; k++) {
            log.head = conv_head(c);
            struct conv_event e = conv2log_next(&log, named);
            struct conv_outcome o = conv_apply(c, &e);
            golden_event(f, &e, &o);
        }
        golden_digest(f, c);
        conv_free(c);
    }
    fclose(f);
}

static struct id16 unhex(const char *hex)
{
    struct id16 id = {{0}};
    for (int i = 0; i < ID_SIZE; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * (size_t)i, "%2x", &byte), 1);
        id.b[i] = (uint8_t)byte;
    }
    return id;
}

/* 21 fields, then the outcome as text. */
static struct conv_event read_golden(char *line, struct id16 *named)
{
    char *field[21], *at = line;
    for (size_t i = 0; i < 21; i++) {
        field[i] = strsep(&at, " ");
        assert_non_null(field[i]);
    }
#define NUMBER(i) strtoull(field[i], NULL, 10)
    struct conv_event e = {.rules = (uint32_t)NUMBER(0),
                           .kind = (uint32_t)NUMBER(1),
                           .conv = unhex(field[2]),
                           .user = unhex(field[3]),
                           .peer = unhex(field[4]),
                           .device = (uint32_t)NUMBER(5),
                           .client_seq = NUMBER(6),
                           .time_ms = strtoll(field[7], NULL, 10),
                           .target = NUMBER(8),
                           .reply_to = NUMBER(9),
                           .role = (uint32_t)NUMBER(11),
                           .flags = (uint32_t)NUMBER(12),
                           .flags_mask = (uint32_t)NUMBER(13),
                           .duration_s = NUMBER(14),
                           .read = NUMBER(15),
                           .delivered = NUMBER(16)};
    e.settings = (struct conv_settings){.strangers_refused = NUMBER(17),
                                        .admin = NUMBER(18),
                                        .recall_limit_s = (uint32_t)NUMBER(19),
                                        .group_cap = (uint32_t)NUMBER(20)};
#undef NUMBER
    size_t n = field[10][0] == '-' ? 0 : strlen(field[10]) / 32;
    for (size_t i = 0; i < n; i++)
        named[i] = unhex(field[10] + 32 * i);
    e.users = (struct slice){named, n * ID_SIZE};
    return e;
}

/* Written again from what was read and what is decided now, it is the same. */
static void golden_log(void **state)
{
    (void)state;
    const char *write_to = getenv("WRITE_GOLDEN2");
    if (write_to)
        write_golden(write_to);
    FILE *f = fopen(GOLDEN, "r");
    assert_non_null(f);
    char line[2048], copy[2048];
    struct conv *c = NULL;
    int n = 0, digests = 0;
    while (fgets(line, sizeof line, f)) {
        char *again = NULL;
        size_t size = 0;
        if (line[0] == '#')
            continue;
        FILE *out = open_memstream(&again, &size);
        if (line[0] == 'd') {
            golden_digest(out, c);
            conv_free(c);
            c = NULL;
            digests++;
        } else {
            struct id16 named[C2_USERS];
            memcpy(copy, line, sizeof copy);
            struct conv_event e = read_golden(copy, named);
            if (!c) {
                c = conv_new(e.conv);
                conv_load(c, &(struct conv_cell){.key_n = 1});
            }
            struct conv_outcome o = conv_apply(c, &e);
            golden_event(out, &e, &o);
            n++;
        }
        fclose(out);
        assert_string_equal(again, line);
        free(again);
    }
    fclose(f);
    assert_int_equal(digests, 4);
    assert_true(n >= 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_agree_with_the_model),
        cmocka_unit_test(two_people_agree_with_the_model),
        cmocka_unit_test(the_system_agrees_with_the_model),
        cmocka_unit_test(every_refusal_of_every_kind_happens),
        cmocka_unit_test(golden_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
