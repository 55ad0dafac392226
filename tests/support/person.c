#include "tests/support/person.h"

#include "common/base/rand.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PASSWORD "correct horse"

/* Room for one more, zeroed. */
#define GROW(array, n)                                                          \
    (((n) & ((n) + 1)) == 0 || !(array)                                         \
         ? (void)((array) = test_grow((array), sizeof *(array), ((n) + 1) * 2)) \
         : (void)0,                                                             \
     memset(&(array)[n], 0, sizeof *(array)), &(array)[(n)++])

static void *test_grow(void *p, size_t size, size_t n)
{
    p = realloc(p, size * n);
    if (!p)
        abort();
    return p;
}

/* ---- what comes ---- */

static void copy_id(uint8_t out[16], ProtobufCBinaryData b)
{
    memset(out, 0, 16);
    if (b.len == 16)
        memcpy(out, b.data, 16);
}

static void take_said(struct person *p, const Im__ChatPush *m, uint32_t delivery)
{
    struct said *s = GROW(p->said, p->n_said);
    copy_id(s->conv, m->conversation);
    s->seq = m->seq;
    s->client_seq = m->client_seq;
    s->sender_device = m->sender_device;
    s->delivery = delivery;
    snprintf(s->sender, sizeof s->sender, "%s", m->sender_login);
    snprintf(s->text, sizeof s->text, "%.127s", m->text);
}

static void take_ack(struct person *p, const Im__MsgAck *m, uint32_t seq_id)
{
    struct acked *a = GROW(p->acked, p->n_acked);
    bool pushed = m->stage != IM__STAGE__ACCEPTED;
    *a = (struct acked){.client_seq = m->client_seq,
                        .seq = m->seq,
                        .stage = (int)m->stage,
                        .code = (int)m->code,
                        .delivery = pushed ? seq_id : 0};
    copy_id(a->msg_id, m->msg_id);
}

static void take_told(struct person *p, const Im__Error *m, uint32_t seq_id)
{
    struct told *t = GROW(p->told, p->n_told);
    *t = (struct told){.code = (int)m->code, .seq_id = seq_id, .retry_ms = m->retry_after_ms};
    snprintf(t->field, sizeof t->field, "%s", m->field);
}

static void take_page(struct person *p, const Im__PullOfflineRsp *m, uint32_t seq_id)
{
    struct page *g = GROW(p->pages, p->n_pages);
    *g = (struct page){.seq_id = seq_id,
                       .next = m->next,
                       .n = m->n_items,
                       .more = m->more,
                       .rest = m->rest_in_history,
                       .code = (int)m->code};
    for (size_t i = 0; i < m->n_items; i++)
        take_said(p, m->items[i], 0);
}

static void take(struct person *p, const struct raw_frame *f)
{
    bool push =
        f->type == IM__FRAME_TYPE__CHAT_PUSH || (f->type == IM__FRAME_TYPE__MSG_ACK && f->msg &&
                                                 ((Im__MsgAck *)f->msg)->stage != IM__STAGE__ACCEPTED);
    assert_non_null(f->msg);
    if (push && f->seq_id > p->upto)
        p->upto = f->seq_id;
    switch (f->type) {
    case IM__FRAME_TYPE__CHAT_PUSH:
        take_said(p, (Im__ChatPush *)f->msg, f->seq_id);
        break;
    case IM__FRAME_TYPE__MSG_ACK:
        take_ack(p, (Im__MsgAck *)f->msg, f->seq_id);
        break;
    case IM__FRAME_TYPE__ERROR:
        take_told(p, (Im__Error *)f->msg, f->seq_id);
        break;
    case IM__FRAME_TYPE__PULL_OFFLINE_RSP:
        take_page(p, (Im__PullOfflineRsp *)f->msg, f->seq_id);
        break;
    case IM__FRAME_TYPE__KICKED:
        p->kicked = (int)((Im__Kicked *)f->msg)->code;
        break;
    case IM__FRAME_TYPE__GOAWAY:
        p->goaway = true;
        break;
    case IM__FRAME_TYPE__HEARTBEAT:
        p->heartbeats++;
        break;
    default:
        break;
    }
}

void person_pump(struct person *p)
{
    struct raw_frame *f;
    while (p->raw && (f = raw_wait(p->raw, 0, 0))) {
        take(p, f);
        raw_frame_free(f);
    }
    if (p->raw && errno == ECONNRESET)
        p->closed = true;
}

static void wait_a_bit(struct person *p, int64_t by, const char *what)
{
    struct pollfd fd = {.fd = raw_fd(p->raw), .events = POLLIN};
    if (clock_mono_ms() > by)
        fail_msg("%s on %s waited too long for %s (%zu messages, %zu acks, %zu errors, last %d, kicked %d%s)",
                 p->login, p->device_id, what, p->n_said, p->n_acked, p->n_told,
                 p->n_told ? p->told[p->n_told - 1].code : 0, p->kicked, p->closed ? ", closed" : "");
    if (!p->closed)
        poll(&fd, 1, 50);
    pl_turn(p->pl, INT64_MAX, what, __FILE__, __LINE__);
    person_pump(p);
}

#define PERSON_UNTIL(p, cond, what)                        \
    do {                                                   \
        int64_t by_ = clock_mono_ms() + pl_ms(PL_WAIT_MS); \
        person_pump(p);                                    \
        while (!(cond)) {                                  \
            if ((p)->closed)                               \
                by_ = 0;                                   \
            wait_a_bit(p, by_, what);                      \
        }                                                  \
    } while (0)

/* ---- coming and going ---- */

void person_connect(struct person *p, struct pl *pl, int edge)
{
    p->pl = pl;
    raw_free(p->raw);
    p->closed = p->goaway = false;
    p->kicked = 0;
    p->upto = 0;
    p->raw = raw_connect(pl_edge(pl, edge), pl_ms(10000));
    if (!p->raw)
        fail_msg("edge-%d: %s", edge, strerror(errno));
}

int person_register(struct person *p, const char *login, const char *password)
{
    int rc, tries = 0;
    do {
        rc = raw_register(p->raw, login, password, pl_ms(PL_WAIT_MS));
    } while (rc == IM__CODE__BUSY && tries++ < 50 && !poll(NULL, 0, 100));
    if (rc < 0)
        fail_msg("register %s: %s", login, strerror(-rc));
    return rc;
}

static int login_with(struct person *p, Im__LoginReq *m)
{
    Im__LoginRsp *rsp = NULL;
    m->device_class = (char *)(uintptr_t) "test";
    m->client = (char *)(uintptr_t) "person";
    int rc = raw_login_req(p->raw, m, &rsp, pl_ms(PL_WAIT_MS));
    if (rc < 0)
        fail_msg("login %s: %s", m->login, strerror(-rc));
    snprintf(p->device_id, sizeof p->device_id, "%s", m->device_id);
    if (rsp && rc == 0) {
        snprintf(p->login, sizeof p->login, "%s", rsp->login);
        snprintf(p->token, sizeof p->token, "%s", rsp->token);
        copy_id(p->user, rsp->user);
        p->device = rsp->device;
        p->heartbeat_ms = rsp->heartbeat_ms;
        p->new_device = rsp->new_device;
        p->base = rsp->client_seq_base;
        p->next = p->base + 1;
    }
    if (rsp)
        im__login_rsp__free_unpacked(rsp, NULL);
    return rc;
}

int person_login(struct person *p, const char *login, const char *password, const char *device_id)
{
    Im__LoginReq m = IM__LOGIN_REQ__INIT;
    m.login = (char *)(uintptr_t)login;
    m.password = (char *)(uintptr_t)password;
    m.device_id = (char *)(uintptr_t)device_id;
    return login_with(p, &m);
}

int person_token(struct person *p, const char *token, const char *device_id)
{
    Im__LoginReq m = IM__LOGIN_REQ__INIT;
    m.token = (char *)(uintptr_t)token;
    m.device_id = (char *)(uintptr_t)device_id;
    return login_with(p, &m);
}

void person_new(struct person *p, struct pl *pl, int edge, const char *name, const char *device_id)
{
    char login[65];
    memset(p, 0, sizeof *p);
    person_connect(p, pl, edge);
    snprintf(login, sizeof login, "%s-%08x", name, (unsigned)rand_u64());
    assert_int_equal(person_register(p, login, PASSWORD), IM__CODE__OK);
    assert_int_equal(person_login(p, login, PASSWORD, device_id), IM__CODE__OK);
}

void person_join(struct person *p, struct pl *pl, int edge, const struct person *as, const char *device_id)
{
    char login[65];
    snprintf(login, sizeof login, "%s", as->login);
    if (p != as)
        memset(p, 0, sizeof *p);
    person_connect(p, pl, edge);
    assert_int_equal(person_login(p, login, PASSWORD, device_id), IM__CODE__OK);
}

void person_hang_up(struct person *p)
{
    person_pump(p);
    raw_free(p->raw);
    p->raw = NULL;
}

void person_logout(struct person *p)
{
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__LOGOUT_REQ, 9, NULL), 0);
    person_wait_closed(p);
    person_hang_up(p);
}

void person_forget(struct person *p)
{
    p->n_said = p->n_acked = p->n_told = p->n_pages = 0;
}

void person_free(struct person *p)
{
    raw_free(p->raw);
    free(p->said);
    free(p->acked);
    free(p->told);
    free(p->pages);
    memset(p, 0, sizeof *p);
}

/* ---- messages ---- */

void person_send(struct person *p, uint64_t client_seq, const char *to, const char *text)
{
    Im__SingleChat m = IM__SINGLE_CHAT__INIT;
    m.client_seq = client_seq;
    m.to = (char *)(uintptr_t)to;
    m.text = (char *)(uintptr_t)text;
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__SINGLE_CHAT, (uint32_t)client_seq, &m.base), 0);
}

uint64_t person_say(struct person *p, const char *to, const char *fmt, ...)
{
    char text[2000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    person_send(p, p->next, to, text);
    return p->next++;
}

const struct acked *person_ack(struct person *p, uint64_t client_seq, int stage)
{
    for (size_t i = 0; i < p->n_acked; i++)
        if (p->acked[i].client_seq == client_seq && p->acked[i].stage == stage)
            return &p->acked[i];
    return NULL;
}

void person_accepted(struct person *p, uint64_t client_seq)
{
    PERSON_UNTIL(p, person_ack(p, client_seq, IM__STAGE__ACCEPTED), "\"accepted\"");
}

uint64_t person_placed(struct person *p, uint64_t client_seq)
{
    PERSON_UNTIL(p, person_ack(p, client_seq, IM__STAGE__SEQUENCED), "\"sequenced\"");
    return person_ack(p, client_seq, IM__STAGE__SEQUENCED)->seq;
}

void person_wait_said(struct person *p, size_t n)
{
    PERSON_UNTIL(p, p->n_said >= n, "messages");
}

const struct told *person_wait_told(struct person *p, int code)
{
    const struct told *found = NULL;
    PERSON_UNTIL(p, ({
                     for (size_t i = 0; i < p->n_told && !found; i++)
                         found = p->told[i].code == code ? &p->told[i] : NULL;
                     found;
                 }),
                 "an error");
    return found;
}

void person_wait_closed(struct person *p)
{
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    person_pump(p);
    while (!p->closed)
        wait_a_bit(p, by, "the end of the connection");
}

/* A cursor for each conversation: what came of it, which has no hole here. */
void person_confirm(struct person *p)
{
    Im__DeliveryAck m = IM__DELIVERY_ACK__INIT;
    Im__Cursor cursors[64], *list[64];
    size_t n = 0;
    person_pump(p);
    for (size_t i = 0; i < p->n_said; i++) {
        struct said *s = &p->said[i];
        size_t at = 0;
        while (at < n && memcmp(cursors[at].conversation.data, s->conv, 16) != 0)
            at++;
        if (at == n) {
            assert_true(n < 64);
            list[n] = &cursors[n];
            im__cursor__init(&cursors[n++]);
            cursors[at].conversation = (ProtobufCBinaryData){16, s->conv};
            cursors[at].from = cursors[at].upto = s->seq;
        }
        if (s->seq < cursors[at].from)
            cursors[at].from = s->seq;
        if (s->seq > cursors[at].upto)
            cursors[at].upto = s->seq;
    }
    m.upto = p->upto;
    m.cursors = list;
    m.n_cursors = n;
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__DELIVERY_ACK, 0, &m.base), 0);
}

void person_pull(struct person *p, uint64_t after, uint32_t limit)
{
    static uint32_t seq_id = 1000;
    size_t had = p->n_pages;
    Im__PullOfflineReq m = IM__PULL_OFFLINE_REQ__INIT;
    m.after = after;
    m.limit = limit;
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__PULL_OFFLINE_REQ, ++seq_id, &m.base), 0);
    PERSON_UNTIL(p, p->n_pages > had && p->pages[p->n_pages - 1].seq_id == seq_id, "a page");
    assert_int_equal(p->pages[p->n_pages - 1].code, IM__CODE__OK);
}

/* ---- comparing ---- */

void assert_same_said(const struct person *a, const struct person *b)
{
    assert_int_equal(a->n_said, b->n_said);
    for (size_t i = 0; i < a->n_said; i++) {
        assert_int_equal(a->said[i].seq, b->said[i].seq);
        assert_memory_equal(a->said[i].conv, b->said[i].conv, 16);
        assert_string_equal(a->said[i].sender, b->said[i].sender);
        assert_int_equal(a->said[i].client_seq, b->said[i].client_seq);
        assert_string_equal(a->said[i].text, b->said[i].text);
    }
}

void assert_dense(const struct person *p, size_t n)
{
    assert_int_equal(p->n_said, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(p->said[i].seq, i + 1);
        assert_memory_equal(p->said[i].conv, p->said[0].conv, 16);
    }
}
