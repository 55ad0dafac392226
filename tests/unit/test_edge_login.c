/* The edge's core before login: registering, asking, logging in, and every way to be refused. */
#include "tests/unit/edgerun.h"

static void test_register(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    uint32_t c = er_connect(r);
    Im__RegisterReq req = IM__REGISTER_REQ__INIT;
    req.login = (char *)"Alice";
    req.password = (char *)"correct horse";
    req.display_name = (char *)"Alice A.";
    assert_false(er_send(r, c, IM__FRAME_TYPE__REGISTER_REQ, 1, &req.base));
    assert_true(r->paused[c]);
    assert_int_equal(r->n_jobs, 1);
    assert_int_equal(r->jobs[0].kind, EDGE_JOB_HASH);
    assert_int_equal(r->n_records, 0); /* never the password */
    edge_core_job(r->core, r->jobs[0].tag, true, (struct slice){"verifier", 8});
    Im__Inbound *in = er_inbound(r, 0);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_REGISTER_);
    assert_string_equal(in->register_->login, "alice");
    assert_int_equal(in->session->user.len, 0);
    assert_int_equal(in->session->epoch, ER_EPOCH);
    assert_memory_equal(r->records[0].place.b, id_user("alice").b, ID_SIZE);
    er_report(r, 0, SENT_OK);
    assert_int_equal(r->n_frames, 0);
    Im__RegisterRsp rsp = IM__REGISTER_RSP__INIT;
    er_item(r, ER_EPOCH, IM__ITEM_KIND__ITEM_REPLY, IM__FRAME_TYPE__REGISTER_RSP, 1, &rsp.base, in->session,
            (struct id16){{0}}, 0);
    assert_int_equal(er_last(r, c)->type, IM__FRAME_TYPE__REGISTER_RSP);
    assert_int_equal(er_last(r, c)->seq_id, 1);
    assert_false(r->paused[c]);
    im__inbound__free_unpacked(in, NULL);
    assert_int_equal(edge_core_mark(r->core), 11); /* replies are not held */
    er_free(r);
}

static void test_register_while_hashing_is_full(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    uint32_t c = er_connect(r);
    Im__RegisterReq req = IM__REGISTER_REQ__INIT;
    req.login = (char *)"alice";
    req.password = (char *)"correct horse";
    r->no_jobs = true;
    assert_true(er_send(r, c, IM__FRAME_TYPE__REGISTER_REQ, 1, &req.base));
    er_expect_error(r, c, 1, IM__CODE__BUSY, NULL);
    assert_false(r->paused[c]);
    er_free(r);
}

static uint32_t connect_from(struct er *r, uint64_t address)
{
    uint16_t why;
    uint32_t c = edge_core_accept(r->core, address, &why);
    assert_int_not_equal(c, EDGE_NO_CONN);
    r->closed[c] = r->paused[c] = false;
    return c;
}

/* Hashing is slow and done one after the other: an address has its share, also when it hangs up and comes again. */
static void test_hashing_is_shared_by_addresses(void **state)
{
    (void)state;
    struct edge_limits lim = {.hash_per_address = 8};
    struct er *r = er_new(&lim);
    Im__RegisterReq req = IM__REGISTER_REQ__INIT;
    req.login = (char *)"mallory";
    req.password = (char *)"correct horse";
    for (int i = 0; i < 20; i++) {
        uint32_t c = connect_from(r, 66);
        er_send(r, c, IM__FRAME_TYPE__REGISTER_REQ, 1, &req.base);
        if (i >= 8)
            er_expect_error(r, c, 1, IM__CODE__BUSY, NULL);
        edge_core_gone(r->core, c);
    }
    assert_int_equal(r->n_jobs, 8);
    uint32_t honest = connect_from(r, 77);
    req.login = (char *)"alice";
    er_send(r, honest, IM__FRAME_TYPE__REGISTER_REQ, 1, &req.base);
    assert_int_equal(r->n_jobs, 9);
    for (size_t i = 0; i < 9; i++)
        edge_core_job(r->core, r->jobs[i].tag, true, (struct slice){"verifier", 8});
    assert_int_equal(r->n_records, 1); /* alice's; the others are gone */
    er_send(r, connect_from(r, 66), IM__FRAME_TYPE__REGISTER_REQ, 1, &req.base);
    assert_int_equal(r->n_jobs, 10); /* its share is free again */
    er_free(r);
}

static void test_login_by_password_and_token(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 4);
    assert_int_equal(edge_core_stats(r->core)->sessions, 1);
    assert_true(u.token[0] != 0);

    uint32_t c = er_connect(r);
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    req.token = u.token;
    req.device_id = (char *)"laptop";
    req.fresh = true;
    size_t jobs = r->n_jobs;
    assert_false(er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base));
    assert_int_equal(r->n_jobs, jobs);
    Im__Inbound *in = er_inbound(r, r->n_records - 1);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_LOGIN);
    assert_int_equal(in->login->token_device, 4);
    assert_int_equal(in->login->token_generation, 1);
    assert_true(in->login->fresh);
    assert_memory_equal(in->session->user.data, u.id.b, ID_SIZE);
    im__inbound__free_unpacked(in, NULL);
    er_verdict(r, r->n_records - 1, IM__CODE__OK, 4, 2000); /* before the report */
    assert_int_equal(er_last(r, c)->type, IM__FRAME_TYPE__LOGIN_RSP);
    Im__LoginRsp *rsp = (Im__LoginRsp *)er_msg(er_last(r, c));
    assert_int_equal(rsp->client_seq_base, 2000ull << 20);
    assert_int_equal(rsp->send_window, 64);
    im__login_rsp__free_unpacked(rsp, NULL);
    er_report_all(r);
    er_free(r);
}

static void expect_login_code(struct er *r, uint32_t c, Im__Code code)
{
    struct er_frame *f = er_last(r, c);
    assert_int_equal(f->type, IM__FRAME_TYPE__LOGIN_RSP);
    Im__LoginRsp *rsp = (Im__LoginRsp *)er_msg(f);
    assert_int_equal(rsp->code, code);
    im__login_rsp__free_unpacked(rsp, NULL);
}

static void try_password(struct er *r, uint32_t c, bool exists, bool right)
{
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    req.login = (char *)"alice";
    req.password = (char *)"guess";
    req.device_id = (char *)"laptop";
    er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base);
    er_report_all(r);
    er_answer(r, r->n_records - 1, exists, "alice");
    struct er_job *j = &r->jobs[r->n_jobs - 1];
    assert_int_equal(j->kind, EDGE_JOB_VERIFY); /* as much work for those who do not exist */
    assert_int_equal(j->sealed->n, exists ? 6 : 0);
    edge_core_job(r->core, j->tag, right, (struct slice){0});
}

static void test_wrong_password_and_no_such_user_are_alike(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.tries = 3});
    uint32_t c = er_connect(r);
    try_password(r, c, true, false);
    expect_login_code(r, c, IM__CODE__BAD_CREDENTIALS);
    try_password(r, c, false, false);
    expect_login_code(r, c, IM__CODE__BAD_CREDENTIALS);
    try_password(r, c, true, false);
    /* The address has used its tries up: not even asked. */
    size_t n = r->n_records;
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    req.login = (char *)"alice";
    req.password = (char *)"guess";
    req.device_id = (char *)"laptop";
    er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base);
    expect_login_code(r, c, IM__CODE__TOO_MANY_REQUESTS);
    assert_int_equal(r->n_records, n);
    er_time(r, 1000);
    try_password(r, c, true, true);
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_LOGIN);
    er_free(r);
}

/* Wrong passwords for one account from ever new addresses: few are checked, and its owner gets in all the same. */
static void test_one_account_guessed_from_many_addresses(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.account_tries = 3, .account_try_every_ms = 4000});
    struct er_user owner = er_login(r, "alice", 4); /* from address 1 */
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    for (uint64_t address = 100; address < 103; address++)
        try_password(r, connect_from(r, address), true, false);
    uint32_t c = connect_from(r, 103);
    req.login = (char *)"alice";
    req.password = (char *)"guess";
    req.device_id = (char *)"laptop";
    size_t n = r->n_records;
    er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base);
    Im__LoginRsp *rsp = (Im__LoginRsp *)er_msg(er_last(r, c));
    assert_int_equal(rsp->code, IM__CODE__TOO_MANY_REQUESTS);
    assert_in_range(rsp->retry_after_ms, 1, 4000);
    im__login_rsp__free_unpacked(rsp, NULL);
    assert_int_equal(r->n_records, n);          /* not even asked for */
    try_password(r, er_connect(r), true, true); /* where it has logged in before */
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_LOGIN);
    req.token = owner.token;
    req.login = req.password = (char *)"";
    er_send(r, connect_from(r, 104), IM__FRAME_TYPE__LOGIN_REQ, 10,
            &req.base); /* with a token, from anywhere */
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_LOGIN);
    er_time(r, 4000); /* and with the password from anywhere, after a pause: right ones are not counted */
    for (uint64_t address = 200; address < 203; address++) {
        try_password(r, connect_from(r, address), true, true);
        assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_LOGIN);
    }
    er_free(r);
}

/* Many look-ups under way at once are no way around it. */
static void test_guesses_at_once(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.account_tries = 3});
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    uint32_t c[10];
    req.login = (char *)"alice";
    req.password = (char *)"guess";
    req.device_id = (char *)"laptop";
    size_t first = r->n_records, jobs = r->n_jobs;
    for (uint32_t i = 0; i < 10; i++) {
        c[i] = connect_from(r, 100 + i);
        er_send(r, c[i], IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base);
    }
    for (uint32_t i = 0; i < 10; i++)
        er_answer(r, first + i, true, "alice");
    assert_int_equal(r->n_jobs - jobs, 3);
    for (uint32_t i = 3; i < 10; i++)
        expect_login_code(r, c[i], IM__CODE__TOO_MANY_REQUESTS);
    er_free(r);
}

/* Nor are many accounts, guessed at once from one address that has guessed before. */
static void test_many_accounts_guessed_at_once(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.tries = 3});
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    uint32_t c[10];
    char name[10][8];
    try_password(r, connect_from(r, 100), true, false);
    req.password = (char *)"guess";
    req.device_id = (char *)"laptop";
    size_t first = r->n_records, jobs = r->n_jobs;
    for (uint32_t i = 0; i < 10; i++) {
        snprintf(name[i], sizeof name[i], "user%u", i);
        req.login = name[i];
        c[i] = connect_from(r, 100);
        er_send(r, c[i], IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base);
    }
    for (uint32_t i = 0; i < 10; i++)
        er_answer(r, first + i, true, name[i]);
    assert_int_equal(r->n_jobs - jobs, 2);
    for (uint32_t i = 2; i < 10; i++)
        expect_login_code(r, c[i], IM__CODE__TOO_MANY_REQUESTS);
    er_free(r);
}

/* A crowd behind one address that has given no wrong password is not held up; were they all wrong, it pays for all of them. */
static void test_a_crowd_of_one_address(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.tries = 3});
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    char name[6][8];
    req.password = (char *)"guess";
    req.device_id = (char *)"laptop";
    size_t first = r->n_records, jobs = r->n_jobs;
    for (uint32_t i = 0; i < 6; i++) {
        snprintf(name[i], sizeof name[i], "user%u", i);
        req.login = name[i];
        er_send(r, connect_from(r, 100), IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base);
    }
    for (uint32_t i = 0; i < 6; i++)
        er_answer(r, first + i, true, name[i]);
    assert_int_equal(r->n_jobs - jobs, 6);
    for (size_t i = jobs; i < jobs + 6; i++)
        edge_core_job(r->core, r->jobs[i].tag, false, (struct slice){0});
    uint32_t c = connect_from(r, 100);
    er_time(r, 3000); /* three are paid off: still no token */
    er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base);
    expect_login_code(r, c, IM__CODE__TOO_MANY_REQUESTS);
    er_time(r, 1000);
    try_password(r, connect_from(r, 100), true, true);
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_LOGIN);
    er_free(r);
}

static void test_registrations_of_an_address(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.registers = 2, .register_every_ms = 4000});
    Im__RegisterReq req = IM__REGISTER_REQ__INIT;
    req.login = (char *)"alice";
    req.password = (char *)"correct horse";
    r->no_jobs = true; /* was not taken, so it does not count */
    uint32_t c = er_connect(r);
    for (uint32_t i = 0; i < 5; i++)
        assert_true(er_send(r, c, IM__FRAME_TYPE__REGISTER_REQ, 1, &req.base));
    r->no_jobs = false;
    for (uint32_t i = 0; i < 2; i++)
        assert_false(er_send(r, er_connect(r), IM__FRAME_TYPE__REGISTER_REQ, 2, &req.base));
    assert_true(er_send(r, c, IM__FRAME_TYPE__REGISTER_REQ, 3, &req.base));
    er_expect_error(r, c, 3, IM__CODE__TOO_MANY_REQUESTS, NULL);
    assert_false(er_send(r, connect_from(r, 2), IM__FRAME_TYPE__REGISTER_REQ, 4, &req.base));
    er_time(r, 4000);
    assert_false(er_send(r, c, IM__FRAME_TYPE__REGISTER_REQ, 5, &req.base));
    er_free(r);
}

static void test_refused_verdict(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    uint32_t c = er_connect(r);
    try_password(r, c, true, true);
    int64_t at = r->inbound;
    er_report_all(r);
    size_t login = r->n_records - 1;
    er_verdict(r, login, IM__CODE__OK, 1, (uint64_t)at + 5); /* of some other attempt */
    assert_int_equal(r->n_frames, 0);
    er_verdict(r, login, IM__CODE__SESSION_REVOKED, 0, (uint64_t)at);
    expect_login_code(r, c, IM__CODE__SESSION_REVOKED);
    edge_core_gone(r->core, c);
    assert_int_equal(r->n_records, login + 1); /* no session, no end */
    er_free(r);
}

static void test_bad_tokens(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.token_ms = 60000});
    struct er_user u = er_login(r, "alice", 1);
    uint32_t c = er_connect(r);
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    req.device_id = (char *)"laptop";
    req.token = (char *)"nonsense";
    er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 1, &req.base);
    expect_login_code(r, c, IM__CODE__BAD_TOKEN);
    er_time(r, 61000);
    req.token = u.token;
    er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 1, &req.base);
    expect_login_code(r, c, IM__CODE__TOKEN_EXPIRED);
    er_free(r);
}

static void test_states(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    struct er_user u = er_login(r, "alice", 1);
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    req.login = (char *)"alice";
    req.password = (char *)"correct horse";
    req.device_id = (char *)"laptop";
    assert_true(er_send(r, u.conn, IM__FRAME_TYPE__LOGIN_REQ, 3, &req.base));
    er_expect_error(r, u.conn, 3, IM__CODE__WRONG_STATE, NULL);
    uint32_t c = er_connect(r);
    Im__SingleChat chat = IM__SINGLE_CHAT__INIT;
    chat.client_seq = 1;
    chat.to = (char *)"bob";
    chat.text = (char *)"hi";
    assert_true(er_send(r, c, IM__FRAME_TYPE__SINGLE_CHAT, 4, &chat.base));
    er_expect_error(r, c, 4, IM__CODE__NOT_LOGGED_IN, NULL);
    assert_true(er_send(r, c, IM__FRAME_TYPE__HISTORY_REQ, 5, NULL));
    er_expect_error(r, c, 5, IM__CODE__NOT_LOGGED_IN, NULL);
    assert_true(er_send(r, c, IM__FRAME_TYPE__CHAT_PUSH, 5, NULL)); /* only servers say that */
    er_expect_error(r, c, 5, IM__CODE__UNKNOWN_TYPE, NULL);
    assert_true(er_send(r, c, 777, 6, NULL));
    er_expect_error(r, c, 6, IM__CODE__UNKNOWN_TYPE, NULL);
    assert_true(edge_core_frame(r->core, c, IM__FRAME_TYPE__LOGIN_REQ, 7, (struct slice){"\xff\xff\xff", 3}));
    er_expect_error(r, c, 7, IM__CODE__BAD_PROTOBUF, NULL);
    req.login = (char *)"al\xc3(ice";
    assert_true(er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 8, &req.base));
    er_expect_error(r, c, 8, IM__CODE__BAD_TEXT, "login");
    req.login = (char *)"alice";
    req.device_id = (char *)"";
    assert_true(er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base));
    er_expect_error(r, c, 9, IM__CODE__BAD_FIELD, "device_id");
    assert_false(r->closed[c]);
    edge_core_bad_frame(r->core, c, IM__CODE__FRAME_TOO_LARGE, 10);
    er_expect_error(r, c, 10, IM__CODE__FRAME_TOO_LARGE, NULL);
    assert_true(r->closed[c]);
    assert_false(er_send(r, c, IM__FRAME_TYPE__LOGIN_REQ, 9, &req.base)); /* nothing more is heard */
    er_free(r);
}

static void test_frame_cap(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    uint32_t c = er_connect(r);
    struct er_user u = er_login(r, "alice", 1);
    assert_int_equal(edge_core_frame_cap(r->core, c), 4096);
    assert_int_equal(edge_core_frame_cap(r->core, u.conn), 65536);
    er_free(r);
}

static void test_login_deadline(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    uint32_t quiet = er_connect(r), waiting = er_connect(r);
    er_tick(r, 5000);
    try_password(r, waiting, true, true);
    er_report_all(r);
    size_t n = r->n_records;
    er_tick(r, 4500);
    assert_false(r->closed[quiet]);
    er_tick(r, 1500);
    assert_true(r->closed[quiet] && r->closed[waiting]);
    er_expect_error(r, quiet, 0, IM__CODE__LOGIN_TIMEOUT, NULL);
    /* Its login may be in the log: what the router makes of it is ended. */
    assert_int_equal(r->n_records, n + 1);
    Im__Inbound *in = er_inbound(r, n);
    assert_int_equal(in->body_case, IM__INBOUND__BODY_END);
    im__inbound__free_unpacked(in, NULL);
    er_verdict(r, n - 1, IM__CODE__OK, 1, 1);
    assert_int_equal(edge_core_stats(r->core)->sessions, 0);
    er_free(r);
}

static void test_login_not_written(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    uint32_t c = er_connect(r);
    try_password(r, c, true, true);
    er_report(r, r->n_records - 1, SENT_UNKNOWN);
    er_expect_error(r, c, 9, IM__CODE__INTERNAL, NULL);
    assert_true(r->closed[c]);
    assert_int_equal(er_kind(r, r->n_records - 1), IM__INBOUND__BODY_END);
    er_free(r);
}

static void test_limits_on_connections(void **state)
{
    (void)state;
    struct er *r = er_new(&(struct edge_limits){.max_conns = 3, .conns_per_address = 2});
    uint16_t why;
    uint32_t a = edge_core_accept(r->core, 1, &why);
    assert_int_not_equal(edge_core_accept(r->core, 1, &why), EDGE_NO_CONN);
    assert_int_equal(edge_core_accept(r->core, 1, &why), EDGE_NO_CONN);
    assert_int_equal(why, IM__CODE__TOO_MANY_CONNECTIONS);
    assert_int_not_equal(edge_core_accept(r->core, 2, &why), EDGE_NO_CONN);
    assert_int_equal(edge_core_accept(r->core, 3, &why), EDGE_NO_CONN);
    edge_core_gone(r->core, a);
    assert_int_equal(edge_core_accept(r->core, 1, &why), a);
    r->closed[a] = false;
    edge_core_lost(r->core);
    assert_int_equal(edge_core_accept(r->core, 9, &why), EDGE_NO_CONN);
    assert_int_equal(why, IM__CODE__BUSY);
    er_free(r);
}

static void test_exists(void **state)
{
    (void)state;
    struct er *r = er_new(NULL);
    uint32_t c = er_connect(r);
    Im__AccountExistsReq q = IM__ACCOUNT_EXISTS_REQ__INIT;
    q.login = (char *)"Bob";
    for (int i = 0; i < 2; i++) {
        size_t n = r->n_records;
        er_send(r, c, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, 1, &q.base);
        if (i == 0) {
            assert_memory_equal(r->records[n].place.b, id_user("bob").b, ID_SIZE);
            er_answer(r, n, true, "bob");
        } else {
            assert_int_equal(r->n_records, n); /* known by now */
        }
        Im__AccountExistsRsp *a = (Im__AccountExistsRsp *)er_msg(er_last(r, c));
        assert_true(a->exists);
        assert_string_equal(a->login, "bob");
        im__account_exists_rsp__free_unpacked(a, NULL);
    }
    q.login = (char *)"nobody";
    er_send(r, c, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, 2, &q.base);
    er_answer(r, r->n_records - 1, false, "");
    Im__AccountExistsRsp *a = (Im__AccountExistsRsp *)er_msg(er_last(r, c));
    assert_false(a->exists);
    im__account_exists_rsp__free_unpacked(a, NULL);
    er_send(r, c, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, 3, &q.base);
    er_tick(r, 2500); /* the router is away */
    er_expect_error(r, c, 3, IM__CODE__BUSY, NULL);
    er_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register),
        cmocka_unit_test(test_register_while_hashing_is_full),
        cmocka_unit_test(test_hashing_is_shared_by_addresses),
        cmocka_unit_test(test_login_by_password_and_token),
        cmocka_unit_test(test_wrong_password_and_no_such_user_are_alike),
        cmocka_unit_test(test_one_account_guessed_from_many_addresses),
        cmocka_unit_test(test_guesses_at_once),
        cmocka_unit_test(test_many_accounts_guessed_at_once),
        cmocka_unit_test(test_a_crowd_of_one_address),
        cmocka_unit_test(test_registrations_of_an_address),
        cmocka_unit_test(test_refused_verdict),
        cmocka_unit_test(test_bad_tokens),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_frame_cap),
        cmocka_unit_test(test_login_deadline),
        cmocka_unit_test(test_login_not_written),
        cmocka_unit_test(test_limits_on_connections),
        cmocka_unit_test(test_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
