#include "tests/support/fakeedge.h"

#include "common/base/clock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static void say(struct fake *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct fake *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(f->log + f->log_n, sizeof f->log - f->log_n, fmt, ap);
    va_end(ap);
    assert_true(n > 0 && f->log_n + (size_t)n < sizeof f->log);
    f->log_n += (size_t)n;
}

static void on_state(void *ctx, enum parley_state st, enum parley_code why, const char *detail)
{
    static const char *const names[] = {"offline", "connecting", "connected", "online", "ended"};
    (void)detail;
    say(ctx, "state %s %s\n", names[st], parley_code_name(why));
}
static void on_message(void *ctx, const struct parley_message *m)
{
    say(ctx, "message %u/%llu %s%s%s missed=%llu\n", m->conversation[0], (unsigned long long)m->seq, m->text,
        m->own ? " own" : "", m->late ? " late" : "", (unsigned long long)m->missed);
}
static void on_event(void *ctx, const struct parley_message *m)
{
    say(ctx, "event %s %u/%llu %s target=%llu people=%zu%s%s role=%d flags=%u missed=%llu\n",
        parley_kind_name(m->kind), m->conversation[0], (unsigned long long)m->seq, m->text,
        (unsigned long long)m->target, m->people_n, m->people_n ? " " : "",
        m->people_n ? m->people[0].login : "", (int)m->role, m->flags, (unsigned long long)m->missed);
}
static void on_note(void *ctx, const struct parley_note *n)
{
    say(ctx, "note %s %u %s %s people=%zu\n", parley_kind_name(n->kind), n->conversation[0], n->sender_login,
        n->text, n->people_n);
}
static void on_receipt(void *ctx, const struct parley_receipt *r)
{
    say(ctx, "receipt %u user=%u%s read=%llu delivered=%llu\n", r->conversation[0], r->user[0],
        r->own ? " own" : "", (unsigned long long)r->read, (unsigned long long)r->delivered);
}
static void on_typing(void *ctx, const struct parley_typist *t)
{
    say(ctx, "typing %u %s%s\n", t->conversation[0], t->login, t->stopped ? " stopped" : "");
}
static void on_presence(void *ctx, const struct parley_presence *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        say(ctx, "presence %u %s\n", v[i].user[0], v[i].online ? "online" : "offline");
}
static void on_news(void *ctx, const uint8_t *conv, uint64_t upto)
{
    say(ctx, "news %u/%llu\n", conv[0], (unsigned long long)upto);
}
static void on_sent(void *ctx, const struct parley_sent *s)
{
    static const char *const names[] = {"?", "accepted", "sequenced", "refused", "noted"};
    say(ctx, "sent %llu %s %s seq=%llu\n", (unsigned long long)s->id, names[s->stage],
        parley_code_name(s->code), (unsigned long long)s->seq);
}
static void on_error(void *ctx, enum parley_code c, const char *detail)
{
    say(ctx, "error %s %s\n", parley_code_name(c), detail);
}
static void on_kicked(void *ctx, enum parley_code c, const char *detail)
{
    (void)detail;
    say(ctx, "kicked %s\n", parley_code_name(c));
}
static void on_registered(void *ctx, const char *login, enum parley_code c, const char *detail,
                          const uint8_t *user)
{
    (void)detail;
    say(ctx, "registered %s %s%s\n", login, parley_code_name(c), user ? " user" : "");
}
static void on_exists(void *ctx, const char *login, enum parley_code c, bool exists, const uint8_t *user)
{
    (void)user;
    say(ctx, "exists %s %s %d\n", login, parley_code_name(c), exists);
}
static void on_pulled(void *ctx, enum parley_code c, bool rest)
{
    say(ctx, "pulled %s rest=%d\n", parley_code_name(c), rest);
}

void fake_client(struct fake *f, const struct parley_options *o)
{
    struct parley_options opt = o ? *o : (struct parley_options){0};
    struct parley_callbacks cb = {.state = on_state,
                                  .message = on_message,
                                  .event = on_event,
                                  .note = on_note,
                                  .receipt = on_receipt,
                                  .typing = on_typing,
                                  .presence = on_presence,
                                  .news = on_news,
                                  .sent = on_sent,
                                  .error = on_error,
                                  .kicked = on_kicked,
                                  .registered = on_registered,
                                  .exists = on_exists,
                                  .pulled = on_pulled};
    if (!opt.servers)
        opt.servers = f->addr;
    if (!opt.device_id && !opt.state_file)
        opt.device_id = "dev";
    opt.backoff_min_ms = opt.backoff_min_ms ? opt.backoff_min_ms : 2;
    opt.backoff_max_ms = opt.backoff_max_ms ? opt.backoff_max_ms : 10;
    f->p = parley_new(&opt, &cb, f);
    assert_non_null(f->p);
    f->ended = false;
}

void fake_start(struct fake *f, const struct parley_options *o, const char *other_servers)
{
    char servers[256];
    struct parley_options opt = o ? *o : (struct parley_options){0};
    *f = (struct fake){.listener = -1};
    f->listener = raw_listen(f->addr, sizeof f->addr);
    assert_true(f->listener >= 0);
    snprintf(servers, sizeof servers, "%s%s%s", other_servers, *other_servers ? "," : "", f->addr);
    opt.servers = servers;
    fake_client(f, &opt);
}

void fake_online(struct fake *f, uint64_t base)
{
    fake_start(f, NULL, "");
    assert_int_equal(parley_login(f->p, "alice", "correct horse"), 0);
    fake_login(f, base, 64, true);
}

void fake_stop(struct fake *f)
{
    parley_free(f->p);
    raw_free(f->s);
    if (f->listener >= 0)
        close(f->listener);
    *f = (struct fake){.listener = -1};
}

void fake_run(void *arg)
{
    struct fake *f = arg;
    struct pollfd pf = {.fd = parley_fd(f->p), .events = parley_events(f->p)};
    int n = poll(&pf, 1, 0);
    if (!f->ended && (n > 0 || parley_timeout(f->p) == 0))
        f->ended = parley_process(f->p, n > 0 ? pf.revents : 0) != 0;
}

void fake_accept(struct fake *f)
{
    raw_free(f->s);
    f->s = raw_accept(f->listener, FAKE_MS, fake_run, f);
    assert_non_null(f->s);
}

struct raw_frame *fake_want(struct fake *f, uint16_t type)
{
    struct raw_frame *r = raw_wait(f->s, type, FAKE_MS);
    if (!r)
        print_message("no %s came; the client said:\n%s", frame_name(type), f->log);
    assert_non_null(r);
    assert_non_null(r->msg);
    return r;
}

void fake_login(struct fake *f, uint64_t base, uint32_t window, bool new_device)
{
    uint8_t user[16] = {1};
    Im__LoginRsp m = IM__LOGIN_RSP__INIT;
    fake_accept(f);
    struct raw_frame *r = fake_want(f, IM__FRAME_TYPE__LOGIN_REQ);
    m.user = (ProtobufCBinaryData){sizeof user, user};
    m.login = (char *)(uintptr_t) "alice";
    m.token = (char *)(uintptr_t) "a.token";
    m.device = 7;
    m.client_seq_base = base;
    m.send_window = window;
    m.heartbeat_ms = 20000;
    m.max_frame = 65536;
    m.new_device = new_device;
    m.edge = (char *)(uintptr_t) "fake";
    assert_int_equal(raw_send(f->s, IM__FRAME_TYPE__LOGIN_RSP, r->seq_id, &m.base), 0);
    raw_frame_free(r);
    while (parley_state(f->p) != PARLEY_ONLINE && !f->ended)
        fake_run(f);
}

void fake_saw(struct fake *f, const char *line)
{
    int64_t by = clock_mono_ms() + FAKE_MS;
    while (!strstr(f->log, line) && clock_mono_ms() < by) {
        fake_run(f);
        poll(NULL, 0, 1);
    }
    if (!strstr(f->log, line))
        print_message("not seen: %s\nthe client said:\n%s", line, f->log);
    assert_non_null(strstr(f->log, line));
}

size_t fake_count(const struct fake *f, const char *text)
{
    size_t n = 0;
    for (const char *at = f->log; (at = strstr(at, text)); at++)
        n++;
    return n;
}

/* An answer to a question nobody asked does nothing; an error of seq 0 is told: so it marks a place in the stream. */
void fake_settle(struct fake *f)
{
    static unsigned count;
    char mark[40], line[80];
    Im__Error m = IM__ERROR__INIT;
    snprintf(mark, sizeof mark, "mark-%u.", count++);
    snprintf(line, sizeof line, "error BUSY %s\n", mark);
    m.code = IM__CODE__BUSY;
    m.message = mark;
    assert_int_equal(raw_send(f->s, IM__FRAME_TYPE__ERROR, 0, &m.base), 0);
    fake_saw(f, line);
}

void fake_answer(struct fake *f, uint16_t type, const struct raw_frame *r, const ProtobufCMessage *m)
{
    assert_int_equal(raw_send(f->s, type, r->seq_id, m), 0);
}

void fake_refuse(struct fake *f, uint32_t seq_id, Im__Code code, uint32_t retry_ms)
{
    Im__Error m = IM__ERROR__INIT;
    m.code = code;
    m.retry_after_ms = retry_ms;
    assert_int_equal(raw_send(f->s, IM__FRAME_TYPE__ERROR, seq_id, &m.base), 0);
}

static void fill(Im__ChatPush *m, uint8_t id[16], uint8_t conv, uint64_t seq, const char *text)
{
    static uint8_t sender[16] = {2};
    im__chat_push__init(m);
    memset(id, 0, 16);
    id[0] = conv;
    m->conversation = (ProtobufCBinaryData){16, id};
    m->seq = seq;
    m->sender = (ProtobufCBinaryData){16, sender};
    m->sender_login = (char *)(uintptr_t) "bob";
    m->peer_login = (char *)(uintptr_t) "alice";
    m->text = (char *)(uintptr_t)text;
}

void fake_push(struct fake *f, uint32_t delivery, uint8_t conv, uint64_t seq, const char *text)
{
    uint8_t id[16];
    Im__ChatPush m;
    fill(&m, id, conv, seq, text);
    assert_int_equal(raw_send(f->s, IM__FRAME_TYPE__CHAT_PUSH, delivery, &m.base), 0);
}

void fake_ack(struct fake *f, uint32_t seq_id, uint64_t client_seq, Im__Stage stage, uint8_t conv,
              uint64_t seq)
{
    uint8_t id[16] = {conv};
    Im__MsgAck m = IM__MSG_ACK__INIT;
    m.client_seq = client_seq;
    m.stage = stage;
    m.msg_id = m.conversation = (ProtobufCBinaryData){16, id};
    m.seq = seq;
    if (stage == IM__STAGE__STAGE_REFUSED)
        m.code = (Im__Code)seq;
    assert_int_equal(raw_send(f->s, IM__FRAME_TYPE__MSG_ACK, seq_id, &m.base), 0);
}

void fake_page(struct fake *f, uint32_t seq_id, uint8_t conv, const uint64_t *seqs, size_t n, bool more,
               uint64_t next)
{
    uint8_t ids[64][16];
    Im__ChatPush items[64], *ptr[64];
    Im__PullOfflineRsp m = IM__PULL_OFFLINE_RSP__INIT;
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++) {
        fill(&items[i], ids[i], conv, seqs[i], "queued");
        ptr[i] = &items[i];
    }
    m.items = ptr;
    m.n_items = n;
    m.more = more;
    m.next = next;
    assert_int_equal(raw_send(f->s, IM__FRAME_TYPE__PULL_OFFLINE_RSP, seq_id, &m.base), 0);
}

void fake_confirmed(struct fake *f, uint32_t upto)
{
    uint32_t got = 0;
    while (got < upto) {
        struct raw_frame *r = fake_want(f, IM__FRAME_TYPE__DELIVERY_ACK);
        uint32_t u = ((Im__DeliveryAck *)r->msg)->upto;
        assert_true(u >= got);
        got = u;
        raw_frame_free(r);
    }
    assert_int_equal(got, upto);
}
