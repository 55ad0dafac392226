#include "common/base/notify.h"

#include "common/base/macros.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_MS = 200, EVERY_MS = 1000, LINE = 512, SLACK_MS = 5000 };

static void send_text(const struct notify *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void send_text(const struct notify *n, const char *fmt, ...)
{
    char text[LINE];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len > 0 && len < LINE)
        (void)!sendto(n->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&n->to,
                      n->to_n);
}

static void on_beat(struct timer *t)
{
    struct notify *n = container_of(t, struct notify, beat);
    char status[sizeof n->status];
    ready_text(n->ready, status, sizeof status);
    if (!n->ready_told && ready_all(n->ready)) {
        n->ready_told = true;
        send_text(n, "READY=1");
    }
    if (strcmp(status, n->status) != 0) {
        snprintf(n->status, sizeof n->status, "%s", status);
        send_text(n, "STATUS=%s", status);
    }
    int64_t now = loop_now_ms(n->loop), next = n->ready_told ? EVERY_MS : FIRST_MS;
    if (n->watched_ms && now >= n->watched_at) {
        send_text(n, "WATCHDOG=1");
        n->watched_at = now + n->watched_ms;
    }
    loop_timer_start(n->loop, t, n->watched_ms && n->watched_ms < next ? n->watched_ms : next);
}

/* A path, or @ and an abstract name. */
static int parse_address(struct notify *n, const char *name)
{
    size_t len = strlen(name);
    if ((*name != '/' && *name != '@') || len < 2 || len >= sizeof n->to.sun_path)
        return -EINVAL;
    n->to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(n->to.sun_path, name, len);
    if (*name == '@')
        n->to.sun_path[0] = '\0';
    n->to_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*name == '/'));
    return 0;
}

static int64_t number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : 0;
}

int notify_start(struct notify *n, struct loop *loop, const struct ready *ready)
{
    const char *name = getenv("NOTIFY_SOCKET");
    *n = (struct notify){.loop = loop, .ready = ready, .fd = -1};
    if (!name || !*name)
        return 0;
    int rc = parse_address(n, name);
    if (!rc) {
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        rc = n->fd < 0 ? -errno : 0;
    }
    if (rc) {
        n->to_n = 0;
        return rc;
    }
    int64_t watchdog_ms = number("WATCHDOG_USEC") / 1000, pid = number("WATCHDOG_PID");
    if (watchdog_ms > 0 && (pid == 0 || pid == getpid()))
        n->watched_ms = watchdog_ms / 4 + 1; /* thrice, and a timer may be late */
    timer_init(&n->beat, on_beat);
    loop_timer_start(loop, &n->beat, 0);
    return 0;
}

void notify_stopping(struct notify *n, int64_t within_ms)
{
    if (n->to_n)
        send_text(n, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64, (within_ms + SLACK_MS) * 1000);
}

void notify_release(struct notify *n)
{
    if (!n->to_n)
        return;
    loop_timer_stop(n->loop, &n->beat);
    close(n->fd);
    n->to_n = 0;
}
