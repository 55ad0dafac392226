/* bodies.h: the table of body keys (common/im/bodykeys.h) for commands that read a log from its beginning: all of im.vault
 * as it is now. Take the ends of what is read before this: what is sealed below them can be opened then, or never. */
#ifndef PARLEY_CTL_BODIES_H
#define PARLEY_CTL_BODIES_H

#include "client/parleyctl/ctl.h"
#include "common/im/bodykeys.h"

struct bodies { /* zeroed: nothing */
    struct secrets *secrets;
    struct bodykeys *keys;
};

/* After ctl_kafka(), or in a child of a process that called it. 0, or CTL_FAILED after having said why. */
int bodies_load(struct bodies *, struct ctl *);
void bodies_release(struct bodies *);

#endif
