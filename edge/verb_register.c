/* verb_register.c: REGISTER_REQ: hash the password, seal it, let the router decide who was first. */
#include "edge/verbs.h"

#include "common/im/bodykeys.h"

void verb_register(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                   ProtobufCMessage *m)
{
    const Im__RegisterReq *req = (const Im__RegisterReq *)m;
    char login[LOGIN_MAX + 1];
    if (e->busy || e->draining) {
        edge_error(e, c, seq_id, e->draining ? IM__CODE__SHUTTING_DOWN : IM__CODE__BUSY, NULL, 1000);
        return;
    }
    if (login_normalise(req->login, strlen(req->login), login)) {
        edge_error(e, c, seq_id, IM__CODE__BAD_FIELD, "login", 0);
        return;
    }
    struct address *a = addresses_get(e->addresses, c->address, edge_ms32(e));
    uint32_t wait =
        a ? ratelimit_take_slow(&a->registers, e->lim.register_every_ms, e->lim.registers, edge_ms32(e)) : 0;
    if (wait) {
        edge_error(e, c, seq_id, IM__CODE__TOO_MANY_REQUESTS, NULL, wait);
        return;
    }
    if (!edge_pend(e, c, IM__FRAME_TYPE__REGISTER_REQ, seq_id, payload))
        return;
    struct pend *p = c->pend;
    memcpy(p->login, login, sizeof login);
    p->target = id_user(login);
    e->stats.registers++;
    if (!edge_hash(e, c, EDGE_JOB_HASH, req->password, slice_of(NULL, 0))) {
        if (a)
            ratelimit_give(&a->registers);
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 1000);
        edge_pend_free(e, c);
    }
}

void verb_register_job(struct edge_core *e, struct econn *c, bool ok, struct slice sealed)
{
    struct pend *p = c->pend;
    struct arena_protobuf pba;
    ProtobufCMessage *m = NULL;
    validate_decode(p->type, buf_slice(p->frame), edge_allocator(e, &pba, 65536), &m);
    const Im__RegisterReq *req = (const Im__RegisterReq *)m;
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InRegister reg = IM__IN_REGISTER__INIT;
    Im__Session pb;
    struct session me;
    struct flight about = {.type = IM__FRAME_TYPE__REGISTER_REQ, .seq_id = p->seq_id};
    uint8_t key[BODY_KEY_SEALED];
    body_key_make(e->secrets, p->target, key);
    edge_inbound(e, c, false, p->seq_id, &in, &pb, &me);
    reg.login = p->login;
    reg.display_name = req ? req->display_name : (char *)"";
    reg.verifier = codec_bytes(sealed);
    reg.body_key = codec_bytes(slice_of(key, sizeof key));
    in.body_case = IM__INBOUND__BODY_REGISTER_;
    in.register_ = &reg;
    p->stage = P_REPLY;
    if (!ok || !req || !edge_produce(e, c, T_INBOUND, p->target, &in.base, &about)) {
        edge_error(e, c, p->seq_id, ok ? IM__CODE__BUSY : IM__CODE__INTERNAL, NULL, 1000);
        edge_pend_free(e, c);
    }
    edge_forget_password(IM__FRAME_TYPE__REGISTER_REQ, req ? &req->base : NULL);
}
