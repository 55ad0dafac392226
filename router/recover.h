/* recover.h: the accounts of a partition again when Redis lost them: rebuild.h fed from Kafka.
 *
 * Every session of im.presence is needed for it, and only for it: the view is followed while a recovery runs. Then
 * im.inbound goes on from the committed offset. Loop thread. */
#ifndef PARLEY_ROUTER_RECOVER_H
#define PARLEY_ROUTER_RECOVER_H

#include "common/im/worker.h"

struct recover {           /* zeroed at first */
    struct worker *worker; /* borrowed; set by the owner */
    struct follow sessions;
    bool following;
    uint32_t builders;
};

struct krebuild_decl recover_decl(struct recover *); /* for worker_conf */
void recover_release(struct recover *);

#endif
