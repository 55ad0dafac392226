/* Frames in, the same bytes out, however they are gathered, referenced, and cut by a socket that takes little. */
#include "edge/output.h"

#include "common/base/bytes.h"
#include "common/base/rand.h"
#include "common/im/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void pair(int fd[2])
{
    int small = 4096;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
}

static void drain(int fd, struct bytes *into)
{
    char buf[65536];
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        bytes_put(into, buf, (size_t)n);
}

static void expect_frame(struct bytes *want, uint16_t type, uint32_t seq_id, struct slice p)
{
    uint8_t head[FRAME_HEADER];
    frame_header(head, type, seq_id, p.n);
    bytes_put(want, head, sizeof head);
    bytes_put(want, p.p, p.n);
}

static void test_the_same_bytes(void **state)
{
    (void)state;
    struct rng rng = {11};
    int fd[2];
    pair(fd);
    struct output o = {0};
    struct bytes want = {0}, have = {0};
    static const size_t sizes[] = {0, 1, 100, OUTPUT_COPY, OUTPUT_COPY + 1, 4000, 9000};
    for (uint32_t step = 0; step < 5000; step++) {
        struct buf *b = buf_new(sizes[rng_below(&rng, 7)] / (1 + rng_below(&rng, 2)));
        assert_non_null(b);
        for (uint32_t i = 0; i < b->n; i++)
            b->data[i] = (uint8_t)(step + i);
        bool shared = rng_below(&rng, 3) > 0;
        assert_true(output_frame(&o, 50, step, buf_slice(b), shared ? b : NULL));
        expect_frame(&want, 50, step, buf_slice(b));
        buf_unref(b); /* what is referenced lives on */
        if (rng_below(&rng, 3) == 0) {
            int n = output_flush(&o, fd[0]);
            assert_true(n >= 0 || n == -EAGAIN);
        }
        if (rng_below(&rng, 5) == 0)
            drain(fd[1], &have);
    }
    while (o.head) {
        (void)output_flush(&o, fd[0]);
        drain(fd[1], &have);
    }
    drain(fd[1], &have);
    assert_int_equal(o.bytes, 0);
    assert_int_equal(have.n, want.n);
    assert_memory_equal(have.p, want.p, want.n);
    bytes_release(&want);
    bytes_release(&have);
    output_clear(&o);
    output_trim();
    close(fd[0]);
    close(fd[1]);
}

/* One payload for thousands of sockets is in memory once. */
static void test_shared(void **state)
{
    (void)state;
    enum { SOCKETS = 5000 };
    struct output *o = calloc(SOCKETS, sizeof *o);
    struct buf *b = buf_new(200);
    assert_true(o && b);
    memset(b->data, 'x', b->n);
    for (uint32_t i = 0; i < SOCKETS; i++)
        assert_true(output_frame(&o[i], 50, i, buf_slice(b), b));
    assert_int_equal(b->refs, SOCKETS + 1);
    for (uint32_t i = 0; i < SOCKETS; i++) {
        assert_int_equal(o[i].bytes, FRAME_HEADER + 200);
        output_clear(&o[i]);
    }
    assert_int_equal(b->refs, 1);
    /* What gathers on one socket is copied: no entry for the kernel for each. */
    for (uint32_t i = 0; i < 10; i++)
        assert_true(output_frame(&o[0], 50, i, buf_slice(b), b));
    assert_int_equal(b->refs, 2);
    output_clear(&o[0]);
    buf_unref(b);
    free(o);
    output_trim();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_bytes),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
