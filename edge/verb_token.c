/* verb_token.c: TOKEN_REQ: a new token for this device. The edge signs it; the login name, when the edge has forgotten it, is
 * asked for. */
#include "edge/verbs.h"

void edge_token(const struct edge_core *e, const struct econn *c, const char *login, char out[TOKEN_TEXT_MAX],
                int64_t *expires_ms)
{
    struct token t = {
        .user = c->user, .device = c->device, .generation = c->generation, .issued_s = e->wall_us / 1000000};
    t.expires_s = t.issued_s + e->lim.token_ms / 1000;
    memcpy(t.login, login, strnlen(login, LOGIN_MAX));
    if (!e->secrets || token_sign(e->secrets, &t, out, TOKEN_TEXT_MAX) < 0)
        out[0] = 0;
    *expires_ms = t.expires_s * 1000;
}

static void answer(struct edge_core *e, struct econn *c, uint32_t seq_id, const char *login)
{
    Im__TokenRsp m = IM__TOKEN_RSP__INIT;
    char text[TOKEN_TEXT_MAX] = "";
    edge_token(e, c, login, text, &m.expires_ms);
    m.token = text;
    edge_write(e, c, IM__FRAME_TYPE__TOKEN_RSP, seq_id, &m.base);
    secret_wipe(text, sizeof text);
}

void verb_token(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                ProtobufCMessage *m)
{
    (void)m;
    const char *login = known_get(e->known, c->user, e->now_ms);
    if (login && login[0]) {
        answer(e, c, seq_id, login);
        return;
    }
    if (!edge_pend(e, c, IM__FRAME_TYPE__TOKEN_REQ, seq_id, payload))
        return;
    c->pend->until_ms = e->now_ms + e->lim.lookup_ms;
    if (!edge_lookup(e, c, c->user, false)) {
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 1000);
        edge_pend_free(e, c);
        return;
    }
    edge_arm(e, c);
}

void verb_token_lookup(struct edge_core *e, struct econn *c, const Im__LookupReply *r)
{
    if (r && r->exists) {
        known_add(e->known, c->user, r->login, INT64_MAX);
        answer(e, c, c->pend->seq_id, r->login);
    } else {
        edge_error(e, c, c->pend->seq_id, IM__CODE__BUSY, NULL, 2000);
    }
    edge_pend_free(e, c);
}
