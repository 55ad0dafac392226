#include "common/base/arena.h"
#include "common/base/arena_protobuf.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void allocates_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *a = arena_new(256);
    unsigned char *p[100];
    for (size_t i = 0; i < 100; i++) {
        p[i] = arena_alloc(a, i);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % alignof(max_align_t), 0);
        memset(p[i], (int)i, i);
    }
    for (size_t i = 0; i < 100; i++) {
        for (size_t k = 0; k < i; k++)
            assert_int_equal(p[i][k], i);
        assert_true(arena_owns(a, p[i]));
    }
    int here;
    assert_false(arena_owns(a, &here));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_string_equal(arena_copy(a, "text", 5), "text");
    void *last = p[99];
    arena_reset(a);
    assert_false(arena_owns(a, last));
    assert_int_equal(arena_used(a), 0);
    arena_free(a);
    arena_free(NULL);
}

static void a_huge_batch_is_forgotten(void **state)
{
    (void)state;
    struct arena *a = arena_new(1024);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(a, 1000));
    assert_non_null(arena_alloc(a, 1 << 20));
    arena_reset(a);
    assert_true(arena_held(a) >= 1 << 20); /* the next may be as large */
    for (int batch = 0; batch < 200; batch++) {
        for (int i = 0; i < 3; i++)
            assert_non_null(arena_alloc(a, 1000));
        arena_reset(a);
    }
    assert_true(arena_held(a) <= 8 * 1024);
    size_t held = arena_held(a);
    for (int i = 0; i < 3; i++)
        assert_non_null(arena_alloc(a, 1000));
    assert_int_equal(arena_held(a), held); /* a usual batch asks malloc for nothing */
    arena_free(a);
}

/* A message with one repeated bytes field, described by hand: the base knows no .proto of ours. */
struct blob {
    ProtobufCMessage base;
    size_t n;
    ProtobufCBinaryData *v;
};
static const ProtobufCFieldDescriptor blob_field = {
    .name = "v",
    .id = 1,
    .label = PROTOBUF_C_LABEL_REPEATED,
    .type = PROTOBUF_C_TYPE_BYTES,
    .quantifier_offset = offsetof(struct blob, n),
    .offset = offsetof(struct blob, v),
};
static const unsigned blob_by_name[] = {0};
static const ProtobufCIntRange blob_ranges[] = {{1, 0}, {0, 1}};
static const ProtobufCMessageDescriptor blob_type = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "Blob",
    .short_name = "Blob",
    .c_name = "Blob",
    .package_name = "",
    .sizeof_message = sizeof(struct blob),
    .n_fields = 1,
    .fields = &blob_field,
    .fields_sorted_by_name = blob_by_name,
    .n_field_ranges = 1,
    .field_ranges = blob_ranges,
};

static void unpacking_has_a_budget(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct arena_protobuf pb;
    uint8_t wire[300];
    for (size_t i = 0; i < sizeof wire; i += 3)
        memcpy(wire + i, "\x0a\1x", 3);

    struct blob *m = (struct blob *)protobuf_c_message_unpack(
        &blob_type, arena_protobuf_allocator(&pb, a, 1 << 20), sizeof wire, wire);
    assert_non_null(m);
    assert_int_equal(m->n, 100);
    assert_memory_equal(m->v[99].data, "x", 1);
    assert_true(arena_owns(a, m));
    size_t needed = (1 << 20) - pb.left;
    assert_true(needed >= 100 * sizeof *m->v);
    assert_false(pb.spent);

    for (size_t budget = 0; budget < needed; budget += 97) {
        arena_reset(a);
        assert_null(protobuf_c_message_unpack(&blob_type, arena_protobuf_allocator(&pb, a, budget),
                                              sizeof wire, wire));
        assert_true(pb.spent);
    }
    arena_reset(a);
    assert_null(protobuf_c_message_unpack(&blob_type, arena_protobuf_allocator(&pb, a, needed), 2, wire));
    assert_false(pb.spent); /* malformed, not too large */
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocates_aligned_and_apart),
        cmocka_unit_test(a_huge_batch_is_forgotten),
        cmocka_unit_test(unpacking_has_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
