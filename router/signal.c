/* Somebody types. It leaves no trace; who may see it, fanout knows. */
#include "router/verbs.h"

enum core_rc route_signal(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InSignal *b = in->m->signal;
    if (in->from.device == 0)
        return CORE_POISON;
    if (!router_may_act(in))
        return CORE_OK;
    Im__SignalRecord s = IM__SIGNAL_RECORD__INIT;
    s.version = CODEC_VERSION;
    s.conversation = b->conversation;
    s.user = codec_bytes(slice_id(&in->account->user));
    s.user_login = in->account->login;
    s.device = in->from.device;
    s.stopped = b->stopped;
    s.time_ms = in->rec->time_ms;
    s.strangers_refused = r->settings->strangers_refused;
    codec_send(fx, T_SIGNAL, codec_slice(b->conversation), &s.base, 0);
    return CORE_OK;
}
