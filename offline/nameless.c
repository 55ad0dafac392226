/* An edge took over a slot and found events for connections of an earlier epoch, or of sessions that ended too long ago:
 * whose they were is seen in the presence view. Their users miss the event, in whatever partition they are. It may be
 * that of their leaving, so what they miss ends with it; the next event names again who is still a member. */
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/presence.h"
#include "common/im/push.h"
#include "offline/state.h"

#include <stdlib.h>

METRIC_COUNTER(found, "parley_offline_nameless_total",
               "Events handed back for a connection whose user was looked up.");
METRIC_COUNTER(unknown, "parley_offline_unknown_total",
               "Events handed back for a connection that nobody knows any more.");

static int32_t part_of(const struct offline *o, struct id16 user)
{
    uint32_t parts = o->settings->parts > 0 ? (uint32_t)o->settings->parts : 1;
    return (int32_t)((topics_murmur2(slice_id(&user)) & 0x7fffffff) % parts);
}

static int by_user(const void *a, const void *b)
{
    return id_cmp(((const struct push_absent *)a)->user, ((const struct push_absent *)b)->user);
}

static const struct session *whose(const struct offline *o, const Im__OffGroup *g, uint32_t handle)
{
    const struct presence *p = o->settings->presence;
    const struct session *s = p ? presence_find(p, g->slot, g->epoch, handle) : NULL;
    return s || !p ? s : presence_ended(p, g->slot, g->epoch, handle);
}

/* Each user once, ascending. */
static size_t look_up(const struct offline *o, const Im__OffGroup *g, struct push_absent *out)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < g->n_handles; i++) {
        const struct session *s = whose(o, g, g->handles[i]);
        if (s)
            out[n++] = (struct push_absent){.user = s->user};
    }
    metric_add(&found, (int64_t)n);
    if (n < g->n_handles) {
        metric_add(&unknown, (int64_t)(g->n_handles - n));
        log_warn("an event came back for connections that nobody knows any more", log_uint("slot", g->slot),
                 log_uint("epoch", g->epoch), log_uint("connections", g->n_handles - n),
                 log_uint("seq", g->seq));
    }
    qsort(out, n, sizeof *out, by_user);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !id_eq(out[i].user, out[i - 1].user))
            out[kept++] = out[i];
    return kept;
}

enum core_rc off_nameless(struct offline *o, const struct offrec *r, struct fx *fx)
{
    const Im__OffGroup *g = r->m->group;
    struct push_absent *users = fx_alloc(fx, g->n_handles * sizeof *users);
    struct push_absent *some = fx_alloc(fx, g->n_handles * sizeof *some);
    if (!users || !some)
        return CORE_STOP;
    size_t n = look_up(o, g, users);
    for (int32_t part = 0; n && part < (o->settings->parts > 0 ? o->settings->parts : 1); part++) {
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
            if (part_of(o, users[i].user) == part)
                some[k++] = users[i];
        if (k)
            push_offline_group(fx, part, codec_id(g->conversation), g->seq, some, k, true, r->trace);
    }
    return CORE_OK;
}
