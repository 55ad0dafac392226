/* floor_group.c: what a bare loop of writev reaches, with the client of `group` at its other end: a process that
 * gets each message on one socket and writes it to all others, all it got in one turn by one writev each. It logs nothing,
 * keeps nothing and is not told that anybody got anything. */
#include "bench/bench.h"
#include "bench/group.h"

#include "common/base/clock.h"
#include "common/im/frame.h"
#include "common/im/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define GATHER 64 /* messages in one writev */

struct bare {
    int *fd; /* [0] sends, the others receive */
    size_t n;
    uint64_t seq;
    struct bytes in, ack;
    uint8_t frame[GATHER][4096];
    struct iovec v[GATHER];
    int due;
};

static void give_up(const char *what)
{
    perror(what);
    _exit(1);
}

static void write_all(int fd, struct iovec *v, int n)
{
    struct iovec rest[GATHER];
    ssize_t k = writev(fd, v, n);
    size_t done = k > 0 ? (size_t)k : 0, all = 0;
    for (int i = 0; i < n; i++)
        all += v[i].iov_len;
    if (done == all)
        return;
    if (k < 0 && errno != EAGAIN)
        give_up("writev");
    memcpy(rest, v, (size_t)n * sizeof *v); /* a full socket: wait for it, as nobody is to lose anything */
    for (int i = 0; i < n;) {
        if (done >= rest[i].iov_len) {
            done -= rest[i++].iov_len;
            continue;
        }
        rest[i].iov_base = (uint8_t *)rest[i].iov_base + done;
        rest[i].iov_len -= done;
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        poll(&p, 1, -1);
        k = writev(fd, rest + i, n - i);
        if (k < 0 && errno != EAGAIN)
            give_up("writev");
        done = k > 0 ? (size_t)k : 0;
    }
}

/* The push that the product would make of it. */
static void make(struct bare *b, struct slice payload)
{
    static const uint8_t id[16];
    struct wire w = wire_of(payload);
    struct wire_field f;
    Im__ChatPush m = IM__CHAT_PUSH__INIT;
    char text[2049] = "";
    while (wire_next(&w, &f)) {
        if (f.id == 1)
            m.client_seq = f.number;
        else if (f.id == 3 && f.bytes.n < sizeof text)
            memcpy(text, f.bytes.p, f.bytes.n);
    }
    m.conversation = m.sender = m.msg_id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)id};
    m.sender_login = (char *)(uintptr_t) "bench000000-0";
    m.sender_device = 1;
    m.seq = ++b->seq;
    m.time_ms = clock_wall_ms();
    m.text = text;
    m.kind = IM__CONV_KIND__CONV_MESSAGE;
    m.group = true;
    uint8_t *p = b->frame[b->due];
    size_t n = im__chat_push__pack(&m, p + FRAME_HEADER);
    frame_header(p, IM__FRAME_TYPE__CHAT_PUSH, (uint32_t)b->seq, n);
    b->v[b->due++] = (struct iovec){p, FRAME_HEADER + n};
    Im__MsgAck a = IM__MSG_ACK__INIT;
    a.client_seq = m.client_seq;
    a.stage = IM__STAGE__SEQUENCED;
    a.seq = m.seq;
    p = bytes_room(&b->ack, FRAME_HEADER + im__msg_ack__get_packed_size(&a));
    n = im__msg_ack__pack(&a, p + FRAME_HEADER);
    frame_header(p, IM__FRAME_TYPE__MSG_ACK, (uint32_t)b->seq, n);
}

static void tell(struct bare *b)
{
    for (size_t i = 1; i < b->n && b->due; i++)
        write_all(b->fd[i], b->v, b->due);
    if (b->due)
        write_all(b->fd[0], &(struct iovec){b->ack.p, b->ack.n}, 1);
    bytes_clear(&b->ack);
    b->due = 0;
}

static void serve(int listener, size_t n)
{
    static struct bare b;
    static uint8_t buffer[65536];
    int one = 1;
    b.fd = calloc(n, sizeof *b.fd);
    b.n = n;
    for (size_t i = 0; b.fd && i < n; i++) {
        b.fd[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | (i ? SOCK_NONBLOCK : 0));
        if (b.fd[i] < 0)
            give_up("accept");
        setsockopt(b.fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    for (ssize_t k; (k = recv(b.fd[0], buffer, sizeof buffer, 0)) > 0;) {
        struct frame f;
        size_t size;
        bytes_put(&b.in, buffer, (size_t)k);
        while (frame_decode(b.in.p, b.in.n, FRAME_CAP_MAX, &f, &size) == FRAME_READY) {
            make(&b, f.payload);
            bytes_eat(&b.in, size);
            if (b.due == GATHER)
                tell(&b);
        }
        tell(&b);
    }
    _exit(0);
}

static int listen_here(char at[32])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        return -1;
    snprintf(at, 32, "127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

int command_floor_group(int argc, char **argv)
{
    static struct group g = {.o = {.receivers = 1000,
                                   .in_flight = 8,
                                   .size = 100,
                                   .warm_ms = 1000,
                                   .measure_ms = 5000,
                                   .tail_ms = 15000,
                                   .ack_ms = 1000,
                                   .ack_every = UINT32_MAX,
                                   .bare = true}};
    struct group_options *o = &g.o;
    char at[32];
    const struct arg args[] = {
        {"receivers", ARG_NUMBER, &o->receivers, "sockets that are written to (1000)"},
        {"in-flight", ARG_NUMBER, &o->in_flight, "messages that not everybody has yet (8)"},
        {"size", ARG_NUMBER, &o->size, "bytes of text in a message (100)"},
        {"warm-ms", ARG_NUMBER, &o->warm_ms, "before measuring (1000)"},
        {"measure-ms", ARG_NUMBER, &o->measure_ms, "how long (5000)"},
        {"quiet", ARG_FLAG, &o->quiet, "no progress lines"},
    };
    int rc = args_parse("parley-bench floor group: a bare loop of writev, and the receivers of `group`.",
                        args, ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    int listener = listen_here(at);
    if (listener < 0 || o->size > 2000 || !o->receivers)
        return 2;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener, o->receivers + 1);
    }
    close(listener);
    o->edges = (struct arg_list){{at}, 1};
    g.procs.n = 1;
    snprintf(g.procs.v[0].name, sizeof g.procs.v[0].name, "writev");
    g.procs.v[0].pid = child;
    rc = child < 0 ? 1 : group_run(&g, "floor-group");
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    return rc;
}
