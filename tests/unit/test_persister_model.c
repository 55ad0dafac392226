/* What groups, friends, receipts and operations become in the persister's rows. */
#include "persister/core.h"
#include "persister/rows.h"
#include "tests/unit/convops.h"
#include "tests/unit/corerun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct persister_settings settings = {.cache_bytes = 1 << 20}, none = {.cache_bytes = 0};

struct world {
    struct arena *arena;
    struct run run;
    int64_t offset;
    uint64_t client_seq;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->arena = arena_new(0);
    run_open(&w->run, &persister_conv, &settings, NULL, 0, 0);
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

static void apply(struct world *w, struct op o)
{
    if (o.kind != IM__CONV_KIND__CONV_RECEIPT)
        o.client_seq = ++w->client_seq;
    struct record r = op_record(w->arena, w->offset++, &o);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    assert_int_equal(w->run.n_poison, 0);
}

static struct id16 create(struct world *w, const char *owner, const char *member, uint32_t flags)
{
    struct id16 conv = id_group(uid(owner), 1, w->client_seq + 1);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_GROUP_CREATE,
                         .from = owner,
                         .conv = conv,
                         .users = {member},
                         .text = "name",
                         .flags = flags,
                         .flags_mask = flags});
    return conv;
}

static bool is(struct slice s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static const struct stored *find(const struct world *w, uint8_t table, struct id16 a, struct id16 b)
{
    uint8_t key[KEY_PAIR];
    pair_key(a, b, key);
    return run_find(&w->run, table, slice_of(key, sizeof key));
}

/* As the statements of tables.c put the rows of a key together. */
static struct member_row member(const struct world *w, const char *user, struct id16 conv)
{
    struct member_row m = {0}, r;
    uint8_t key[KEY_MEMBER];
    bool found = false;
    for (int64_t at = 0; at < w->offset + 10; at++) {
        member_key(uid(user), conv, at, key);
        const struct stored *s = run_find(&w->run, P_MEMBER, slice_of(key, sizeof key));
        if (!s)
            continue;
        found = true;
        assert_int_equal(member_row_parse(slice_of(s->row, s->row_n), &r), 0);
        r.login = r.login.n ? r.login : m.login;
        r.joined = r.joined ? r.joined : m.joined;
        if (!r.friend_ms) {
            r.friend_ms = m.friend_ms;
            r.friend = m.friend;
            r.has_text = m.has_text;
            r.friend_text = m.friend_text;
        }
        m = r;
    }
    assert_true(found);
    return m;
}

static bool is_member(const struct world *w, const char *user)
{
    const struct stored *s, *next;
    struct id16 id = uid(user);
    for (s = w->run.store; s; s = next) {
        next = s->hh.next;
        if (s->key[0] == P_MEMBER && memcmp(s->key + 1, id.b, ID_SIZE) == 0)
            return true;
    }
    return false;
}

static struct marks_row marks(const struct world *w, const char *user, struct id16 conv)
{
    struct marks_row m;
    const struct stored *s = find(w, P_MARKS, uid(user), conv);
    assert_non_null(s);
    assert_int_equal(marks_row_parse(slice_of(s->row, s->row_n), &m), 0);
    return m;
}

static struct conversation_row conversation(const struct world *w, struct id16 conv)
{
    struct conversation_row c = {0}, r;
    uint8_t key[KEY_CONV];
    for (int64_t at = 0; at < w->offset + 10; at++) {
        conv_key(conv, at, key);
        const struct stored *s = run_find(&w->run, P_CONVERSATION, slice_of(key, sizeof key));
        if (!s)
            continue;
        assert_int_equal(conversation_row_parse(slice_of(s->row, s->row_n), &r), 0);
        r.created_ms = c.created_ms ? c.created_ms : r.created_ms;
        r.name = r.named ? r.name : c.name;
        r.notice = r.noticed ? r.notice : c.notice;
        c = r;
    }
    assert_int_not_equal(c.type, CONV_NOTHING);
    return c;
}

static struct message_row last(const struct world *w, struct message_texts *t, uint8_t table)
{
    struct message_row row;
    assert_true(w->run.n_written > 0);
    const struct put *p = &w->run.fx.appends[w->run.n_written - 1];
    assert_int_equal(p->table, table);
    assert_int_equal(message_row_parse(p->row, &row, t), 0);
    return row;
}

static void a_first_message_makes_a_conversation_and_the_second_nothing(void **state)
{
    struct world *w = *state;
    struct message_texts t;
    struct id16 conv = id_direct(uid("anna"), uid("bert"));
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .to = "bert", .text = "a"});
    struct conversation_row c = conversation(w, conv);
    assert_int_equal(c.type, CONV_DIRECT);
    assert_int_equal(c.members, 2);
    assert_int_equal(c.created_ms, 1000);
    struct member_row a = member(w, "anna", conv), b = member(w, "bert", conv);
    assert_true(is(a.login, "anna") && is(a.peer_login, "bert") && id_eq(a.peer, uid("bert")));
    assert_true(is(b.login, "bert") && is(b.peer_login, "anna") && id_eq(b.peer, uid("anna")));
    assert_true(is(b.visible, "{[1,)}"));
    assert_int_equal(b.role, IM__ROLE__MEMBER);
    last(w, &t, P_MESSAGE);
    unsigned rows = HASH_COUNT(w->run.store);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .to = "bert", .text = "b"});
    assert_int_equal(HASH_COUNT(w->run.store), rows);
    assert_int_equal(conversation(w, conv).created_ms, 1000);
}

static void a_refused_record_makes_no_rows_and_the_next_one_does(void **state)
{
    struct world *w = *state;
    struct id16 conv = id_direct(uid("anna"), uid("bert"));
    apply(w, (struct op){
                 .kind = IM__CONV_KIND__CONV_EDIT, .from = "anna", .to = "bert", .text = "a", .target = 3});
    assert_false(is_member(w, "anna"));
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_BLOCK, .from = "bert", .to = "anna"});
    assert_int_equal(w->run.n_written, 0);
    assert_true(member(w, "bert", conv).blocked);
    assert_int_equal(conversation(w, conv).created_ms, 1001);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_UNBLOCK, .from = "bert", .to = "anna"});
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .to = "bert", .text = "a"});
    assert_int_equal(w->run.n_written, 1);
    assert_true(is(member(w, "anna", conv).login, "anna"));
}

static void notes_to_oneself_have_one_member(void **state)
{
    struct world *w = *state;
    struct id16 conv = id_direct(uid("anna"), uid("anna"));
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .to = "anna"});
    assert_true(id_eq(member(w, "anna", conv).peer, uid("anna")));
    assert_true(is(member(w, "anna", conv).peer_login, "anna"));
    assert_int_equal(conversation(w, conv).members, 1);
}

static void what_is_done_to_a_message_is_a_row_with_a_target(void **state)
{
    struct world *w = *state;
    struct message_texts t;
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .to = "bert", .text = "a"});
    apply(w, (struct op){
                 .kind = IM__CONV_KIND__CONV_EDIT, .from = "anna", .to = "bert", .text = "b", .target = 1});
    struct message_row row = last(w, &t, P_EVENT);
    assert_int_equal(row.target, 1);
    assert_int_equal(row.seq, 2);
    assert_true(is(t.text, "b"));
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_RECALL, .from = "anna", .to = "bert", .target = 1});
    assert_int_equal(last(w, &t, P_EVENT).kind, IM__CONV_KIND__CONV_RECALL);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "bert", .to = "anna", .reply_to = 1});
    assert_int_equal(last(w, &t, P_EVENT).reply_to, 1);
}

static void a_group_has_its_members(void **state)
{
    struct world *w = *state;
    struct message_texts t;
    struct id16 g = create(w, "anna", "bert", IM__GROUP_FLAG__GROUP_QUIET);
    struct conversation_row c = conversation(w, g);
    assert_int_equal(c.type, CONV_GROUP);
    assert_int_equal(c.members, 2);
    assert_int_equal(c.flags, IM__GROUP_FLAG__GROUP_QUIET);
    assert_true(id_eq(c.owner, uid("anna")) && c.named && is(c.name, "name"));
    struct message_row row = last(w, &t, P_EVENT);
    assert_int_equal(row.flags, IM__GROUP_FLAG__GROUP_QUIET);
    assert_true(is(t.logins, "{\"bert\"}"));
    assert_int_equal(member(w, "anna", g).role, IM__ROLE__OWNER);
    assert_int_equal(member(w, "bert", g).role, IM__ROLE__MEMBER);
    assert_true(is(member(w, "bert", g).login, "bert"));
    /* the one who is in already is not named again */
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_GROUP_INVITE,
                         .from = "anna",
                         .conv = g,
                         .users = {"bert", "carl"}});
    last(w, &t, P_EVENT);
    assert_true(is(t.logins, "{\"carl\"}"));
    assert_int_equal(t.users.n, ID_SIZE);
    assert_int_equal(member(w, "carl", g).joined, 2);
    assert_true(is(member(w, "carl", g).visible, "{[2,)}"));
    assert_int_equal(conversation(w, g).members, 3);
}

static void leaving_and_coming_back_are_two_intervals(void **state)
{
    struct world *w = *state;
    struct id16 g = create(w, "anna", "bert", 0);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_GROUP_LEAVE, .from = "bert", .conv = g});
    assert_int_equal(member(w, "bert", g).role, 0);
    assert_true(is(member(w, "bert", g).visible, "{[1,2]}"));
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .conv = g});
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_GROUP_JOIN, .from = "bert", .conv = g});
    assert_true(is(member(w, "bert", g).visible, "{[1,2],[4,)}"));
    assert_int_equal(member(w, "bert", g).joined, 4);
    apply(w, (struct op){
                 .kind = IM__CONV_KIND__CONV_GROUP_REMOVE, .from = "anna", .conv = g, .users = {"bert"}});
    assert_true(is(member(w, "bert", g).visible, "{[1,2],[4,5]}"));
    assert_int_equal(conversation(w, g).members, 1);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_GROUP_LEAVE, .from = "anna", .conv = g});
    assert_int_equal(conversation(w, g).dissolved_ms, 1005);
}

static void requests_to_join_come_and_go(void **state)
{
    struct world *w = *state;
    struct ask_row a;
    struct id16 g = create(w, "anna", "bert", IM__GROUP_FLAG__GROUP_APPROVAL);
    static const char *const who[] = {"carl", "dora"};
    for (int i = 0; i < 2; i++)
        apply(w, (struct op){
                     .kind = IM__CONV_KIND__CONV_GROUP_JOIN, .from = who[i], .conv = g, .text = "please"});
    assert_int_equal(w->run.n_written, 1); /* notes have no number */
    const struct stored *s = find(w, P_ASK, g, uid("carl"));
    assert_non_null(s);
    assert_int_equal(ask_row_parse(slice_of(s->row, s->row_n), &a), 0);
    assert_true(is(a.login, "carl") && is(a.text, "please"));
    assert_false(is_member(w, "carl"));
    apply(w, (struct op){
                 .kind = IM__CONV_KIND__CONV_GROUP_APPROVE, .from = "anna", .conv = g, .users = {"carl"}});
    assert_null(find(w, P_ASK, g, uid("carl")));
    assert_int_equal(member(w, "carl", g).role, IM__ROLE__MEMBER);
    assert_non_null(find(w, P_ASK, g, uid("dora")));
    apply(w, (struct op){
                 .kind = IM__CONV_KIND__CONV_GROUP_DECLINE, .from = "anna", .conv = g, .users = {"dora"}});
    assert_null(find(w, P_ASK, g, uid("dora")));
    assert_false(is_member(w, "dora"));
}

static void roles_mutes_names_and_settings(void **state)
{
    struct world *w = *state;
    struct message_texts t;
    struct id16 g = create(w, "anna", "bert", 0);
    struct op o = {.kind = IM__CONV_KIND__CONV_GROUP_MUTE,
                   .from = "anna",
                   .conv = g,
                   .users = {"bert"},
                   .duration_s = 60};
    apply(w, o);
    assert_int_equal(member(w, "bert", g).muted_until_ms, 1001 + 60000);
    assert_int_equal(last(w, &t, P_EVENT).until_ms, 1001 + 60000);
    o.kind = IM__CONV_KIND__CONV_GROUP_UNMUTE;
    o.duration_s = 0;
    apply(w, o);
    assert_int_equal(member(w, "bert", g).muted_until_ms, 0);
    o.kind = IM__CONV_KIND__CONV_GROUP_ROLE;
    o.role = IM__ROLE__ADMIN;
    apply(w, o);
    assert_int_equal(member(w, "bert", g).role, IM__ROLE__ADMIN);
    assert_int_equal(last(w, &t, P_EVENT).role, IM__ROLE__ADMIN);
    o.kind = IM__CONV_KIND__CONV_GROUP_HAND_OVER;
    o.role = 0;
    apply(w, o);
    assert_int_equal(member(w, "bert", g).role, IM__ROLE__OWNER);
    assert_int_equal(member(w, "anna", g).role, IM__ROLE__ADMIN);
    assert_true(id_eq(conversation(w, g).owner, uid("bert")));
    apply(w,
          (struct op){.kind = IM__CONV_KIND__CONV_GROUP_RENAME, .from = "bert", .conv = g, .text = "other"});
    assert_true(is(conversation(w, g).name, "other"));
    apply(w, (struct op){
                 .kind = IM__CONV_KIND__CONV_GROUP_NOTICE, .from = "bert", .conv = g, .text = "read me"});
    assert_true(is(conversation(w, g).notice, "read me") && is(conversation(w, g).name, "other"));
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_GROUP_SETTINGS,
                         .from = "bert",
                         .conv = g,
                         .flags = 6,
                         .flags_mask = 6});
    assert_int_equal(conversation(w, g).flags, 6);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_GROUP_DISSOLVE, .from = "bert", .conv = g});
    assert_int_equal(conversation(w, g).dissolved_ms, 1008);
}

/* All in one batch: what only an earlier record said is not lost. */
static void one_batch_keeps_what_earlier_records_said(void **state)
{
    struct world *w = *state;
    struct id16 g = id_group(uid("anna"), 1, 1);
    const struct op ops[] = {
        {.kind = IM__CONV_KIND__CONV_GROUP_CREATE,
         .from = "anna",
         .conv = g,
         .client_seq = 1,
         .users = {"bert"},
         .text = "name"},
        {.kind = IM__CONV_KIND__CONV_GROUP_NOTICE,
         .from = "anna",
         .conv = g,
         .client_seq = 2,
         .text = "read me"},
        {.kind = IM__CONV_KIND__CONV_GROUP_MUTE,
         .from = "anna",
         .conv = g,
         .client_seq = 3,
         .users = {"bert"}},
        {.kind = IM__CONV_KIND__CONV_FRIEND_REQUEST,
         .from = "anna",
         .to = "bert",
         .client_seq = 4,
         .text = "hi"},
        {.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .to = "bert", .client_seq = 5, .text = "hi"},
    };
    struct record log[5];
    for (int i = 0; i < 5; i++)
        log[i] = op_record(w->arena, i, &ops[i]);
    assert_int_equal(run_batch(&w->run, log, 5), CORE_OK);
    struct conversation_row c = conversation(w, g);
    assert_true(is(c.name, "name") && is(c.notice, "read me"));
    assert_int_equal(c.created_ms, 1000);
    struct member_row b = member(w, "bert", g);
    assert_true(is(b.login, "bert"));
    assert_int_equal(b.joined, 1);
    assert_int_equal(b.muted_until_ms, -1);
}

static void friends_and_blocks(void **state)
{
    struct world *w = *state;
    struct id16 conv = id_direct(uid("anna"), uid("bert"));
    apply(w, (struct op){
                 .kind = IM__CONV_KIND__CONV_FRIEND_REQUEST, .from = "anna", .to = "bert", .text = "hi"});
    assert_int_equal(member(w, "anna", conv).friend, IM__FRIEND_STATE__ASKED);
    struct member_row b = member(w, "bert", conv);
    assert_int_equal(b.friend, IM__FRIEND_STATE__ASKED_ME);
    assert_int_equal(b.friend_ms, 1000);
    assert_true(b.has_text && is(b.friend_text, "hi"));
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_FRIEND_CONFIRM, .from = "bert", .to = "anna"});
    assert_int_equal(member(w, "anna", conv).friend, IM__FRIEND_STATE__FRIEND);
    assert_int_equal(member(w, "bert", conv).friend_ms, 1001);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_BLOCK, .from = "bert", .to = "anna"});
    assert_true(member(w, "bert", conv).blocked && !member(w, "anna", conv).blocked);
    assert_int_equal(member(w, "anna", conv).friend, IM__FRIEND_STATE__NO_FRIEND);
    assert_int_equal(member(w, "anna", conv).friend_ms, 1002);
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_UNBLOCK, .from = "bert", .to = "anna"});
    assert_false(member(w, "bert", conv).blocked);
    assert_int_equal(member(w, "bert", conv).friend_ms, 1002); /* as it was */
}

static void receipts_are_two_columns(void **state)
{
    struct world *w = *state;
    struct id16 conv = id_direct(uid("anna"), uid("bert"));
    for (int i = 0; i < 3; i++)
        apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .to = "bert"});
    unsigned rows = HASH_COUNT(w->run.store);
    apply(w,
          (struct op){
              .kind = IM__CONV_KIND__CONV_RECEIPT, .from = "bert", .to = "anna", .read = 1, .delivered = 9});
    assert_int_equal(marks(w, "bert", conv).read, 1);
    assert_int_equal(marks(w, "bert", conv).delivered, 3);
    assert_true(HASH_COUNT(w->run.store) <= rows + 2); /* its marks, and perhaps its cell */
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_RECEIPT, .from = "bert", .to = "anna", .read = 1});
    assert_int_equal(w->run.n_written, 3);
}

static void a_full_block_is_told_to_search(void **state)
{
    struct world *w = *state;
    uint8_t key[KEY_BLOCK];
    block_key(id_direct(uid("anna"), uid("bert")), 0, key);
    for (int i = 0; i < SEARCH_BLOCK; i++) {
        assert_null(run_find(&w->run, P_BLOCK, slice_of(key, sizeof key)));
        apply(w, (struct op){.kind = IM__CONV_KIND__CONV_MESSAGE, .from = "anna", .to = "bert"});
    }
    assert_non_null(run_find(&w->run, P_BLOCK, slice_of(key, sizeof key)));
}

static void announcements_make_the_systems_conversation(void **state)
{
    struct world *w = *state;
    apply(w, (struct op){.kind = IM__CONV_KIND__CONV_ANNOUNCEMENT,
                         .from = "anna",
                         .conv = id_system(),
                         .admin = true,
                         .text = "!"});
    assert_int_equal(conversation(w, id_system()).type, CONV_SYSTEM);
    assert_int_equal(w->run.n_written, 1);
}

/* What the log holds need not be text, and names may be anything. */
static void names_that_are_no_text_become_empty(void **state)
{
    struct world *w = *state;
    char longest[400];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    struct id16 g = create(w, "anna", "be\"r\\t", 0);
    struct message_texts t;
    last(w, &t, P_EVENT);
    assert_true(is(t.logins, "{\"be\\\"r\\\\t\"}"));
    assert_true(is(member(w, "be\"r\\t", g).login, "be\"r\\t"));
    apply(w, (struct op){
                 .kind = IM__CONV_KIND__CONV_GROUP_INVITE, .from = "anna", .conv = g, .users = {longest}});
    assert_int_equal(member(w, longest, g).login.n, 0);
}

/* However the records fall into batches, and whatever has to be read again. */
static void batches_do_not_matter(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct arena *arena = arena_new(0);
        struct rng rng = {seed};
        struct run one = {0}, many = {0};
        struct record *log = random_ops(arena, &rng, 800, 0);
        run_open(&one, &persister_conv, &settings, NULL, 0, 0);
        run_open(&many, &persister_conv, &none, NULL, 0, 0);
        for (size_t i = 0; i < 800; i++)
            assert_int_equal(run_batch(&one, &log[i], 1), CORE_OK);
        for (size_t i = 0, n; i < 800; i += n) {
            n = 1 + rng_below(&rng, 90);
            n = n > 800 - i ? 800 - i : n;
            assert_int_equal(run_batch(&many, log + i, n), CORE_OK);
        }
        assert_int_equal(one.n_written, many.n_written);
        assert_true(one.n_written > 150);
        static const uint8_t tables[] = {P_CELL, P_MARKS, P_ASK, P_BLOCK, P_CONVERSATION, P_MEMBER};
        for (size_t i = 0; i < sizeof tables; i++)
            assert_true(run_same(&one, &many, tables[i]));
        free(log);
        run_release(&one);
        run_release(&many);
        arena_free(arena);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_first_message_makes_a_conversation_and_the_second_nothing),
        T(a_refused_record_makes_no_rows_and_the_next_one_does),
        T(notes_to_oneself_have_one_member),
        T(what_is_done_to_a_message_is_a_row_with_a_target),
        T(a_group_has_its_members),
        T(leaving_and_coming_back_are_two_intervals),
        T(requests_to_join_come_and_go),
        T(roles_mutes_names_and_settings),
        T(one_batch_keeps_what_earlier_records_said),
        T(friends_and_blocks),
        T(receipts_are_two_columns),
        T(a_full_block_is_told_to_search),
        T(announcements_make_the_systems_conversation),
        T(names_that_are_no_text_become_empty),
        T(batches_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
