/* What goes to many: pointers and their bounces, sessions that just ended, signals, items for everybody. */
#include "common/base/rand.h"
#include "edge/departed.h"
#include "tests/unit/edgerun.h"

static const struct id16 conv1 = {{1}}, conv2 = {{2}};

static void test_pointers_are_confirmed(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u[] = {er_login(r, "alice", 1), er_login(r, "bob", 1)};
    int64_t at = er_many(r, IM__ITEM_KIND__ITEM_POINTED, u, 2, conv1, 7);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(er_last(r, u[i].conn)->seq_id, 1);
        Im__ChatPush *p = (Im__ChatPush *)er_msg(er_last(r, u[i].conn));
        assert_string_equal(p->text, "to many");
        im__chat_push__free_unpacked(p, NULL);
    }
    er_confirm(r, &u[0], 1);
    assert_int_equal(edge_core_mark(r->core), at);
    er_send(r, u[1].conn, IM__FRAME_TYPE__HEARTBEAT, 5, NULL); /* the beacon counts it */
    Im__HeartbeatRsp *h = (Im__HeartbeatRsp *)er_msg(er_last(r, u[1].conn));
    assert_int_equal(h->conversations, 1);
    im__heartbeat_rsp__free_unpacked(h, NULL);
    er_confirm(r, &u[1], 1);
    assert_int_equal(edge_core_mark(r->core), at + 1);
    er_free(r);
}

static void test_pointers_bounce_without_payload(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 7);
    er_report_all(r);
    er_push(r, &u, conv1, 3);
    er_many(r, IM__ITEM_KIND__ITEM_POINTED, &u, 1, conv2, 9);
    size_t n = r->n_records;
    edge_core_gone(r->core, u.conn);
    Im__OfflineRecord *off = er_offline(r, n);
    assert_int_equal(off->bounce->n_items, 2);
    assert_true(off->bounce->items[0]->payload.len > 0);
    assert_memory_equal(off->bounce->items[1]->conversation.data, conv2.b, ID_SIZE);
    assert_int_equal(off->bounce->items[1]->seq, 9);
    assert_int_equal(off->bounce->items[1]->payload.len, 0);
    im__offline_record__free_unpacked(off, NULL);
    /* and when it comes too late */
    er_many(r, IM__ITEM_KIND__ITEM_POINTED, &u, 1, conv2, 10);
    off = er_offline(r, r->n_records - 1);
    assert_int_equal(off->bounce->items[0]->seq, 10);
    assert_int_equal(off->bounce->items[0]->payload.len, 0);
    assert_int_equal(off->bounce->session->device, 7);
    im__offline_record__free_unpacked(off, NULL);
    er_report_all(r);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

/* A record for whoever had these connections. */
static void assert_handed_on(struct er *r, size_t at, uint64_t seq, const struct er_user *u, size_t n)
{
    Im__OfflineRecord *off = er_offline(r, at);
    assert_int_equal(off->body_case, IM__OFFLINE_RECORD__BODY_GROUP);
    assert_int_equal(off->group->seq, seq);
    assert_int_equal(off->group->slot, 3);
    assert_int_equal(off->group->epoch, ER_EPOCH);
    assert_int_equal(off->group->n_handles, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(off->group->handles[i], u[i].handle);
    im__offline_record__free_unpacked(off, NULL);
}

/* Over 64 handles the record names nobody: the edge remembers whose the sessions were that just ended. */
static void test_late_for_many(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u[80];
    char name[16];
    for (uint32_t i = 0; i < 80; i++) {
        snprintf(name, sizeof name, "user%u", i);
        u[i] = er_login(r, name, i + 1);
    }
    er_report_all(r);
    edge_core_gone(r->core, u[17].conn);
    edge_core_gone(r->core, u[42].conn);
    u[79].handle += 1000; /* never was one of ours */
    size_t n = r->n_records;
    er_report_all(r);
    int64_t at = er_many(r, IM__ITEM_KIND__ITEM_POINTED, u, 80, conv1, 5);
    assert_int_equal(r->n_records, n + 3);
    assert_handed_on(r, n + 2, 5, &u[79], 1); /* the offline worker may know */
    for (size_t i = 0; i < 2; i++) {
        const struct er_user *who = &u[i ? 42 : 17];
        Im__OfflineRecord *off = er_offline(r, n + i);
        assert_memory_equal(off->user.data, who->id.b, ID_SIZE);
        assert_int_equal(off->bounce->session->device, who->device);
        assert_int_equal(off->bounce->session->login_offset, who->login);
        assert_int_equal(off->bounce->session->handle, who->handle);
        assert_int_equal(off->bounce->session->epoch, ER_EPOCH);
        im__offline_record__free_unpacked(off, NULL);
    }
    assert_int_equal(edge_core_stats(r->core)->nameless, 1);
    for (size_t i = 0; i < 79; i++)
        if (i != 17 && i != 42)
            er_confirm(r, &u[i], 1);
    assert_int_equal(edge_core_mark(r->core), at); /* until the log has the bounces */
    er_report_all(r);
    assert_int_equal(edge_core_mark(r->core), r->next);
    /* A later epoch has other sessions. */
    edge_core_lost(r->core);
    edge_core_claimed(r->core, 3, ER_EPOCH, r->next);
    n = r->n_records;
    at = er_many(r, IM__ITEM_KIND__ITEM_POINTED, u, 80, conv1, 6);
    assert_int_equal(r->n_records, n + 1);
    assert_handed_on(r, n, 6, u, 80);
    assert_int_equal(edge_core_stats(r->core)->nameless, 81);
    assert_int_equal(edge_core_mark(r->core), at);
    er_report_all(r);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

static void test_all(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u[] = {er_login(r, "alice", 1), er_login(r, "bob", 1), er_login(r, "carol", 1)};
    uint32_t stranger = er_connect(r);
    er_report_all(r);
    edge_core_gone(r->core, u[1].conn);
    size_t records = r->n_records;
    Im__DeliverItem it = IM__DELIVER_ITEM__INIT;
    it.kind = IM__ITEM_KIND__ITEM_EVENT;
    it.frame_type = IM__FRAME_TYPE__CHAT_PUSH;
    it.all = true;
    it.payload = codec_bytes(slice_of("\x10\x07", 2));
    int64_t at = er_deliver(r, ER_EPOCH, &it);
    assert_int_equal(er_frames(r, u[0].conn, IM__FRAME_TYPE__CHAT_PUSH), 1);
    assert_int_equal(er_frames(r, u[2].conn, IM__FRAME_TYPE__CHAT_PUSH), 1);
    assert_null(er_last(r, stranger));
    assert_int_equal(edge_core_mark(r->core), at);
    er_confirm(r, &u[0], 1);
    er_confirm(r, &u[2], 1);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_deliver(r, ER_EPOCH - 1, &it); /* of an epoch before: for nobody here */
    assert_int_equal(er_frames(r, u[0].conn, IM__FRAME_TYPE__CHAT_PUSH), 1);
    assert_int_equal(r->n_records, records);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

static void test_signals_are_never_owed(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u[] = {er_login(r, "alice", 1), er_login(r, "bob", 1), er_login(r, "carol", 1)};
    er_report_all(r);
    edge_core_gone(r->core, u[2].conn);
    r->behind[u[1].conn] = true;
    size_t n = r->n_records;
    er_many(r, IM__ITEM_KIND__ITEM_SIGNAL, u, 3, conv1, 0);
    assert_int_equal(er_frames(r, u[0].conn, IM__FRAME_TYPE__CHAT_PUSH), 1);
    assert_int_equal(er_last(r, u[0].conn)->seq_id, 0);
    assert_int_equal(er_frames(r, u[1].conn, IM__FRAME_TYPE__CHAT_PUSH), 0);
    assert_int_equal(edge_core_stats(r->core)->signals_dropped, 1);
    assert_int_equal(r->n_records, n);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_push(r, &u[0], conv1, 1); /* it took no delivery number */
    assert_int_equal(er_last(r, u[0].conn)->seq_id, 1);
    er_free(r);
}

static void test_departed(void **state)
{
    (void)state;
    struct departed *d = departed_new(100);
    struct departed_one one = {.device = 1};
    assert_null(departed_get(d, 7));
    for (uint32_t i = 1; i <= 1000; i++) {
        one.handle = i;
        one.login_offset = i * 10;
        departed_add(d, &one);
        assert_int_equal(departed_get(d, i)->login_offset, i * 10);
        if (i > 100) {
            assert_null(departed_get(d, i - 100));
            assert_int_equal(departed_get(d, i - 99)->login_offset, (i - 99) * 10);
        }
    }
    departed_clear(d);
    assert_null(departed_get(d, 1000));
    departed_add(d, &one);
    assert_non_null(departed_get(d, 1000));
    departed_free(d);
}

/* ---- the property: what was pushed and not confirmed is handed back, whatever happens in between ---- */
enum { USERS = 12, SEQS = 400 };
struct owed {
    struct er_user u;
    bool on;
    uint32_t sent, confirmed;
    uint64_t seq_of[SEQS + 1]; /* by delivery number of this session */
    bool safe[SEQS + 1];       /* confirmed by, or handed back for, this user */
    bool pushed[SEQS + 1];     /* should get it */
};

static void hang_up(struct er *r, struct owed *o)
{
    edge_core_gone(r->core, o->u.conn);
    o->on = false;
}

static void bounces(struct er *r, struct owed *all, size_t *from)
{
    for (; *from < r->n_records; (*from)++) {
        if (r->records[*from].topic != T_OFFLINE)
            continue;
        Im__OfflineRecord *off = er_offline(r, *from);
        struct owed *o = NULL;
        for (int k = 0; k < USERS; k++)
            if (memcmp(all[k].u.id.b, off->user.data, ID_SIZE) == 0)
                o = &all[k];
        assert_non_null(o);
        for (size_t i = 0; i < off->bounce->n_items; i++) {
            assert_int_equal(off->bounce->items[i]->payload.len, 0);
            assert_false(
                o->safe[off->bounce->items[i]->seq]); /* handed back once, and nothing that was confirmed */
            o->safe[off->bounce->items[i]->seq] = true;
        }
        im__offline_record__free_unpacked(off, NULL);
    }
}

static void one_step(struct er *r, struct owed *all, struct rng *rng, uint64_t *seq)
{
    struct owed *o = &all[rng_below(rng, USERS)];
    switch (rng_below(rng, 4)) {
    case 0:
        if (o->on && rng_below(rng, 4) == 0)
            hang_up(r, o);
        break;
    case 1:
        if (o->on && o->confirmed < o->sent) {
            uint32_t upto = o->confirmed + 1 + (uint32_t)rng_below(rng, o->sent - o->confirmed);
            er_confirm(r, &o->u, upto);
            while (o->confirmed < upto)
                o->safe[o->seq_of[++o->confirmed]] = true;
        }
        break;
    default: { /* also to sessions that are over: the writer does not know yet */
        struct er_user to[USERS];
        size_t n = 0;
        ++*seq;
        for (int k = 0; k < USERS; k++) {
            if (rng_below(rng, 3) == 0)
                continue;
            to[n++] = all[k].u;
            all[k].pushed[*seq] = true;
            if (all[k].on)
                all[k].seq_of[++all[k].sent] = *seq;
        }
        if (n)
            er_many(r, IM__ITEM_KIND__ITEM_POINTED, to, n, conv1, *seq);
    }
    }
}

static void test_nothing_is_forgotten(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct er *r = er_new(NULL);
        struct rng rng = {seed};
        struct owed *all = calloc(USERS, sizeof *all);
        uint64_t seq = 0;
        char name[16];
        for (uint32_t i = 0; i < USERS; i++) {
            snprintf(name, sizeof name, "user%u", i);
            all[i].u = er_login(r, name, i + 1);
            all[i].on = true;
        }
        er_report_all(r);
        size_t from = r->n_records;
        while (seq < SEQS)
            one_step(r, all, &rng, &seq);
        for (int k = 0; k < USERS; k++)
            if (all[k].on)
                hang_up(r, &all[k]);
        bounces(r, all, &from);
        for (int k = 0; k < USERS; k++)
            for (uint64_t s = 1; s <= SEQS; s++)
                assert_int_equal(all[k].pushed[s], all[k].safe[s]);
        er_report_all(r);
        assert_int_equal(edge_core_mark(r->core), r->next);
        free(all);
        er_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pointers_are_confirmed), cmocka_unit_test(test_pointers_bounce_without_payload),
        cmocka_unit_test(test_late_for_many),          cmocka_unit_test(test_all),
        cmocka_unit_test(test_signals_are_never_owed), cmocka_unit_test(test_departed),
        cmocka_unit_test(test_nothing_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
