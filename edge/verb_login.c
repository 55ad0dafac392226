/* verb_login.c: LOGIN_REQ by password or token. The edge checks the secret, the router judges the session.
 *
 *   password: look-up (the account's sealed verifier) → argon2id off the loop → Inbound.login → verdict
 *   token:    signature and age → Inbound.login → verdict
 */
#include "edge/verbs.h"

#include "common/im/bodykeys.h"

#include <errno.h>

static const Im__LoginReq *request(struct edge_core *e, const struct pend *p)
{
    struct arena_protobuf pba;
    ProtobufCMessage *m = NULL;
    validate_decode(p->type, buf_slice(p->frame), edge_allocator(e, &pba, 65536), &m);
    return (const Im__LoginReq *)m;
}

static void deny(struct edge_core *e, struct econn *c, Im__Code code, uint32_t retry_ms)
{
    edge_login_rsp(e, c, c->pend->seq_id, code, retry_ms);
    edge_pend_free(e, c);
}

static struct address *address(struct edge_core *e, struct econn *c)
{
    return addresses_get(e->addresses, c->address, edge_ms32(e));
}

static void wrong_secret(struct edge_core *e, struct econn *c)
{
    struct address *a = address(e, c);
    if (a)
        ratelimit_charge(&a->tries, e->lim.try_every_ms, edge_ms32(e));
}

/* Many at once are no way around it: once one was wrong, those being checked count as wrong until they are known to be
 * right. Before that they do not, for a crowd may share an address. */
static uint32_t address_wait(struct edge_core *e, struct econn *c)
{
    struct address *a = address(e, c);
    return a ? ratelimit_look_more(&a->tries, e->lim.try_every_ms, e->lim.tries, edge_ms32(e), a->hashing) : 0;
}

/* The secret was right: ask the router. From here on an end is owed. */
static void ask(struct edge_core *e, struct econn *c, const Im__LoginReq *req, const struct token *t)
{
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InLogin login = IM__IN_LOGIN__INIT;
    Im__Session pb;
    struct session me;
    struct flight about = {.type = IM__FRAME_TYPE__LOGIN_REQ, .seq_id = c->pend->seq_id};
    uint8_t key[BODY_KEY_SEALED];
    if (!req) {
        deny(e, c, IM__CODE__INTERNAL, 1000);
        return;
    }
    c->user = c->pend->target;
    edge_inbound(e, c, true, c->pend->seq_id, &in, &pb, &me);
    login.device_id = req->device_id;
    login.device_class = req->device_class;
    login.client = req->client;
    login.fresh = req->fresh;
    body_key_make(e->secrets, c->user, key); /* for an account that has none yet */
    login.body_key = codec_bytes(slice_of(key, sizeof key));
    if (t) {
        login.token_device = t->device;
        login.token_generation = t->generation;
    }
    in.body_case = IM__INBOUND__BODY_LOGIN;
    in.login = &login;
    if (!edge_produce(e, c, T_INBOUND, c->user, &in.base, &about)) {
        c->user = (struct id16){{0}};
        deny(e, c, IM__CODE__BUSY, 1000);
        return;
    }
    c->state = C_LOGIN;
    c->pend->stage = P_VERDICT;
}

static void by_token(struct edge_core *e, struct econn *c, const Im__LoginReq *req)
{
    struct token t;
    int rc = token_check(e->secrets, req->token, strlen(req->token), e->wall_us / 1000000, &t);
    if (rc) {
        if (rc != -ETIME)
            wrong_secret(e, c);
        deny(e, c, rc == -ETIME ? IM__CODE__TOKEN_EXPIRED : IM__CODE__BAD_TOKEN, 0);
        return;
    }
    c->pend->target = t.user;
    ask(e, c, req, &t);
}

void verb_login(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                ProtobufCMessage *m)
{
    const Im__LoginReq *req = (const Im__LoginReq *)m;
    struct address *a = address(e, c);
    char login[LOGIN_MAX + 1];
    if (c->state != C_OPEN) {
        edge_error(e, c, seq_id, IM__CODE__WRONG_STATE, NULL, 0);
        return;
    }
    uint32_t wait = a ? ratelimit_look_slow(&a->tries, e->lim.try_every_ms, e->lim.tries, edge_ms32(e)) : 0;
    if (wait || e->busy || e->draining) {
        edge_login_rsp(e, c, seq_id,
                       wait          ? IM__CODE__TOO_MANY_REQUESTS
                       : e->draining ? IM__CODE__SHUTTING_DOWN
                                     : IM__CODE__BUSY,
                       wait ? wait : 1000);
        return;
    }
    bool token = req->token[0] != 0;
    if (!token && login_normalise(req->login, strlen(req->login), login)) {
        edge_error(e, c, seq_id, IM__CODE__BAD_FIELD, "login", 0);
        return;
    }
    wait = token ? 0 : guesses_look(e->guesses, id_user(login), c->address, edge_ms32(e));
    if (wait) {
        edge_login_rsp(e, c, seq_id, IM__CODE__TOO_MANY_REQUESTS, wait);
        return;
    }
    if (!edge_pend(e, c, IM__FRAME_TYPE__LOGIN_REQ, seq_id, payload))
        return;
    if (token) {
        by_token(e, c, req);
        return;
    }
    memcpy(c->pend->login, login, sizeof login);
    if (!edge_lookup(e, c, id_user(login), true))
        deny(e, c, IM__CODE__BUSY, 1000);
}

void verb_login_lookup(struct edge_core *e, struct econn *c, const Im__LookupReply *r)
{
    struct pend *p = c->pend;
    const Im__LoginReq *req = request(e, p);
    struct slice sealed = r->exists ? codec_slice(r->verifier) : slice_of(NULL, 0);
    uint32_t wait = address_wait(e, c);
    if (!wait)
        wait = guesses_take(e->guesses, p->target, c->address, edge_ms32(e));
    if (wait) {
        deny(e, c, IM__CODE__TOO_MANY_REQUESTS, wait);
    } else if (!req || !edge_hash(e, c, EDGE_JOB_VERIFY, req->password, sealed)) {
        guesses_undo(e->guesses, p->target, c->address);
        deny(e, c, IM__CODE__BUSY, 1000);
    }
    edge_forget_password(IM__FRAME_TYPE__LOGIN_REQ, req ? &req->base : NULL);
}

void verb_login_job(struct edge_core *e, struct econn *c, bool ok)
{
    if (!ok) {
        wrong_secret(e, c);
        deny(e, c, IM__CODE__BAD_CREDENTIALS, 0);
        return;
    }
    guesses_undo(e->guesses, c->pend->target, c->address);
    const Im__LoginReq *req = request(e, c->pend);
    ask(e, c, req, NULL);
    edge_forget_password(IM__FRAME_TYPE__LOGIN_REQ, req ? &req->base : NULL);
}

static void welcome(struct edge_core *e, struct econn *c, const Im__LoginVerdict *v)
{
    Im__LoginRsp m = IM__LOGIN_RSP__INIT;
    char text[TOKEN_TEXT_MAX] = "";
    edge_token(e, c, v->login, text, &m.token_expires_ms);
    m.code = IM__CODE__OK;
    m.user = codec_bytes(slice_id(&c->user));
    m.login = v->login;
    m.device = v->device;
    m.token = text;
    m.new_device = v->new_device;
    m.client_seq_base = v->login_offset << 20;
    m.heartbeat_ms = (uint32_t)e->lim.heartbeat_ms;
    m.max_frame = e->lim.max_frame;
    m.send_window = e->lim.send_window;
    m.edge = (char *)(uintptr_t)e->name;
    edge_write(e, c, IM__FRAME_TYPE__LOGIN_RSP, c->pend->seq_id, &m.base);
}

void verb_login_verdict(struct edge_core *e, struct econn *c, const Im__LoginVerdict *v)
{
    if (v->code != IM__CODE__OK) { /* no session was made, so no end is owed */
        c->state = C_OPEN;
        c->user = (struct id16){{0}};
        deny(e, c, v->code, 0);
        return;
    }
    c->device = v->device;
    c->login_offset = v->login_offset;
    c->generation = v->token_generation;
    c->state = C_SESSION;
    e->stats.sessions++;
    e->stats.logins++;
    guesses_known(e->guesses, c->user, c->address);
    welcome(e, c, v);
    edge_pend_free(e, c);
    if (e->draining) {
        Im__GoAway m = IM__GO_AWAY__INIT;
        m.code = IM__CODE__SHUTTING_DOWN;
        edge_write(e, c, IM__FRAME_TYPE__GOAWAY, 0, &m.base);
    }
}

void edge_core_job(struct edge_core *e, uint64_t tag, bool ok, struct slice sealed)
{
    struct econn *c = edge_by_handle(e, (uint32_t)tag);
    edge_hash_done(e, tag);
    if (!c || !c->pend || c->pend->stage != P_HASH || c->pend->purpose != (uint32_t)(tag >> 32))
        return;
    if (c->pend->type == IM__FRAME_TYPE__REGISTER_REQ)
        verb_register_job(e, c, ok, sealed);
    else
        verb_login_job(e, c, ok);
    arena_reset(e->arena);
}
