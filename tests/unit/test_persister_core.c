#include "common/base/rand.h"
#include "fanout/core.h"
#include "persister/core.h"
#include "persister/rows.h"
#include "tests/unit/convlog.h"
#include "tests/unit/corerun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct persister_settings settings = {.cache_bytes = 1 << 20};

struct world {
    struct arena *arena;
    struct run run;
    int64_t offset;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->arena = arena_new(0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    run_release(&w->run);
    arena_free(w->arena);
    free(w);
    return 0;
}

static struct message_row message(const struct run *r, size_t i, struct message_texts *t)
{
    struct message_row row;
    assert_true(i < r->n_written);
    assert_int_equal(r->fx.appends[i].table, P_MESSAGE);
    assert_int_equal(message_row_parse(r->fx.appends[i].row, &row, t), 0);
    return row;
}

static bool is(struct slice s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* ---- conversations ---- */

static void only_accepted_records_become_rows(void **state)
{
    struct world *w = *state;
    struct record log[4];
    struct message_texts t;
    run_open(&w->run, &persister_conv, &settings, NULL, 0, 0);
    log[0] =
        chat_record(w->arena, 20,
                    &(struct chat){.from = "anna", .to = "bert", .device = 2, .client_seq = 7, .text = "a"});
    log[1] =
        chat_record(w->arena, 21,
                    &(struct chat){.from = "anna", .to = "bert", .device = 2, .client_seq = 7, .text = "a"});
    log[2] = chat_record(
        w->arena, 22,
        &(struct chat){.from = "anna", .to = "bert", .device = 2, .client_seq = 8, .stranger = true});
    log[3] =
        chat_record(w->arena, 23,
                    &(struct chat){.from = "bert", .to = "anna", .device = 1, .client_seq = 1, .text = "b"});
    log[3].part = log[0].part = 3;
    assert_int_equal(run_batch(&w->run, log, 4), CORE_OK);
    assert_int_equal(w->run.n_written, 2);
    assert_int_equal(w->run.fx.n_sends, 0);
    struct message_row row = message(&w->run, 0, &t);
    assert_true(id_eq(row.sender, uid("anna")));
    assert_true(id_eq(row.conv, id_direct(uid("anna"), uid("bert"))));
    assert_true(id_eq(row.msg_id, id_message(uid("anna"), 2, 7)));
    assert_int_equal(row.seq, 1);
    assert_int_equal(row.device, 2);
    assert_int_equal(row.client_seq, 7);
    assert_int_equal(row.conv_part, 3);
    assert_int_equal(row.conv_offset, 20);
    assert_int_equal(row.source_offset, 20);
    assert_int_equal(row.time_ms, 1020);
    assert_true(is(t.text, "a"));
    assert_int_equal(t.type.n + t.data.n + t.trace.n, 0);
    row = message(&w->run, 1, &t);
    assert_int_equal(row.seq, 2);
    assert_true(is(t.text, "b"));
}

static void bytes_that_are_no_record_are_poison_and_unknown_rules_stop(void **state)
{
    struct world *w = *state;
    run_open(&w->run, &persister_conv, &settings, NULL, 0, 0);
    struct record r = {.topic = T_CONVERSATION, .value = {"\x0f", 1}};
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    assert_int_equal(w->run.n_poison, 1);
    r = chat_record(w->arena, 1,
                    &(struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .rules = 99});
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_STOP);
    assert_int_equal(w->run.n_written, 0);
}

static void play(struct run *r, const struct record *log, size_t n, struct rng *rng, uint32_t max)
{
    for (size_t i = 0, k; i < n; i += k) {
        k = 1 + rng_below(rng, max);
        if (k > n - i)
            k = n - i;
        assert_int_equal(run_batch(r, log + i, k), CORE_OK);
    }
}

static bool same_rows(const struct run *a, const struct run *b)
{
    if (a->n_written != b->n_written)
        return false;
    for (size_t i = 0; i < a->n_written; i++) {
        struct slice x = a->fx.appends[i].row, y = b->fx.appends[i].row;
        if (x.n != y.n || memcmp(x.p, y.p, x.n) != 0)
            return false;
    }
    return true;
}

static void fanout_and_persister_keep_the_same_cells(void **state)
{
    static const struct fanout_settings big = {.cache_bytes = 1 << 20}, none = {.cache_bytes = 0};
    static const struct persister_settings tiny = {.cache_bytes = 0};
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rng rng;
        struct arena *arena = arena_new(0);
        struct lease *lease = lease_new(8);
        struct presence *presence = presence_new(lease);
        struct fanout_views views = {presence, lease, 2, NULL};
        struct run f1 = {0}, f2 = {0}, p1 = {0}, p2 = {0};
        rng.state = seed;
        struct record *log = random_log(arena, &rng, 600, 0);
        run_open(&f1, &fanout_core, &big, &views, 0, 0);
        run_open(&f2, &fanout_core, &none, &views, 0, 300);
        run_open(&p1, &persister_conv, &settings, NULL, 0, 0);
        run_open(&p2, &persister_conv, &tiny, NULL, 0, 0);
        play(&f1, log, 600, &rng, 1);
        play(&f2, log, 600, &rng, 40);
        play(&p1, log, 600, &rng, 200);
        play(&p2, log, 250, &rng, 10);
        p2.no_end_effects = true; /* the batch is lost, and read again */
        assert_int_equal(run_batch(&p2, log + 250, 50), CORE_OK);
        run_crash(&p2);
        p2.no_end_effects = false;
        run_open(&p2, &persister_conv, &tiny, NULL, 250, 250);
        play(&p2, log + 250, 350, &rng, 30);
        assert_true(HASH_COUNT(p1.store) > 10);
        assert_true(run_same(&f1, &p1, P_CELL));
        assert_true(run_same(&p2, &p1, P_CELL));
        assert_true(run_same(&f2, &p1, P_CELL));
        p2.fx.n_appends = p2.n_written;
        assert_true(same_rows(&p1, &p2));
        run_release(&f1);
        run_release(&f2);
        run_release(&p1);
        run_release(&p2);
        free(log);
        presence_free(presence);
        lease_free(lease);
        arena_free(arena);
    }
}

/* ---- accounts ---- */

static struct record user_record(struct world *w, Im__UserRecord *u, const char *login)
{
    struct id16 user = uid(login);
    u->version = 1;
    u->user = (ProtobufCBinaryData){ID_SIZE, user.b};
    if (u->kind == IM__USER_KIND__USER_REGISTERED)
        u->login = (char *)(uintptr_t)login;
    size_t n = im__user_record__get_packed_size(u);
    uint8_t *p = arena_alloc(w->arena, n);
    assert_non_null(p);
    im__user_record__pack(u, p);
    struct slice key = {arena_copy(w->arena, user.b, ID_SIZE), ID_SIZE};
    return (struct record){
        .topic = T_USER, .offset = w->offset, .time_ms = 1000 + w->offset++, .key = key, .value = {p, n}};
}

static void apply(struct world *w, Im__UserRecord u, const char *login)
{
    struct record r = user_record(w, &u, login);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
}

static Im__UserRecord user(Im__UserKind kind)
{
    Im__UserRecord u = IM__USER_RECORD__INIT;
    u.kind = kind;
    return u;
}

static struct account_row account(struct world *w, const char *login)
{
    struct account_row a;
    struct id16 id = uid(login);
    struct stored *s = run_find(&w->run, P_ACCOUNT, slice_id(&id));
    assert_non_null(s);
    assert_int_equal(account_row_parse(slice_of(s->row, s->row_n), &a), 0);
    return a;
}

static struct device_row device(struct world *w, const char *login, uint32_t number)
{
    struct device_row d;
    uint8_t key[KEY_DEVICE];
    device_key(uid(login), number, key);
    struct stored *s = run_find(&w->run, P_DEVICE, slice_of(key, sizeof key));
    assert_non_null(s);
    assert_int_equal(device_row_parse(slice_of(s->row, s->row_n), &d), 0);
    return d;
}

static void the_first_registration_stays(void **state)
{
    struct world *w = *state;
    run_open(&w->run, &persister_users, &settings, NULL, 0, 0);
    Im__UserRecord u = user(IM__USER_KIND__USER_REGISTERED);
    u.display_name = "Anna";
    u.source_offset = 77;
    u.source_part = 1;
    apply(w, u, "anna");
    u.display_name = "Eve";
    u.source_offset = 99;
    apply(w, u, "anna");
    struct account_row a = account(w, "anna");
    assert_true(is(a.login, "anna"));
    assert_true(is(a.display_name, "Anna"));
    assert_int_equal(a.source_offset, 77);
    assert_int_equal(a.source_part, 1);
    assert_int_equal(a.registered_ms, 1000);
}

static void revoked_tokens_raise_the_generation_only(void **state)
{
    struct world *w = *state;
    run_open(&w->run, &persister_users, &settings, NULL, 0, 0);
    Im__UserRecord u = user(IM__USER_KIND__USER_TOKENS_REVOKED);
    u.token_generation = 3;
    apply(w, u, "anna"); /* no account: nothing to change */
    assert_int_equal(HASH_COUNT(w->run.store), 0);
    apply(w, user(IM__USER_KIND__USER_REGISTERED), "anna");
    apply(w, u, "anna");
    u.token_generation = 2;
    apply(w, u, "anna");
    assert_int_equal(account(w, "anna").token_generation, 3);
    assert_true(is(account(w, "anna").login, "anna"));
}

static void a_dropped_device_keeps_its_row(void **state)
{
    struct world *w = *state;
    run_open(&w->run, &persister_users, &settings, NULL, 0, 0);
    Im__UserRecord u = user(IM__USER_KIND__USER_DEVICE_ADDED);
    u.device = 4;
    u.device_id = "laptop";
    u.device_class = "desktop";
    apply(w, u, "anna");
    apply(w, u, "anna"); /* told again */
    assert_int_equal(device(w, "anna", 4).added_ms, 1000);
    assert_int_equal(device(w, "anna", 4).dropped_ms, 0);
    Im__UserRecord d = user(IM__USER_KIND__USER_DEVICE_DROPPED);
    d.device = 4;
    apply(w, d, "anna");
    apply(w, d, "anna");
    struct device_row row = device(w, "anna", 4);
    assert_true(is(row.device_id, "laptop"));
    assert_true(is(row.device_class, "desktop"));
    assert_int_equal(row.added_ms, 1000);
    assert_int_equal(row.dropped_ms, 1002);
}

static struct prefs_row marks_on(struct world *w, const char *login, struct id16 conv)
{
    struct prefs_row r;
    uint8_t key[KEY_PAIR];
    pair_key(uid(login), conv, key);
    struct stored *s = run_find(&w->run, P_PREFS, slice_of(key, sizeof key));
    assert_non_null(s);
    assert_int_equal(prefs_row_parse(slice_of(s->row, s->row_n), &r), 0);
    return r;
}

static void a_profile_is_that_of_the_newest_record(void **state)
{
    struct world *w = *state;
    run_open(&w->run, &persister_users, &settings, NULL, 0, 0);
    Im__UserRecord u = user(IM__USER_KIND__USER_REGISTERED);
    u.display_name = "Anna";
    u.source_offset = 5;
    apply(w, u, "anna");
    assert_int_equal(account(w, "anna").presence, IM__PRIVACY__EVERYONE);
    Im__UserRecord p = user(IM__USER_KIND__USER_PROFILE);
    p.presence = IM__PRIVACY__NOBODY;
    p.source_offset = 9;
    apply(w, p, "anna");
    p.presence = IM__PRIVACY__FRIENDS; /* an older one that comes again */
    p.display_name = "Eve";
    p.source_offset = 7;
    apply(w, p, "anna");
    assert_true(is(account(w, "anna").display_name, "Anna"));
    assert_int_equal(account(w, "anna").presence, IM__PRIVACY__NOBODY);
    p.presence = 0;
    p.source_offset = 10;
    apply(w, p, "anna");
    assert_true(is(account(w, "anna").display_name, "Eve"));
    assert_int_equal(account(w, "anna").presence, IM__PRIVACY__NOBODY);
    Im__UserRecord a = user(IM__USER_KIND__USER_ADMIN);
    a.admin = true;
    a.source_offset = 8;
    apply(w, a, "anna");
    assert_int_equal(account(w, "anna").admin, 1);
    Im__UserRecord s = user(IM__USER_KIND__USER_SEEN);
    s.time_ms = 5000;
    apply(w, s, "anna");
    s.time_ms = 4000;
    apply(w, s, "anna");
    assert_int_equal(account(w, "anna").seen_ms, 5000);
    assert_true(is(account(w, "anna").login, "anna"));
}

static void marks_on_a_conversation_are_those_of_the_newest_record(void **state)
{
    struct world *w = *state;
    struct id16 conv = uid("any");
    run_open(&w->run, &persister_users, &settings, NULL, 0, 0);
    Im__UserRecord u = user(IM__USER_KIND__USER_PREFS);
    u.conversation = (ProtobufCBinaryData){ID_SIZE, conv.b};
    u.pinned = true;
    u.remark = "boss";
    u.source_offset = 5;
    apply(w, u, "anna");
    assert_true(marks_on(w, "anna", conv).pinned && !marks_on(w, "anna", conv).muted);
    assert_true(is(marks_on(w, "anna", conv).remark, "boss"));
    u.pinned = false;
    u.remark = "";
    u.source_offset = 4;
    apply(w, u, "anna");
    assert_true(marks_on(w, "anna", conv).pinned);
    u.source_offset = 6;
    apply(w, u, "anna");
    assert_false(marks_on(w, "anna", conv).pinned);
    assert_int_equal(marks_on(w, "anna", conv).remark.n, 0);
}

static void a_mark_leaves_the_others_as_they_are(void **state)
{
    struct world *w = *state;
    struct id16 conv = uid("any");
    run_open(&w->run, &persister_users, &settings, NULL, 0, 0);
    Im__UserRecord u = user(IM__USER_KIND__USER_PREFS);
    u.conversation = (ProtobufCBinaryData){ID_SIZE, conv.b};
    u.mask = IM__PREFS_MARK__PREFS_MUTED; /* nothing is marked yet */
    u.muted = u.pinned = true;
    u.remark = "not meant";
    u.source_offset = 5;
    apply(w, u, "anna");
    assert_true(marks_on(w, "anna", conv).muted && !marks_on(w, "anna", conv).pinned);
    assert_int_equal(marks_on(w, "anna", conv).remark.n, 0);
    Im__UserRecord batch[2] = {u, u};
    batch[0].mask = IM__PREFS_MARK__PREFS_REMARK;
    batch[0].remark = "boss";
    batch[0].source_offset = 6;
    batch[1].mask = IM__PREFS_MARK__PREFS_MUTED | IM__PREFS_MARK__PREFS_PINNED;
    batch[1].muted = false;
    batch[1].source_offset = 7;
    struct record both[2] = {user_record(w, &batch[0], "anna"), user_record(w, &batch[1], "anna")};
    assert_int_equal(run_batch(&w->run, both, 2), CORE_OK);
    assert_true(marks_on(w, "anna", conv).pinned && !marks_on(w, "anna", conv).muted);
    assert_true(is(marks_on(w, "anna", conv).remark, "boss"));
    u.mask = IM__PREFS_MARK__PREFS_ALL; /* as records before there was a mask */
    u.pinned = false;
    u.remark = "";
    u.source_offset = 8;
    apply(w, u, "anna");
    assert_true(marks_on(w, "anna", conv).muted && !marks_on(w, "anna", conv).pinned);
    assert_int_equal(marks_on(w, "anna", conv).remark.n, 0);
}

static void one_batch_sees_its_own_rows(void **state)
{
    struct world *w = *state;
    run_open(&w->run, &persister_users, &settings, NULL, 0, 0);
    Im__UserRecord reg = user(IM__USER_KIND__USER_REGISTERED), rev = user(IM__USER_KIND__USER_TOKENS_REVOKED);
    rev.token_generation = 5;
    struct record batch[2] = {user_record(w, &reg, "anna"), user_record(w, &rev, "anna")};
    assert_int_equal(run_batch(&w->run, batch, 2), CORE_OK);
    assert_int_equal(account(w, "anna").token_generation, 5);
}

static void verifiers_come_and_go(void **state)
{
    struct world *w = *state;
    uint8_t bytes[256];
    uint32_t master_key;
    struct slice verifier;
    struct id16 anna = uid("anna");
    Im__VaultRecord v = IM__VAULT_RECORD__INIT;
    run_open(&w->run, &persister_users, &settings, NULL, 0, 0);
    v.version = 1;
    v.user = (ProtobufCBinaryData){ID_SIZE, anna.b};
    v.master_key = 2;
    v.verifier = (ProtobufCBinaryData){6, (uint8_t *)(uintptr_t) "sealed"};
    struct record r = {
        .topic = T_VAULT, .key = slice_id(&anna), .value = {bytes, im__vault_record__pack(&v, bytes)}};
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    struct stored *s = run_find(&w->run, P_VERIFIER, slice_id(&anna));
    assert_non_null(s);
    assert_int_equal(verifier_row_parse(slice_of(s->row, s->row_n), &master_key, &verifier), 0);
    assert_int_equal(master_key, 2);
    assert_true(is(verifier, "sealed"));
    r.value = (struct slice){0};
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    assert_null(run_find(&w->run, P_VERIFIER, slice_id(&anna)));
    r.value = (struct slice){"\xff", 1};
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    assert_int_equal(w->run.n_poison, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(only_accepted_records_become_rows),
        T(bytes_that_are_no_record_are_poison_and_unknown_rules_stop),
        T(fanout_and_persister_keep_the_same_cells),
        T(the_first_registration_stays),
        T(revoked_tokens_raise_the_generation_only),
        T(a_dropped_device_keeps_its_row),
        T(a_profile_is_that_of_the_newest_record),
        T(marks_on_a_conversation_are_those_of_the_newest_record),
        T(a_mark_leaves_the_others_as_they_are),
        T(one_batch_sees_its_own_rows),
        T(verifiers_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
