/* arena_protobuf.h: unpack untrusted protobuf into an arena, within a budget.
 *
 * protobuf-c may need forty times the size of its input. Past the budget an allocation is refused and
 * unpack() returns NULL, as for malformed input; .spent tells the two apart. What was unpacked lives until
 * the arena is reset; there is nothing to free.
 *
 *     struct arena_protobuf pb;
 *     Chat *m = chat__unpack(arena_protobuf_allocator(&pb, arena, 64 * 1024), n, p);
 */
#ifndef PARLEY_BASE_ARENA_PROTOBUF_H
#define PARLEY_BASE_ARENA_PROTOBUF_H

#include "common/base/arena.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct arena_protobuf {
    ProtobufCAllocator alloc;
    struct arena *arena;
    size_t left; /* bytes of the budget not used yet */
    bool spent;  /* an allocation was refused */
};

/* Fills `pb` anew; the result points into it. */
ProtobufCAllocator *arena_protobuf_allocator(struct arena_protobuf *pb, struct arena *, size_t budget);

#endif
