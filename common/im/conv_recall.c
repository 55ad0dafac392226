#include "common/im/conv_private.h"

bool conv_recall(const struct conv *c, const struct conv_event *e, struct conv_outcome *out)
{
    const struct conv_member *m = conv_member_find(c, e->user);
    return m && e->client_seq && conv_ring_lookup(m, e->device, e->client_seq, out);
}
