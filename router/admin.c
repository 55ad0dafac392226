/* The admin right, given and taken by the operator alone. Always written, so that the command sees that it was done. */
#include "router/userrec.h"

enum core_rc route_admin(struct router *r, const struct inbound *in, struct fx *fx)
{
    struct account *a = in->account;
    if (!in->by_operator)
        return CORE_POISON;
    if (!account_there(a))
        return CORE_OK;
    a->admin = in->m->admin->on;
    Im__UserRecord u = userrec_of(in, IM__USER_KIND__USER_ADMIN);
    u.admin = a->admin;
    userrec_send(r, in, &u, fx);
    router_put(r, a, fx);
    return CORE_OK;
}
