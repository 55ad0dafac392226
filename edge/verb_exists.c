/* verb_exists.c: ACCOUNT_EXISTS_REQ: from the cache, else from the account's router. */
#include "edge/verbs.h"

static void answer(struct edge_core *e, struct econn *c, uint32_t seq_id, Im__Code code,
                   const struct id16 *user, const char *login)
{
    Im__AccountExistsRsp m = IM__ACCOUNT_EXISTS_RSP__INIT;
    m.code = code;
    m.exists = user != NULL;
    if (user)
        m.user = codec_bytes(slice_id(user));
    m.login = (char *)(uintptr_t)login;
    edge_write(e, c, IM__FRAME_TYPE__ACCOUNT_EXISTS_RSP, seq_id, &m.base);
}

void verb_exists(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                 ProtobufCMessage *m)
{
    const Im__AccountExistsReq *req = (const Im__AccountExistsReq *)m;
    char login[LOGIN_MAX + 1];
    if (login_normalise(req->login, strlen(req->login), login)) {
        edge_error(e, c, seq_id, IM__CODE__BAD_FIELD, "login", 0);
        return;
    }
    struct id16 user = id_user(login);
    const char *cached = known_get(e->known, user, e->now_ms);
    if (cached && cached[0]) {
        answer(e, c, seq_id, IM__CODE__OK, &user, cached);
        return;
    }
    if (!edge_pend(e, c, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, seq_id, payload))
        return;
    memcpy(c->pend->login, login, sizeof login);
    c->pend->until_ms = e->now_ms + e->lim.lookup_ms;
    if (!edge_lookup(e, c, user, false)) {
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 1000);
        edge_pend_free(e, c);
        return;
    }
    edge_arm(e, c);
}

void verb_exists_lookup(struct edge_core *e, struct econn *c, const Im__LookupReply *r)
{
    struct pend *p = c->pend;
    if (!r) {
        edge_error(e, c, p->seq_id, IM__CODE__BUSY, NULL, 2000);
    } else if (r->exists) {
        known_add(e->known, p->target, r->login, INT64_MAX);
        answer(e, c, p->seq_id, IM__CODE__OK, &p->target, p->login);
    } else {
        answer(e, c, p->seq_id, IM__CODE__OK, NULL, "");
    }
    edge_pend_free(e, c);
}
