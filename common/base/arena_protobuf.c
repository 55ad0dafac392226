#include "common/base/arena_protobuf.h"

static void *take(void *ctx, size_t n)
{
    struct arena_protobuf *pb = ctx;
    if (n > pb->left) {
        pb->spent = true;
        pb->left = 0; /* later, smaller requests fail too */
        return NULL;
    }
    pb->left -= n;
    return arena_alloc(pb->arena, n);
}

static void give(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

ProtobufCAllocator *arena_protobuf_allocator(struct arena_protobuf *pb, struct arena *arena, size_t budget)
{
    *pb = (struct arena_protobuf){
        .alloc = {.alloc = take, .free = give, .allocator_data = pb},
        .arena = arena,
        .left = budget,
    };
    return &pb->alloc;
}
