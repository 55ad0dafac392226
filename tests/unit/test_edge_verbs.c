/* The edge's verbs: numbered sends of every kind, receipts, typing, tokens, what the router and the query process answer. */
#include "tests/unit/edgerun.h"

static const struct id16 conv1 = {{1}}, conv2 = {{2}};

static void outcome(struct er *r, const struct er_user *u, uint64_t client_seq, Im__Stage stage)
{
    Im__MsgAck a = IM__MSG_ACK__INIT;
    Im__Session s = er_session(u);
    a.client_seq = client_seq;
    a.stage = stage;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_EVENT, IM__FRAME_TYPE__MSG_ACK, 0, &a.base, &s, conv1, 1);
}

/* The last record, which is a chat. */
static Im__Inbound *last_chat(struct er *r)
{
    Im__Inbound *in = er_inbound(r, r->n_records - 1);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_CHAT);
    return in;
}

static void test_group_chat(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    Im__GroupChat c = IM__GROUP_CHAT__INIT;
    struct id16 who[4] = {{{9}}, {{4}}, {{9}}, {{7}}};
    ProtobufCBinaryData mentions[4];
    for (int i = 0; i < 4; i++)
        mentions[i] = codec_bytes(slice_id(&who[i]));
    c.client_seq = 12;
    c.conversation = codec_bytes(slice_id(&conv1));
    c.text = (char *)"hi";
    c.reply_to = 5;
    c.n_mentions = 4;
    c.mentions = mentions;
    assert_true(er_send(r, u.conn, IM__FRAME_TYPE__GROUP_CHAT, 40, &c.base));
    Im__Inbound *in = last_chat(r);
    assert_int_equal(in->chat->kind, IM__CONV_KIND__CONV_MESSAGE);
    assert_memory_equal(in->chat->conversation.data, conv1.b, ID_SIZE);
    assert_int_equal(in->chat->reply_to, 5);
    assert_int_equal(in->chat->peer.len, 0);
    assert_int_equal(in->chat->users.len, 3 * ID_SIZE); /* ascending, each once; not looked up */
    assert_int_equal(in->chat->users.data[0], 4);
    assert_int_equal(in->chat->users.data[ID_SIZE], 7);
    assert_int_equal(in->chat->users.data[2 * ID_SIZE], 9);
    im__inbound__free_unpacked(in, NULL);
    er_report_all(r);
    Im__MsgAck *a = (Im__MsgAck *)er_msg(er_last(r, u.conn));
    assert_int_equal(a->stage, IM__STAGE__ACCEPTED);
    assert_memory_equal(a->conversation.data, conv1.b, ID_SIZE);
    im__msg_ack__free_unpacked(a, NULL);
    er_free(r);
}

static Im__ConvOp op(Im__ConvKind kind, uint64_t client_seq)
{
    Im__ConvOp c = IM__CONV_OP__INIT;
    c.kind = kind;
    c.client_seq = client_seq;
    return c;
}

static void test_create_looks_up_whom_it_names(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    struct id16 bob = id_user("bob"), conv = id_group(u.id, 3, 12);
    ProtobufCBinaryData ids[] = {codec_bytes(slice_id(&bob))};
    char *logins[] = {"Carol", "bob", "alice"}; /* bob twice; oneself needs no question */
    Im__ConvOp c = op(IM__CONV_KIND__CONV_GROUP_CREATE, 12);
    c.text = (char *)"choir";
    c.users = ids;
    c.n_users = 1;
    c.logins = logins;
    c.n_logins = 3;
    assert_false(er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 40, &c.base));
    size_t second = r->n_records - 1, first = second - 1; /* both at once */
    assert_memory_equal(r->records[first].place.b, bob.b, ID_SIZE);
    er_answer(r, second, true, "carol");
    er_answer(r, second, true, "carol"); /* said twice: no answer to the other question */
    assert_int_equal(r->n_records, second + 1);
    assert_true(r->paused[u.conn]);
    er_answer(r, first, true, "bob");
    Im__Inbound *in = last_chat(r);
    assert_memory_equal(in->chat->conversation.data, conv.b, ID_SIZE);
    assert_string_equal(in->chat->body->text, "choir");
    assert_int_equal(in->chat->users.len, 3 * ID_SIZE);
    assert_int_equal(in->chat->n_logins, 3);
    for (size_t i = 0; i < 3; i++) {
        struct id16 id = id_user(in->chat->logins[i]); /* each beside its name */
        assert_memory_equal(in->chat->users.data + i * ID_SIZE, id.b, ID_SIZE);
    }
    im__inbound__free_unpacked(in, NULL);
    assert_false(r->paused[u.conn]);
    er_free(r);
}

static void test_unknown_among_them(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    char *logins[] = {"bob", "nobody"};
    Im__ConvOp c = op(IM__CONV_KIND__CONV_GROUP_INVITE, 12);
    c.conversation = codec_bytes(slice_id(&conv1));
    c.logins = logins;
    c.n_logins = 2;
    er_know(r, &u, "bob");
    assert_false(er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 40, &c.base));
    size_t look = r->n_records - 1;
    er_answer(r, look, false, "");
    er_expect_error(r, u.conn, 40, IM__CODE__UNKNOWN_USER, "logins");
    assert_int_equal(r->n_records, look + 1);
    assert_false(r->paused[u.conn]);
    er_free(r);
}

static void send_invitation(struct er *r, struct er_user *u, uint32_t seq_id, char **logins, size_t n)
{
    Im__ConvOp c = op(IM__CONV_KIND__CONV_GROUP_INVITE, 12);
    c.conversation = codec_bytes(slice_id(&conv1));
    c.logins = logins;
    c.n_logins = n;
    er_send(r, u->conn, IM__FRAME_TYPE__CONV_OP, seq_id, &c.base);
}

/* Nobody becomes a member whom nobody has ever seen: one name without an answer, and nothing is done. */
static void test_members_are_not_taken_on_trust(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.known_users = 1}); /* which is no endless loop either */
    struct er_user u = er_login(r, "alice", 3);
    char names[100][8], *logins[100];
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "user%d", i);
        logins[i] = names[i];
    }
    size_t first = r->n_records;
    send_invitation(r, &u, 40, logins, 100);
    assert_int_equal(r->n_records, first + 100); /* all at once */
    for (size_t i = 0; i < 99; i++)
        er_answer(r, first + i, true, names[i]);
    assert_true(r->paused[u.conn]);
    er_tick(r, 2500); /* one wait, not one for each */
    er_expect_error(r, u.conn, 40, IM__CODE__BUSY, NULL);
    assert_false(r->paused[u.conn]);
    er_answer(r, first + 99, true, names[99]); /* too late */
    assert_int_equal(r->n_records, first + 100);
    send_invitation(r, &u, 41, logins, 100);
    for (size_t i = first + 100, n = r->n_records; i < n; i++) {
        struct id16 who = r->records[i].place;
        for (size_t k = 0; k < 100; k++)
            if (id_eq(who, id_user(names[k])))
                er_answer(r, i, true, names[k]);
    }
    assert_false(r->paused[u.conn]);
    Im__Inbound *in = last_chat(r);
    assert_int_equal(in->chat->users.len, 100 * ID_SIZE);
    assert_int_equal(in->chat->n_logins, 100);
    for (size_t i = 0; i < 100; i++)
        assert_true(in->chat->logins[i][0]);
    im__inbound__free_unpacked(in, NULL);
    er_free(r);
}

static void test_who_was_written_to_on_trust_is_no_member(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    char *ghost[] = {"ghost"};
    er_chat(r, &u, 42, 2, "ghost");
    er_tick(r, 2500);
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_CHAT);
    size_t n = r->n_records;
    send_invitation(r, &u, 43, ghost, 1);
    assert_int_equal(er_kind(r, n), IM__INBOUND__BODY_LOOKUP);
    er_answer(r, n, false, "");
    er_expect_error(r, u.conn, 43, IM__CODE__UNKNOWN_USER, "logins");
    Im__ConvOp c = op(IM__CONV_KIND__CONV_FRIEND_REQUEST, 13); /* nor a friend */
    c.to = (char *)"ghost";
    er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 44, &c.base);
    assert_int_equal(er_kind(r, n + 1), IM__INBOUND__BODY_LOOKUP);
    er_tick(r, 2500);
    er_expect_error(r, u.conn, 44, IM__CODE__BUSY, NULL);
    assert_int_equal(r->n_records, n + 2);
    er_free(r);
}

static void test_operations(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    er_know(r, &u, "bob");
    struct id16 bob = id_user("bob"), direct = id_direct(u.id, bob);
    Im__ConvOp c = op(IM__CONV_KIND__CONV_FRIEND_REQUEST, 1);
    c.to = (char *)"BOB";
    c.text = (char *)"it is me";
    er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 40, &c.base);
    Im__Inbound *in = last_chat(r);
    assert_int_equal(in->chat->kind, IM__CONV_KIND__CONV_FRIEND_REQUEST);
    assert_memory_equal(in->chat->conversation.data, direct.b, ID_SIZE);
    assert_memory_equal(in->chat->peer.data, bob.b, ID_SIZE);
    assert_string_equal(in->chat->peer_login, "bob");
    assert_int_equal(in->chat->users.len, 0);
    im__inbound__free_unpacked(in, NULL);
    c.to = (char *)"alice";
    er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 41, &c.base);
    er_expect_error(r, u.conn, 41, IM__CODE__BAD_FIELD, "to");

    c = op(IM__CONV_KIND__CONV_EDIT, 2); /* a direct conversation by its id: no peer, no question */
    c.conversation = codec_bytes(slice_id(&direct));
    c.target = 7;
    c.content_type = (char *)"x/y";
    c.data = codec_bytes(slice_of("abc", 3));
    er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 42, &c.base);
    in = last_chat(r);
    assert_int_equal(in->chat->target, 7);
    assert_int_equal(in->chat->peer.len, 0);
    assert_memory_equal(in->chat->body->data.data, "abc", 3);
    im__inbound__free_unpacked(in, NULL);

    c = op(IM__CONV_KIND__CONV_GROUP_SETTINGS, 3);
    c.conversation = codec_bytes(slice_id(&conv1));
    c.flags = IM__GROUP_FLAG__GROUP_QUIET;
    c.flags_mask = IM__GROUP_FLAG__GROUP_QUIET | IM__GROUP_FLAG__GROUP_HISTORY;
    er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 43, &c.base);
    in = last_chat(r);
    assert_int_equal(in->chat->flags, 4);
    assert_int_equal(in->chat->flags_mask, 6);
    im__inbound__free_unpacked(in, NULL);
    size_t n = r->n_records;
    c.kind = IM__CONV_KIND__CONV_MESSAGE; /* has requests of its own */
    er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 44, &c.base);
    er_expect_error(r, u.conn, 44, IM__CODE__BAD_FIELD, "kind");
    assert_int_equal(r->n_records, n);
    er_free(r);
}

static void test_announce(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    struct id16 system = id_system();
    Im__Announce a = IM__ANNOUNCE__INIT;
    a.client_seq = 4;
    a.text = (char *)"back at noon";
    er_send(r, u.conn, IM__FRAME_TYPE__ANNOUNCE, 40, &a.base);
    Im__Inbound *in = last_chat(r);
    assert_int_equal(in->chat->kind, IM__CONV_KIND__CONV_ANNOUNCEMENT);
    assert_memory_equal(in->chat->conversation.data, system.b, ID_SIZE);
    im__inbound__free_unpacked(in, NULL);
    er_report(r, r->n_records - 1, SENT_UNKNOWN); /* like any send: neither yes nor no would be true */
    assert_true(r->closed[u.conn]);
    er_free(r);
}

/* One window for all numbered sends; a note is an outcome too. */
static void test_notes_make_room(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.send_window = 2});
    struct er_user u = er_login(r, "alice", 3);
    Im__ConvOp c = op(IM__CONV_KIND__CONV_GROUP_LEAVE, 1);
    c.conversation = codec_bytes(slice_id(&conv1));
    for (; c.client_seq <= 3; c.client_seq++)
        er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 40 + (uint32_t)c.client_seq, &c.base);
    er_expect_error(r, u.conn, 43, IM__CODE__TOO_MANY_UNRESOLVED, NULL);
    outcome(r, &u, 1, IM__STAGE__NOTED);
    size_t n = r->n_records;
    c.client_seq = 3;
    er_send(r, u.conn, IM__FRAME_TYPE__CONV_OP, 44, &c.base);
    assert_int_equal(r->n_records, n + 1);
    er_free(r);
}

static void test_receipts(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    struct id16 direct = id_direct(u.id, id_user("bob"));
    Im__MsgRead q = IM__MSG_READ__INIT;
    q.with = (char *)"Bob";
    q.read = 5;
    q.delivered = 9;
    size_t frames = r->n_frames;
    er_send(r, u.conn, IM__FRAME_TYPE__MSG_READ, 8, &q.base);
    Im__Inbound *in = er_inbound(r, r->n_records - 1);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_RECEIPT);
    assert_memory_equal(in->receipt->conversation.data, direct.b, ID_SIZE);
    assert_int_equal(in->receipt->read, 5);
    assert_int_equal(in->receipt->delivered, 9);
    im__inbound__free_unpacked(in, NULL);
    er_report_all(r);
    assert_int_equal(r->n_frames, frames); /* no answer when all is well */
    q.with = (char *)"alice";
    er_send(r, u.conn, IM__FRAME_TYPE__MSG_READ, 9, &q.base);
    er_expect_error(r, u.conn, 9, IM__CODE__BAD_FIELD, "with");
    q.with = (char *)"bob";
    er_send(r, u.conn, IM__FRAME_TYPE__MSG_READ, 10, &q.base);
    er_report(r, r->n_records - 1, SENT_FAILED);
    er_expect_error(r, u.conn, 10, IM__CODE__INTERNAL, NULL);
    r->full = true;
    er_send(r, u.conn, IM__FRAME_TYPE__MSG_READ, 11, &q.base);
    er_expect_error(r, u.conn, 11, IM__CODE__BUSY, NULL);
    er_free(r);
}

static void test_typing(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3), v = er_login(r, "bob", 1);
    Im__Typing t = IM__TYPING__INIT;
    size_t n = r->n_records, frames = r->n_frames;
    t.conversation = codec_bytes(slice_id(&conv1));
    for (int i = 0; i < 10; i++) /* once a second */
        er_send(r, u.conn, IM__FRAME_TYPE__TYPING, 0, &t.base);
    assert_int_equal(r->n_records, n + 1);
    Im__Inbound *in = er_inbound(r, n);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_SIGNAL);
    assert_memory_equal(in->signal->conversation.data, conv1.b, ID_SIZE);
    im__inbound__free_unpacked(in, NULL);
    assert_int_equal(r->records[n].tag, 0); /* nobody waits for its report */
    t.stopped = true;                       /* and once its end */
    er_send(r, u.conn, IM__FRAME_TYPE__TYPING, 0, &t.base);
    er_send(r, u.conn, IM__FRAME_TYPE__TYPING, 0, &t.base);
    assert_int_equal(r->n_records, n + 2);
    t.stopped = false;
    t.conversation = codec_bytes(slice_id(&conv2)); /* in each conversation */
    er_send(r, u.conn, IM__FRAME_TYPE__TYPING, 0, &t.base);
    er_send(r, v.conn, IM__FRAME_TYPE__TYPING, 0, &t.base); /* each user */
    assert_int_equal(r->n_records, n + 4);
    er_time(r, 1000);
    er_send(r, u.conn, IM__FRAME_TYPE__TYPING, 0, &t.base);
    assert_int_equal(r->n_records, n + 5);
    er_time(r, 1000);
    edge_core_busy(r->core, true); /* dropped, and nobody is told */
    er_send(r, u.conn, IM__FRAME_TYPE__TYPING, 0, &t.base);
    edge_core_busy(r->core, false);
    r->full = true;
    er_send(r, u.conn, IM__FRAME_TYPE__TYPING, 0, &t.base);
    assert_int_equal(r->n_records, n + 5);
    assert_int_equal(r->n_frames, frames);
    er_free(r);
}

static uint64_t generation(struct er *r, const struct er_user *u)
{
    struct token t;
    struct er_frame *f = er_last(r, u->conn);
    assert_int_equal(f->type, IM__FRAME_TYPE__TOKEN_RSP);
    Im__TokenRsp *rsp = (Im__TokenRsp *)er_msg(f);
    assert_int_equal(rsp->code, IM__CODE__OK);
    assert_int_equal(token_check(r->secrets, rsp->token, strlen(rsp->token), 1700000000, &t), 0);
    assert_memory_equal(t.user.b, u->id.b, ID_SIZE);
    assert_int_equal(t.device, u->device);
    assert_string_equal(t.login, "alice");
    assert_true(rsp->expires_ms > INT64_C(1700000000000));
    im__token_rsp__free_unpacked(rsp, NULL);
    return t.generation;
}

static void verdict(struct er *r, const struct er_user *u, uint64_t login, uint64_t gen)
{
    Im__LoginVerdict v = IM__LOGIN_VERDICT__INIT;
    Im__Session s = er_session(u);
    v.user = s.user;
    v.login = (char *)"alice";
    v.device = u->device;
    v.login_offset = login;
    v.token_generation = gen;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_LOGIN, IM__FRAME_TYPE__LOGIN_RSP, 0, &v.base, &s, conv1, 0);
}

static void test_token(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    assert_false(er_send(r, u.conn, IM__FRAME_TYPE__TOKEN_REQ, 8, NULL)); /* the name is asked for */
    size_t look = r->n_records - 1;
    assert_memory_equal(r->records[look].place.b, u.id.b, ID_SIZE);
    er_answer(r, look, true, "alice");
    assert_int_equal(generation(r, &u), 1);
    assert_true(er_send(r, u.conn, IM__FRAME_TYPE__TOKEN_REQ, 9, NULL)); /* once */
    assert_int_equal(er_last(r, u.conn)->seq_id, 9);
    /* All were revoked but this session's next one: the router says which generation is good. */
    size_t frames = r->n_frames;
    verdict(r, &u, u.login, 5);
    assert_int_equal(r->n_frames, frames);
    er_send(r, u.conn, IM__FRAME_TYPE__TOKEN_REQ, 10, NULL);
    assert_int_equal(generation(r, &u), 5);
    verdict(r, &u, u.login, 1);     /* said again, late */
    verdict(r, &u, u.login + 1, 9); /* of another login */
    er_send(r, u.conn, IM__FRAME_TYPE__TOKEN_REQ, 11, NULL);
    assert_int_equal(generation(r, &u), 5);
    er_free(r);
}

static void test_token_without_a_router(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    er_send(r, u.conn, IM__FRAME_TYPE__TOKEN_REQ, 8, NULL);
    er_tick(r, 2500);
    er_expect_error(r, u.conn, 8, IM__CODE__BUSY, NULL);
    assert_false(r->paused[u.conn]);
    er_free(r);
}

static void test_what_the_router_answers(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    Im__RevokeReq v = IM__REVOKE_REQ__INIT;
    v.all = v.keep_current = true;
    er_send(r, u.conn, IM__FRAME_TYPE__REVOKE_REQ, 8, &v.base);
    Im__Inbound *in = er_inbound(r, r->n_records - 1);
    assert_true(in->revoke->all && in->revoke->keep_current);
    assert_int_equal(in->seq_id, 8);
    im__inbound__free_unpacked(in, NULL);
    Im__ProfileReq p = IM__PROFILE_REQ__INIT;
    p.name = (char *)"Alice";
    er_send(r, u.conn, IM__FRAME_TYPE__PROFILE_REQ, 9, &p.base);
    in = er_inbound(r, r->n_records - 1);
    assert_string_equal(in->profile->display_name, "Alice");
    im__inbound__free_unpacked(in, NULL);
    Im__PrefsReq f = IM__PREFS_REQ__INIT;
    struct id16 direct = id_direct(u.id, id_user("bob"));
    f.with = (char *)"bob";
    f.pinned = true;
    f.remark = (char *)"school";
    f.mask = IM__PREFS_MARK__PREFS_REMARK;
    er_send(r, u.conn, IM__FRAME_TYPE__PREFS_REQ, 10, &f.base);
    in = er_inbound(r, r->n_records - 1);
    assert_memory_equal(in->prefs->conversation.data, direct.b, ID_SIZE);
    assert_true(in->prefs->pinned && !in->prefs->muted);
    assert_string_equal(in->prefs->remark, "school");
    assert_int_equal(in->prefs->mask, IM__PREFS_MARK__PREFS_REMARK);
    im__inbound__free_unpacked(in, NULL);
    er_report(r, r->n_records - 1, SENT_UNKNOWN); /* may be said again: no reason to close */
    er_expect_error(r, u.conn, 10, IM__CODE__INTERNAL, NULL);
    assert_false(r->closed[u.conn]);
    Im__RevokeRsp rsp = IM__REVOKE_RSP__INIT;
    Im__Session s = er_session(&u);
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_REPLY, IM__FRAME_TYPE__REVOKE_RSP, 8, &rsp.base, &s, conv1, 0);
    assert_int_equal(er_last(r, u.conn)->type, IM__FRAME_TYPE__REVOKE_RSP);
    er_free(r);
}

/* ---- questions ---- */
static bool history(struct er *r, const struct er_user *u, uint32_t seq_id)
{
    Im__HistoryReq h = IM__HISTORY_REQ__INIT;
    size_t n = r->n_records;
    h.conversation = codec_bytes(slice_id(&conv1));
    h.limit = 20;
    er_send(r, u->conn, IM__FRAME_TYPE__HISTORY_REQ, seq_id, &h.base);
    return r->n_records > n;
}

static void history_answer(struct er *r, const struct er_user *u, uint32_t seq_id)
{
    Im__HistoryRsp rsp = IM__HISTORY_RSP__INIT;
    Im__Session s = er_session(u);
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_REPLY, IM__FRAME_TYPE__HISTORY_RSP, seq_id, &rsp.base, &s, conv1,
            0);
}

static void test_question(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    assert_true(history(r, &u, 8));
    struct er_record *rec = &r->records[r->n_records - 1];
    assert_int_equal(rec->topic, T_QUERY);
    assert_memory_equal(rec->place.b, u.id.b, ID_SIZE);
    Im__QueryRecord *q;
    assert_int_equal(codec_query(NULL, buf_slice(rec->value), &q), 0);
    assert_int_equal(q->frame_type, IM__FRAME_TYPE__HISTORY_REQ);
    assert_int_equal(q->seq_id, 8);
    assert_int_equal(q->session->handle, u.handle);
    assert_int_equal(q->session->login_offset, u.login);
    Im__HistoryReq *h = im__history_req__unpack(NULL, q->payload.len, q->payload.data);
    assert_int_equal(h->limit, 20);
    im__history_req__free_unpacked(h, NULL);
    im__query_record__free_unpacked(q, NULL);
    history_answer(r, &u, 8);
    assert_int_equal(er_last(r, u.conn)->type, IM__FRAME_TYPE__HISTORY_RSP);
    assert_int_equal(er_last(r, u.conn)->seq_id, 8);
    assert_int_equal(edge_core_mark(r->core), r->next); /* an answer holds nothing back */
    size_t n = r->n_records;                            /* what is not well formed never gets that far */
    Im__HistoryReq bad = IM__HISTORY_REQ__INIT;
    er_send(r, u.conn, IM__FRAME_TYPE__HISTORY_REQ, 9, &bad.base);
    er_expect_error(r, u.conn, 9, IM__CODE__BAD_FIELD, "conversation");
    assert_int_equal(r->n_records, n);
    er_free(r);
}

static void test_few_questions_at_once(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 3);
    for (uint32_t i = 1; i <= 8; i++)
        assert_true(history(r, &u, i));
    assert_false(history(r, &u, 9));
    er_expect_error(r, u.conn, 9, IM__CODE__TOO_MANY_REQUESTS, NULL);
    history_answer(r, &u, 3);
    history_answer(r, &u, 3); /* once more, as after a crash: it was one question */
    assert_true(history(r, &u, 10));
    assert_false(history(r, &u, 11));
    er_report(r, r->n_records - 1, SENT_FAILED); /* this one will have no answer */
    er_expect_error(r, u.conn, 10, IM__CODE__INTERNAL, NULL);
    assert_true(history(r, &u, 12));
    assert_false(history(r, &u, 13));
    Im__Error none = IM__ERROR__INIT; /* no answer is an answer */
    Im__Session s = er_session(&u);
    none.code = IM__CODE__BUSY;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_REPLY, IM__FRAME_TYPE__ERROR, 12, &none.base, &s, conv1, 0);
    assert_true(history(r, &u, 13));
    assert_false(history(r, &u, 14));
    er_tick(r, 26000); /* answers that got lost are not waited for for ever */
    assert_true(history(r, &u, 14));
    er_free(r);
}

static void test_rate_of_questions(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.query_rate = 2, .query_burst = 3});
    struct er_user u = er_login(r, "alice", 3);
    er_time(r, 1000);
    for (uint32_t i = 1; i <= 3; i++, history_answer(r, &u, i))
        assert_true(history(r, &u, i));
    assert_false(history(r, &u, 4));
    er_expect_error(r, u.conn, 4, IM__CODE__TOO_MANY_REQUESTS, NULL);
    er_send(r, u.conn, IM__FRAME_TYPE__HEARTBEAT, 5, NULL); /* nothing else is hindered by it */
    assert_int_equal(er_last(r, u.conn)->type, IM__FRAME_TYPE__HEARTBEAT);
    er_time(r, 500);
    assert_true(history(r, &u, 6));
    er_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_chat),
        cmocka_unit_test(test_create_looks_up_whom_it_names),
        cmocka_unit_test(test_unknown_among_them),
        cmocka_unit_test(test_members_are_not_taken_on_trust),
        cmocka_unit_test(test_who_was_written_to_on_trust_is_no_member),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_announce),
        cmocka_unit_test(test_notes_make_room),
        cmocka_unit_test(test_receipts),
        cmocka_unit_test(test_typing),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_token_without_a_router),
        cmocka_unit_test(test_what_the_router_answers),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_few_questions_at_once),
        cmocka_unit_test(test_rate_of_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
