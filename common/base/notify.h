/* notify.h: tells the service manager how the process is, as sd_notify(3) does, without its library.
 *
 * systemd names a socket in NOTIFY_SOCKET (units with Type=notify). It is sent lines NAME=value:
 *     READY=1       once, when /readyz says so for the first time
 *     STATUS=…      what /readyz waits for, for people: `systemctl status`
 *     WATCHDOG=1    at least three times in WATCHDOG_USEC, from the loop: one that does not turn is started again
 *     STOPPING=1    with the time that the drain may take
 * Without the socket nothing of this happens. What cannot be sent is dropped: nobody waits for the manager. Loop thread only.
 */
#ifndef PARLEY_BASE_NOTIFY_H
#define PARLEY_BASE_NOTIFY_H

#include "common/base/loop.h"
#include "common/base/ready.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify { /* private; zeroed: off */
    struct loop *loop;
    const struct ready *ready;
    struct timer beat;
    struct sockaddr_un to;
    socklen_t to_n; /* 0: off */
    int fd;
    int64_t watched_ms, watched_at; /* how often WATCHDOG=1 is sent, 0: never; when next */
    bool ready_told;
    char status[256];
};

/* Reads the environment. 0, also without a socket there; -errno: one was named and cannot be used. */
int MUST_CHECK notify_start(struct notify *, struct loop *, const struct ready *);
void notify_stopping(struct notify *, int64_t within_ms);
void notify_release(struct notify *); /* fine when never started */

#endif
