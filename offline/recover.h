/* recover.h: a partition's users and cursors again when Redis lost them: rebuild.h fed from Kafka. The queues then
 * follow from im.offline, which is read from its present beginning, quiet below the committed offset. */
#ifndef PARLEY_OFFLINE_RECOVER_H
#define PARLEY_OFFLINE_RECOVER_H

#include "common/base/krebuild.h"

struct krebuild_decl offline_recover_decl(void); /* for worker_conf */

#endif
