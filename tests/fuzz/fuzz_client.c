/* Whatever a server says: libparley keeps its memory in order and ends the connection if need be. */
#include "client/lib/client.h"
#include "common/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t seen;

static void on_answer(void *arg, const struct parley_answer *a)
{
    (void)arg;
    for (size_t i = 0; a->about == PARLEY_ASK_HISTORY && i < a->n; i++) {
        seen += strlen(a->items[i].message.text);
        for (size_t k = 0; k < a->items[i].reactions_n; k++)
            seen += strlen(a->items[i].reactions[k].by.login);
    }
    for (size_t i = 0; a->about == PARLEY_ASK_CONVERSATIONS && i < a->n; i++)
        seen += strlen(a->conversations[i].name) + a->conversations[i].pins_n;
}

static void on_note(void *ctx, const struct parley_note *n)
{
    (void)ctx;
    for (size_t i = 0; i < n->people_n; i++)
        seen += strlen(n->people[i].login) + n->people[i].user[0];
}

static void on_message(void *ctx, const struct parley_message *m)
{
    (void)ctx;
    seen += strlen(m->text) + strlen(m->sender_login) + strlen(m->peer_login) + strlen(m->content_type) +
            m->data_n;
    if (m->data_n)
        seen += m->data[m->data_n - 1];
    for (size_t i = 0; i < m->people_n; i++)
        seen += strlen(m->people[i].login) + m->people[i].user[0];
}

/* The first byte says in which state the connection is and how the bytes are cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parley_options o = {.servers = "127.0.0.1:1", .device_id = "fuzz"};
    struct parley_callbacks cb = {.message = on_message, .event = on_message, .note = on_note};
    int fd[2];
    if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd))
        return 0;
    struct parley *p = parley_new(&o, &cb, NULL);
    if (!p)
        abort();
    parley_login(p, "alice", "correct horse");
    parley_send_text(p, "bob", "hello");
    parley_ask(p, &(struct parley_question){.about = PARLEY_ASK_HISTORY, .with = "bob"}, on_answer, NULL);
    parley_ask(p, &(struct parley_question){.about = PARLEY_ASK_CONVERSATIONS}, on_answer, NULL);
    p->link.fd = fd[0];
    p->link.up = true;
    p->heard_at = clock_mono_ms();
    p->st = data[0] & 1 ? PARLEY_ONLINE : PARLEY_CONNECTED;
    p->window = 64;
    p->max_frame = 65536;
    (void)parley_process(p, 0); /* asks for the log-in */
    size_t piece = data[0] & 2 ? 7 : size;
    for (size_t at = 1; at < size && p->link.up;) {
        size_t n = size - at < piece ? size - at : piece;
        ssize_t w = send(fd[1], data + at, n, MSG_NOSIGNAL);
        at += w > 0 ? (size_t)w : 0;
        (void)parley_process(p, POLLIN);
        char drop[4096];
        while (recv(fd[1], drop, sizeof drop, 0) > 0)
            ;
    }
    parley_free(p);
    close(fd[1]);
    return 0;
}
