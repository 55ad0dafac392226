/* A connection is over. Only the device's current session ends anything: an older one was replaced long ago. */
#include "router/announce.h"
#include "router/userrec.h"

enum core_rc route_end(struct router *r, const struct inbound *in, struct fx *fx)
{
    struct account *a = in->account;
    struct account_device *d = account_device_at(a, &in->from);
    if (d) {
        struct session over = d->session;
        d->on = false;
        userrec_seen(r, in, fx);
        router_put(r, a, fx);
        announce_gone(r, &over, fx);
        announce_end(r, &over, in->trace, fx);
        return CORE_OK;
    }
    /* Perhaps a repeat of which only a part got into the log; ending it twice does no harm. */
    d = account_device(a, in->from.device);
    if (a->exists && in->from.device != 0 && in->from.login_offset != 0 && !(d && d->on)) {
        announce_gone(r, &in->from, fx);
        announce_end(r, &in->from, in->trace, fx);
        if (!a->erased && userrec_seen(r, in, fx))
            router_put(r, a, fx);
    }
    return CORE_OK;
}
