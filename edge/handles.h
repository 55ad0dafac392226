/* handles.h: from a session's handle to its connection's number. Open addressing, 8 bytes an entry at most 3/4 full.
 *
 * Handles are never 0. One thread. */
#ifndef PARLEY_EDGE_HANDLES_H
#define PARLEY_EDGE_HANDLES_H

#include <stdbool.h>
#include <stdint.h>

struct handles { /* all zero: empty */
    struct handle_slot *v;
    uint32_t cap, n;
};

void handles_release(struct handles *);
bool handles_add(struct handles *, uint32_t handle, uint32_t conn); /* false: no memory */
uint32_t handles_get(const struct handles *, uint32_t handle);      /* UINT32_MAX: none */
void handles_del(struct handles *, uint32_t handle);

#endif
