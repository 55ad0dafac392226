/* The edge's core with sessions: sends and their acks, pushes, confirmations, bounces, the mark, takeover, leaving. */
#include "tests/unit/edgerun.h"

static const struct id16 conv1 = {{1}}, conv2 = {{2}};

/* ---- sends ---- */
static void test_ack_only_after_the_report(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    er_know(r, &u, "bob");
    size_t n = r->n_records, frames = r->n_frames;
    assert_true(er_chat(r, &u, 40, 17, "Bob"));
    assert_int_equal(r->n_frames, frames);
    assert_int_equal(r->n_records, n + 1);
    Im__Inbound *in = er_inbound(r, n);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_CHAT);
    assert_memory_equal(in->session->user.data, u.id.b, ID_SIZE);
    assert_int_equal(in->session->device, 1);
    assert_int_equal(in->session->login_offset, u.login);
    assert_int_equal(in->chat->client_seq, 17);
    assert_string_equal(in->chat->peer_login, "bob");
    assert_string_equal(in->chat->body->text, "hi");
    struct id16 conv = id_direct(u.id, id_user("bob")), msg = id_message(u.id, 1, 17);
    assert_memory_equal(in->chat->conversation.data, conv.b, ID_SIZE);
    assert_memory_equal(in->chat->msg_id.data, msg.b, ID_SIZE);
    assert_memory_equal(r->records[n].place.b, u.id.b, ID_SIZE);
    im__inbound__free_unpacked(in, NULL);
    er_tick(r, 1000);
    assert_int_equal(r->n_frames, frames);
    er_report(r, n, SENT_OK);
    assert_int_equal(r->n_frames, frames + 1);
    struct er_frame *f = er_last(r, u.conn);
    assert_int_equal(f->type, IM__FRAME_TYPE__MSG_ACK);
    assert_int_equal(f->seq_id, 40);
    Im__MsgAck *a = (Im__MsgAck *)er_msg(f);
    assert_int_equal(a->stage, IM__STAGE__ACCEPTED);
    assert_int_equal(a->client_seq, 17);
    assert_memory_equal(a->msg_id.data, msg.b, ID_SIZE);
    im__msg_ack__free_unpacked(a, NULL);
    er_free(r);
}

static void test_failed_and_unknown(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    er_know(r, &u, "bob");
    er_chat(r, &u, 40, 17, "bob");
    er_report(r, r->n_records - 1, SENT_FAILED);
    er_expect_error(r, u.conn, 40, IM__CODE__INTERNAL, NULL);
    assert_false(r->closed[u.conn]);
    er_chat(r, &u, 41, 17, "bob");
    size_t frames = r->n_frames;
    er_report(r, r->n_records - 1, SENT_UNKNOWN);
    assert_int_equal(r->n_frames, frames); /* neither ack nor error */
    assert_true(r->closed[u.conn]);
    assert_int_equal(r->why[u.conn], EDGE_CUT_LOG);
    assert_int_equal(er_frames(r, u.conn, IM__FRAME_TYPE__MSG_ACK), 0);
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_END);
    er_free(r);
}

static void test_full_producer_refuses(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    er_know(r, &u, "bob");
    r->full = true;
    er_chat(r, &u, 40, 17, "bob");
    er_expect_error(r, u.conn, 40, IM__CODE__BUSY, NULL);
    r->full = false;
    edge_core_busy(r->core, true);
    er_chat(r, &u, 41, 17, "bob");
    er_expect_error(r, u.conn, 41, IM__CODE__BUSY, NULL);
    edge_core_busy(r->core, false);
    size_t n = r->n_records;
    er_chat(r, &u, 42, 17, "bob");
    assert_int_equal(r->n_records, n + 1);
    er_free(r);
}

static void test_unknown_recipient(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    assert_false(er_chat(r, &u, 40, 1, "bob")); /* paused: what follows waits behind it */
    assert_true(r->paused[u.conn]);
    size_t look = r->n_records - 1;
    er_report(r, look, SENT_OK);
    er_answer(r, look, false, "");
    er_expect_error(r, u.conn, 40, IM__CODE__UNKNOWN_USER, "to");
    assert_false(r->paused[u.conn]);
    assert_int_equal(r->n_records, look + 1); /* never in the log */

    er_chat(r, &u, 41, 1, "carol");
    er_answer(r, r->n_records - 1, true, "carol");
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_CHAT);
    assert_false(r->paused[u.conn]);

    er_chat(r, &u, 42, 2, "dave"); /* nobody answers: on trust, and not asked for again at once */
    look = r->n_records - 1;
    er_tick(r, 2500);
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_CHAT);
    assert_true(er_chat(r, &u, 43, 3, "dave"));
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_CHAT);
    size_t n = r->n_records;
    er_answer(r, look, false, ""); /* too late to matter */
    assert_int_equal(r->n_records, n);

    Im__AccountExistsReq q = IM__ACCOUNT_EXISTS_REQ__INIT; /* trust is no knowledge */
    q.login = (char *)"dave";
    er_send(r, u.conn, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, 44, &q.base);
    assert_int_equal(er_kind(r, n), IM__INBOUND__BODY_LOOKUP);
    er_answer(r, n++, false, "");
    assert_int_equal(r->n_records, n);
    er_free(r);
}

static void test_to_oneself(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    er_chat(r, &u, 40, 1, "ALICE");
    er_expect_error(r, u.conn, 40, IM__CODE__BAD_FIELD, "to");
    er_free(r);
}

static void outcome(struct er *r, const struct er_user *u, uint64_t client_seq)
{
    Im__MsgAck a = IM__MSG_ACK__INIT;
    Im__Session s = er_session(u);
    a.client_seq = client_seq;
    a.stage = IM__STAGE__SEQUENCED;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_EVENT, IM__FRAME_TYPE__MSG_ACK, 0, &a.base, &s, conv1, 1);
}

static void test_window(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    er_know(r, &u, "bob");
    for (uint64_t i = 1; i <= 64; i++)
        er_chat(r, &u, (uint32_t)i, i, "bob");
    size_t n = r->n_records;
    er_chat(r, &u, 65, 65, "bob");
    er_expect_error(r, u.conn, 65, IM__CODE__TOO_MANY_UNRESOLVED, NULL);
    assert_int_equal(r->n_records, n);
    er_report_all(r); /* accepted is no outcome */
    er_chat(r, &u, 65, 65, "bob");
    er_expect_error(r, u.conn, 65, IM__CODE__TOO_MANY_UNRESOLVED, NULL);
    er_chat(r, &u, 66, 64, "bob"); /* a resend needs no place */
    assert_int_equal(r->n_records, n + 1);
    outcome(r, &u, 10);
    assert_int_equal(er_last(r, u.conn)->type, IM__FRAME_TYPE__MSG_ACK);
    er_chat(r, &u, 65, 65, "bob");
    assert_int_equal(r->n_records, n + 2);
    er_free(r);
}

static void test_rate(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.rate = 10, .burst = 5});
    struct er_user u = er_login(r, "alice", 1);
    er_time(r, 1000);
    for (int i = 0; i < 5; i++)
        er_send(r, u.conn, IM__FRAME_TYPE__HEARTBEAT, 1, NULL);
    assert_int_equal(er_frames(r, u.conn, IM__FRAME_TYPE__HEARTBEAT), 5);
    er_send(r, u.conn, IM__FRAME_TYPE__HEARTBEAT, 2, NULL);
    er_expect_error(r, u.conn, 2, IM__CODE__TOO_MANY_REQUESTS, NULL);
    er_time(r, 100);
    er_send(r, u.conn, IM__FRAME_TYPE__HEARTBEAT, 3, NULL);
    assert_int_equal(er_frames(r, u.conn, IM__FRAME_TYPE__HEARTBEAT), 6);
    er_free(r);
}

static void test_pull(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    Im__PullOfflineReq q = IM__PULL_OFFLINE_REQ__INIT;
    q.after = 5;
    q.limit = 10;
    assert_true(er_send(r, u.conn, IM__FRAME_TYPE__PULL_OFFLINE_REQ, 8, &q.base));
    Im__Inbound *in = er_inbound(r, r->n_records - 1);
    assert_int_equal(in->pull->after, 5);
    assert_int_equal(in->seq_id, 8);
    im__inbound__free_unpacked(in, NULL);
    Im__PullOfflineRsp rsp = IM__PULL_OFFLINE_RSP__INIT;
    Im__Session s = er_session(&u);
    rsp.more = true;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_REPLY, IM__FRAME_TYPE__PULL_OFFLINE_RSP, 8, &rsp.base, &s, conv1,
            0);
    assert_int_equal(er_last(r, u.conn)->type, IM__FRAME_TYPE__PULL_OFFLINE_RSP);
    assert_int_equal(er_last(r, u.conn)->seq_id, 8);
    er_free(r);
}

/* A page is a thousand times as large as what asks for it. */
static void test_few_pages_at_once(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    Im__PullOfflineReq q = IM__PULL_OFFLINE_REQ__INIT;
    Im__PullOfflineRsp rsp = IM__PULL_OFFLINE_RSP__INIT;
    Im__Session s = er_session(&u);
    size_t n = r->n_records;
    for (uint32_t i = 1; i <= 100; i++)
        er_send(r, u.conn, IM__FRAME_TYPE__PULL_OFFLINE_REQ, i, &q.base);
    assert_int_equal(r->n_records - n, 4);
    er_expect_error(r, u.conn, 100, IM__CODE__TOO_MANY_REQUESTS, NULL);
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_REPLY, IM__FRAME_TYPE__PULL_OFFLINE_RSP, 1, &rsp.base, &s, conv1,
            0);
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_REPLY, IM__FRAME_TYPE__PULL_OFFLINE_RSP, 1, &rsp.base, &s, conv1,
            0); /* more of it, or once more: it was one request */
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_REPLY, IM__FRAME_TYPE__PULL_OFFLINE_RSP, 0, &rsp.base, &s, conv1,
            0);                       /* one that came by itself */
    er_report(r, n + 1, SENT_FAILED); /* this page will never come */
    for (uint32_t i = 101; i <= 110; i++)
        er_send(r, u.conn, IM__FRAME_TYPE__PULL_OFFLINE_REQ, i, &q.base);
    assert_int_equal(r->n_records - n, 6);
    er_tick(r, 11000); /* pages that got lost are not waited for for ever */
    assert_true(er_send(r, u.conn, IM__FRAME_TYPE__PULL_OFFLINE_REQ, 111, &q.base));
    assert_int_equal(r->n_records - n, 7);
    er_free(r);
}

/* ---- pushes ---- */
static void test_mark_waits_for_the_client(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user a = er_login(r, "alice", 1), b = er_login(r, "bob", 1);
    int64_t first = er_push(r, &a, conv1, 1);
    er_push(r, &b, conv1, 1);
    er_push(r, &a, conv1, 2);
    assert_int_equal(er_last(r, a.conn)->seq_id, 2); /* delivery numbers */
    assert_int_equal(er_last(r, b.conn)->seq_id, 1);
    assert_int_equal(edge_core_mark(r->core), first);
    er_confirm(r, &b, 1);
    assert_int_equal(edge_core_mark(r->core), first);
    er_confirm(r, &a, 1);
    assert_int_equal(edge_core_mark(r->core), first + 2);
    er_tick(r, 2000);
    assert_int_equal(r->committed, first + 2);
    er_confirm(r, &a, 9);
    er_expect_error(r, a.conn, 0, IM__CODE__BAD_FIELD, "upto");
    er_confirm(r, &a, 2);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_deliver(r, ER_EPOCH, &(Im__DeliverItem)IM__DELIVER_ITEM__INIT);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

static void test_bounce(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 7);
    er_report_all(r);
    int64_t first = er_push(r, &u, conv1, 5);
    outcome(r, &u, 1);
    er_push(r, &u, conv2, 9);
    er_confirm(r, &u, 1);
    er_push(r, &u, conv1, 6);
    size_t n = r->n_records;
    edge_core_gone(r->core, u.conn);
    assert_int_equal(r->n_records, n + 2);
    Im__OfflineRecord *off = er_offline(r, n);
    assert_int_equal(off->body_case, IM__OFFLINE_RECORD__BODY_BOUNCE);
    assert_int_equal(off->bounce->n_items, 2); /* not what was confirmed, not the event */
    assert_memory_equal(off->bounce->items[0]->conversation.data, conv2.b, ID_SIZE);
    assert_int_equal(off->bounce->items[0]->seq, 9);
    assert_memory_equal(off->bounce->items[1]->conversation.data, conv1.b, ID_SIZE);
    assert_int_equal(off->bounce->items[1]->seq, 6);
    Im__ChatPush *p =
        im__chat_push__unpack(NULL, off->bounce->items[1]->payload.len, off->bounce->items[1]->payload.data);
    assert_string_equal(p->text, "hello");
    im__chat_push__free_unpacked(p, NULL);
    assert_int_equal(off->bounce->session->device, 7);
    assert_int_equal(off->bounce->session->handle, u.handle);
    assert_int_equal(off->bounce->session->login_offset, u.login);
    assert_int_equal(off->bounce->session->epoch, ER_EPOCH);
    im__offline_record__free_unpacked(off, NULL);
    assert_int_equal(er_kind(r, n + 1), IM__INBOUND__BODY_END);
    /* The position waits for the log to have the bounce. */
    assert_int_equal(edge_core_mark(r->core), first + 1 + 1);
    er_report(r, n, SENT_FAILED); /* said again until it is there */
    er_tick(r, 500);
    size_t again = er_find(r, n + 2, T_OFFLINE);
    assert_int_equal(edge_core_mark(r->core), first + 2);
    er_report(r, again, SENT_OK);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

static void test_bounce_waits_for_a_full_producer(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 7);
    er_report_all(r);
    int64_t first = er_push(r, &u, conv1, 5);
    r->full = true;
    size_t n = r->n_records;
    edge_core_gone(r->core, u.conn);
    er_tick(r, 300);
    assert_int_equal(r->n_records, n);
    assert_int_equal(edge_core_mark(r->core), first);
    r->full = false;
    er_tick(r, 300);
    assert_int_equal(r->records[n].topic, T_OFFLINE); /* in order */
    assert_int_equal(r->records[n + 1].topic, T_INBOUND);
    er_report_all(r);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

static void test_late_and_foreign(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1), old = u;
    er_report_all(r);
    /* for a session of this epoch that is gone */
    old.handle += 1000;
    size_t n = r->n_records, frames = r->n_frames;
    er_push(r, &old, conv1, 1);
    /* for another user, or another login, on this handle */
    old = u;
    old.id.b[0] ^= 1;
    er_push(r, &old, conv1, 2);
    old = u;
    old.login--;
    er_push(r, &old, conv1, 3);
    assert_int_equal(r->n_frames, frames);
    assert_int_equal(r->n_records, n + 3);
    for (size_t i = 0; i < 3; i++) {
        Im__OfflineRecord *off = er_offline(r, n + i);
        assert_int_equal(off->bounce->n_items, 1);
        assert_int_equal(off->bounce->items[0]->seq, i + 1);
        im__offline_record__free_unpacked(off, NULL);
    }
    /* of an earlier epoch: messages go back under that epoch, the rest is over */
    Im__ChatPush p = IM__CHAT_PUSH__INIT;
    Im__Session s = er_session(&u);
    er_item(r, ER_EPOCH - 1, IM__ITEM_KIND__ITEM_MESSAGE, IM__FRAME_TYPE__CHAT_PUSH, 0, &p.base, &s, conv1,
            4);
    Im__OfflineRecord *off = er_offline(r, n + 3);
    assert_int_equal(off->bounce->session->epoch, ER_EPOCH - 1);
    im__offline_record__free_unpacked(off, NULL);
    Im__Kicked k = IM__KICKED__INIT;
    er_item(r, ER_EPOCH - 1, IM__ITEM_KIND__ITEM_KICK, IM__FRAME_TYPE__KICKED, 0, &k.base, &s, conv1, 0);
    assert_false(r->closed[u.conn]);
    assert_int_equal(r->n_frames, frames);
    er_report_all(r);
    assert_int_equal(edge_core_mark(r->core), r->next);
    /* of a later epoch: the slot is not ours any more, and nothing of it is committed */
    int64_t mark = edge_core_mark(r->core);
    er_item(r, ER_EPOCH + 1, IM__ITEM_KIND__ITEM_MESSAGE, IM__FRAME_TYPE__CHAT_PUSH, 0, &p.base, &s, conv1,
            5);
    assert_non_null(r->lost);
    assert_int_equal(edge_core_mark(r->core), mark);
    er_free(r);
}

static void test_poison_record(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    edge_core_deliver(r->core, r->next++, (struct slice){"\xff\xff\xff", 3});
    edge_core_deliver(r->core, r->next++, (struct slice){"", 0});
    assert_int_equal(edge_core_stats(r->core)->bad_records, 2);
    assert_int_equal(edge_core_mark(r->core), r->next);
    edge_core_deliver(r->core, r->next - 1, (struct slice){"", 0}); /* again */
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

static void test_poison_becomes_a_dead_letter(void **state)
{
    (void)state;
    char err[200];
    struct topics *ts = topics_new("schema/topics.json", "small", "", err, sizeof err);
    assert_non_null(ts);
    er_topics = ts;
    struct er *r = er_new(NULL);
    int64_t mark = edge_core_mark(r->core);
    edge_core_deliver(r->core, r->next++, (struct slice){"\xff\xff\xff", 3});
    assert_int_equal(edge_core_mark(r->core), mark); /* not before the letter is in the log */
    const struct er_record *s = &r->records[r->n_records - 1];
    Im__DlqRecord *d;
    assert_int_equal(s->topic, T_DLQ);
    assert_int_equal(codec_dlq(NULL, (struct slice){s->value->data, s->value->n}, &d), 0);
    assert_string_equal(d->error, "undecodable: not a protobuf message");
    assert_string_equal(d->topic, "im.deliver.3");
    assert_int_equal(d->offset, r->next - 1);
    im__dlq_record__free_unpacked(d, NULL);
    er_report_all(r);
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
    er_topics = NULL;
    topics_free(ts);
}

/* Rolling upgrade: what this edge cannot read must still be there for one that can. */
static void test_newer_version_is_kept(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    int64_t mark = edge_core_mark(r->core);
    edge_core_deliver(r->core, r->next++, (struct slice){"\x08\x63", 2}); /* version 99 */
    assert_non_null(r->lost);
    assert_int_equal(edge_core_mark(r->core), mark);
    assert_int_equal(edge_core_stats(r->core)->bad_records, 0);
    er_free(r);
}

static void test_takeover(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    er_report_all(r);
    er_push(r, &u, conv1, 1);
    Im__Kicked k = IM__KICKED__INIT;
    Im__Session s = er_session(&u);
    size_t n = r->n_records;
    k.code = IM__CODE__SESSION_REPLACED;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_KICK, IM__FRAME_TYPE__KICKED, 0, &k.base, &s, conv1, 0);
    assert_true(r->closed[u.conn]);
    assert_int_equal(er_last(r, u.conn)->type, IM__FRAME_TYPE__KICKED);
    assert_int_equal(r->records[n].topic, T_OFFLINE); /* what was not confirmed is the new session's */
    assert_int_equal(er_kind(r, n + 1), IM__INBOUND__BODY_END);
    edge_core_gone(r->core, u.conn);
    assert_int_equal(r->n_records, n + 2); /* once */
    er_free(r);
}

static void test_logout(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    assert_false(er_send(r, u.conn, IM__FRAME_TYPE__LOGOUT_REQ, 5, NULL));
    assert_int_equal(er_last(r, u.conn)->type, IM__FRAME_TYPE__LOGOUT_RSP);
    assert_true(r->closed[u.conn]);
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_END);
    er_free(r);
}

static void test_silent_and_slow(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.unconfirmed = 16});
    struct er_user idle = er_login(r, "alice", 1), mute = er_login(r, "bob", 1),
                   slow = er_login(r, "carol", 1);
    er_report_all(r);
    er_push(r, &mute, conv1, 1);
    for (uint64_t i = 1; i <= 16; i++)
        er_push(r, &slow, conv1, i);
    assert_false(r->closed[slow.conn]);
    size_t n = r->n_records;
    er_push(r, &slow, conv1, 17);
    assert_true(r->closed[slow.conn]);
    assert_int_equal(r->why[slow.conn], EDGE_CUT_SLOW);
    Im__OfflineRecord *off = er_offline(r, n);
    assert_int_equal(off->bounce->n_items, 16);
    im__offline_record__free_unpacked(off, NULL);
    off = er_offline(r, er_find(r, n + 1, T_OFFLINE)); /* and the one that was too many */
    assert_int_equal(off->bounce->items[0]->seq, 17);
    im__offline_record__free_unpacked(off, NULL);

    for (int i = 0; i < 5; i++) { /* heartbeats do not make up for not confirming */
        er_tick(r, 9000);
        if (!r->closed[mute.conn])
            er_send(r, mute.conn, IM__FRAME_TYPE__HEARTBEAT, 1, NULL);
    }
    assert_true(r->closed[mute.conn]);
    assert_false(r->closed[idle.conn]);
    er_tick(r, 60000);
    assert_true(r->closed[idle.conn]);
    Im__Kicked *k = (Im__Kicked *)er_msg(er_last(r, idle.conn));
    assert_int_equal(k->code, IM__CODE__IDLE_TIMEOUT);
    im__kicked__free_unpacked(k, NULL);
    er_free(r);
}

static void test_heartbeat_beacon(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    er_push(r, &u, conv1, 1);
    er_push(r, &u, conv1, 2);
    er_push(r, &u, conv2, 1);
    er_send(r, u.conn, IM__FRAME_TYPE__HEARTBEAT, 1, NULL);
    Im__HeartbeatRsp *h = (Im__HeartbeatRsp *)er_msg(er_last(r, u.conn));
    assert_int_equal(h->delivery, 3);
    assert_int_equal(h->conversations, 2);
    im__heartbeat_rsp__free_unpacked(h, NULL);
    er_free(r);
}

static void cursor(struct er *r, const struct er_user *u, struct id16 conv, uint64_t from, uint64_t upto)
{
    Im__DeliveryAck a = IM__DELIVERY_ACK__INIT;
    Im__Cursor c = IM__CURSOR__INIT, *list[1] = {&c};
    c.conversation = codec_bytes(slice_id(&conv));
    c.from = from;
    c.upto = upto;
    a.n_cursors = 1;
    a.cursors = list;
    er_send(r, u->conn, IM__FRAME_TYPE__DELIVERY_ACK, 0, &a.base);
}

static void test_cursors_are_coalesced(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    size_t n = r->n_records;
    for (uint64_t i = 1; i <= 20; i++)
        cursor(r, &u, conv1, 1, i);
    cursor(r, &u, conv2, 4, 4);
    er_tick(r, 5000);
    assert_int_equal(r->n_records, n);
    er_tick(r, 16000);
    assert_int_equal(r->n_records, n + 2);
    assert_int_equal(r->records[n].topic, T_CURSOR);
    assert_int_equal(r->records[n].key->n, KEY_CURSOR);
    assert_memory_equal(r->records[n].place.b, u.id.b, ID_SIZE);
    Im__CursorRecord *c;
    assert_int_equal(codec_cursor(NULL, buf_slice(r->records[n].value), &c), 0);
    assert_int_equal(c->upto, 20);
    im__cursor_record__free_unpacked(c, NULL);
    cursor(r, &u, conv1, 1, 21);
    edge_core_gone(r->core, u.conn); /* at the end, at once */
    er_find(r, n + 2, T_CURSOR);
    er_free(r);
}

/* im.cursor keeps a record for each (device, conversation), also for conversations that nobody ever heard of. */
static void test_cursors_are_no_flood(void **state)
{
    (void)state;
    struct edge_limits lim = {.rate = 100, .burst = 300};
    struct er *r = er_new(&lim);
    struct er_user u = er_login(r, "alice", 1);
    size_t n = r->n_records;
    for (uint32_t i = 0; i < 5000; i++)
        cursor(r, &u, (struct id16){{1, (uint8_t)(i >> 8), (uint8_t)i}}, 1, 5);
    er_push(r, &u, conv1, 1);
    er_confirm(r, &u, 1); /* confirming goes on */
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_tick(r, 20000);
    assert_true(r->n_records - n <= 310);
    for (uint32_t i = 0; i < 50; i++) /* one that talks in its own conversations is not hindered */
        cursor(r, &u, conv2, 1, 7 + i);
    er_tick(r, 20000);
    Im__CursorRecord *c;
    assert_int_equal(codec_cursor(NULL, buf_slice(r->records[r->n_records - 1].value), &c), 0);
    assert_int_equal(c->upto, 56);
    im__cursor_record__free_unpacked(c, NULL);
    er_free(r);
}

/* ---- the slot ---- */
static void test_lost_slot(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1), v = er_login(r, "bob", 1);
    er_know(r, &u, "bob");
    er_report_all(r);
    er_push(r, &u, conv1, 1);
    er_push(r, &v, conv1, 1);
    edge_core_gone(r->core, v.conn); /* its bounce is on the way */
    er_chat(r, &u, 40, 1, "bob");
    size_t n = r->n_records;
    edge_core_lost(r->core);
    assert_true(r->closed[u.conn]);
    assert_int_equal(r->n_records, n); /* no authority: no bounce, no cursor, no end */
    size_t acks = er_frames(r, u.conn, IM__FRAME_TYPE__MSG_ACK);
    er_report_all(r); /* reports of before find nobody */
    assert_int_equal(er_frames(r, u.conn, IM__FRAME_TYPE__MSG_ACK), acks);
    edge_core_gone(r->core, u.conn);
    assert_int_equal(edge_core_mark(r->core), -1);
    edge_core_claimed(r->core, 5, ER_EPOCH + 9, 70);
    assert_int_equal(edge_core_mark(r->core), 70);
    er_connect(r);
    er_free(r);
}

static void test_full_window_cuts_who_holds_it(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.window = 64});
    struct er_user mute = er_login(r, "alice", 1), good = er_login(r, "bob", 1);
    er_report_all(r);
    er_push(r, &mute, conv1, 1);
    for (uint64_t i = 1; !edge_core_full(r->core); i++) {
        er_push(r, &good, conv1, i);
        er_confirm(r, &good, (uint32_t)i);
        assert_true(i < 100);
    }
    er_tick(r, 2000);
    assert_true(r->closed[mute.conn]);
    assert_false(r->closed[good.conn]);
    er_report_all(r);
    assert_false(edge_core_full(r->core));
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

static void test_drain(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user done = er_login(r, "alice", 1), busy = er_login(r, "bob", 1),
                   deaf = er_login(r, "carol", 1);
    uint16_t why;
    er_know(r, &busy, "alice");
    er_report_all(r);
    er_push(r, &busy, conv1, 1);
    er_push(r, &deaf, conv1, 1);
    edge_core_drain(r->core, 3000);
    assert_int_equal(er_last(r, deaf.conn)->type, IM__FRAME_TYPE__GOAWAY);
    assert_int_equal(edge_core_accept(r->core, 1, &why), EDGE_NO_CONN);
    assert_int_equal(why, IM__CODE__SHUTTING_DOWN);
    er_tick(r, 500);
    assert_true(r->closed[done.conn]);
    assert_false(r->closed[busy.conn]);
    er_chat(r, &busy, 40, 1, "alice"); /* a send under way is not failed */
    er_report_all(r);
    assert_int_equal(er_last(r, busy.conn)->type, IM__FRAME_TYPE__MSG_ACK);
    outcome(r, &busy, 1);
    er_confirm(r, &busy, 2);
    er_tick(r, 500);
    assert_true(r->closed[busy.conn]);
    assert_false(r->closed[deaf.conn]);
    er_tick(r, 3000);
    assert_true(r->closed[deaf.conn]);
    assert_false(edge_core_drained(r->core));
    edge_core_gone(r->core, done.conn);
    edge_core_gone(r->core, busy.conn);
    edge_core_gone(r->core, deaf.conn);
    assert_false(edge_core_drained(r->core)); /* the bounce is not in the log yet */
    er_report_all(r);
    assert_true(edge_core_drained(r->core));
    assert_int_equal(edge_core_mark(r->core), r->next);
    er_free(r);
}

static void test_recommit_without_progress(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.recommit_ms = 5000});
    er_tick(r, 4000);
    assert_int_equal(r->n_commits, 0);
    er_tick(r, 2000);
    assert_int_equal(r->n_commits, 1);
    assert_int_equal(r->committed, 10);
    er_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ack_only_after_the_report),
        cmocka_unit_test(test_failed_and_unknown),
        cmocka_unit_test(test_full_producer_refuses),
        cmocka_unit_test(test_unknown_recipient),
        cmocka_unit_test(test_to_oneself),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_pull),
        cmocka_unit_test(test_few_pages_at_once),
        cmocka_unit_test(test_mark_waits_for_the_client),
        cmocka_unit_test(test_bounce),
        cmocka_unit_test(test_bounce_waits_for_a_full_producer),
        cmocka_unit_test(test_late_and_foreign),
        cmocka_unit_test(test_poison_record),
        cmocka_unit_test(test_poison_becomes_a_dead_letter),
        cmocka_unit_test(test_newer_version_is_kept),
        cmocka_unit_test(test_takeover),
        cmocka_unit_test(test_logout),
        cmocka_unit_test(test_silent_and_slow),
        cmocka_unit_test(test_heartbeat_beacon),
        cmocka_unit_test(test_cursors_are_coalesced),
        cmocka_unit_test(test_cursors_are_no_flood),
        cmocka_unit_test(test_lost_slot),
        cmocka_unit_test(test_full_window_cuts_who_holds_it),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_recommit_without_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
