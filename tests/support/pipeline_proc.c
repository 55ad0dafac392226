/* pipeline_proc.c: the processes: start, stop, look. */
#include "tests/support/pipeline_int.h"

#include "common/base/addr.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURN_MS  10
#define QUIET_MS 2000

const char *const pl_kind_names[PL_KINDS] = {"edge",    "router", "fanout",   "persister",
                                             "offline", "query",  "webhooks", "auditor"};

static void set(const char *kind, const char *name, int port)
{
    char key[64], value[32];
    snprintf(key, sizeof key, "PARLEY_%s_%s", kind, name);
    for (char *p = key; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    snprintf(value, sizeof value, "127.0.0.1:%d", port);
    setenv(key, value, 1);
}

/* "A=1 B=2" */
static void set_all(const char *env)
{
    char *words = env ? strdup(env) : NULL, *save = NULL;
    for (char *w = words ? strtok_r(words, " ", &save) : NULL; w; w = strtok_r(NULL, " ", &save))
        putenv(w);
}

static void become(struct pl *pl, enum pl_kind kind, int i, const char *env, pid_t parent)
{
    struct pl_proc *p = &pl->procs[kind][i];
    char path[PATH_MAX + 32], name[32];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before that */
    int fd = open(p->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    pl_environment(pl);
    set(pl_kind_names[kind], "http", p->http);
    if (kind == PL_EDGE) {
        set("edge", "listen", p->listen);
        setenv("PARLEY_EDGE_REGISTERS", "100000", 1); /* everybody in a test comes from one address */
        snprintf(name, sizeof name, "edge-%d", i);
        setenv("PARLEY_EDGE_NAME", name, 1);
    }
    set_all(p->env);
    set_all(env);
    snprintf(path, sizeof path, "%s/parley-%s", pl->bins, pl_kind_names[kind]);
    execl(path, path, (char *)NULL);
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    _exit(127);
}

void pl_start(struct pl *pl, enum pl_kind kind, int i, const char *env)
{
    struct pl_proc *p = &pl->procs[kind][i];
    assert_true(i < pl->n[kind]);
    if (p->pid)
        fail_msg("%s-%d runs already", pl_kind_names[kind], i);
    pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    if (!pid)
        become(pl, kind, i, env, parent);
    p->pid = pid;
    p->wanted = true;
}

static bool reap(struct pl_proc *p, int flags)
{
    if (!p->pid)
        return true;
    if (waitpid(p->pid, &p->status, flags) != p->pid)
        return false;
    p->pid = 0;
    return true;
}

void pl_kill_quietly(struct pl_proc *p)
{
    if (!p->pid)
        return;
    p->wanted = false;
    kill(p->pid, SIGKILL);
    reap(p, 0);
}

static void surprised(struct pl *pl, enum pl_kind kind, int i)
{
    struct pl_proc *p = &pl->procs[kind][i];
    pl->deaths++;
    /* What a test does is SIGKILL; a defect of the process is never what a supervisor is for. */
    bool crashed = WIFSIGNALED(p->status) && WTERMSIG(p->status) != SIGKILL;
    if (pl->supervised && !crashed) {
        pl_start(pl, kind, i, NULL);
        return;
    }
    p->wanted = false;
    fail_msg("%s-%d ended by itself (%s %d); its log: %s", pl_kind_names[kind], i,
             WIFSIGNALED(p->status) ? "signal" : "status",
             WIFSIGNALED(p->status) ? WTERMSIG(p->status) : WEXITSTATUS(p->status), p->log);
}

void pl_look_after(struct pl *pl)
{
    for (int k = 0; k < PL_KINDS; k++)
        for (int i = 0; i < pl->n[k]; i++) {
            struct pl_proc *p = &pl->procs[k][i];
            if (p->pid && reap(p, WNOHANG) && p->wanted)
                surprised(pl, (enum pl_kind)k, i);
        }
}

void pl_turn(struct pl *pl, int64_t by, const char *what, const char *file, int line)
{
    pl_look_after(pl);
    if (clock_mono_ms() > by) {
        char text[512];
        snprintf(text, sizeof text, "waited too long for %s", what);
        print_error("%s\n", text);
        _fail(file, line);
    }
    poll(NULL, 0, TURN_MS);
}

void pl_signal(struct pl *pl, enum pl_kind kind, int i, int signal)
{
    struct pl_proc *p = &pl->procs[kind][i];
    if (!p->pid)
        fail_msg("%s-%d does not run", pl_kind_names[kind], i);
    kill(p->pid, signal);
}

void pl_expect_end(struct pl *pl, enum pl_kind kind, int i)
{
    pl->procs[kind][i].wanted = false;
}

int pl_wait_end(struct pl *pl, enum pl_kind kind, int i)
{
    struct pl_proc *p = &pl->procs[kind][i];
    p->wanted = false;
    UNTIL(pl, reap(p, WNOHANG));
    return p->status;
}

int pl_stop(struct pl *pl, enum pl_kind kind, int i, int signal)
{
    pl->procs[kind][i].wanted = false;
    pl_signal(pl, kind, i, signal);
    return pl_wait_end(pl, kind, i);
}

bool pl_running(struct pl *pl, enum pl_kind kind, int i)
{
    return !reap(&pl->procs[kind][i], WNOHANG);
}

void pl_supervise(struct pl *pl, bool on)
{
    pl->supervised = on;
}

int pl_deaths(const struct pl *pl)
{
    return pl->deaths;
}

/* ---- HTTP ---- */

static int connect_to(int port)
{
    char address[32];
    struct sockaddr_storage sa;
    socklen_t len;
    struct timeval limit = {.tv_sec = QUIET_MS / 1000};
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    if (addr_parse(address, &sa, &len))
        return -1;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, len)) {
        close(fd);
        return -1;
    }
    return fd;
}

const char *pl_http(struct pl *pl, enum pl_kind kind, int i, const char *path, int *status)
{
    char request[256];
    int fd = connect_to(pl->procs[kind][i].http);
    *status = 0;
    if (fd < 0)
        return "";
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
    if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
        close(fd);
        return "";
    }
    const char *answer = pl_keep(pl, pl_read_fd(fd)), *body = strstr(answer, "\r\n\r\n"),
               *code = strchr(answer, ' ');
    if (!body || !code)
        return "";
    *status = (int)strtol(code, NULL, 10);
    return body + 4;
}

bool pl_ready(struct pl *pl, enum pl_kind kind, int i)
{
    int status;
    pl_http(pl, kind, i, "/readyz", &status);
    return status == 200;
}

double pl_metric(struct pl *pl, enum pl_kind kind, int i, const char *name)
{
    int status;
    size_t n = strlen(name);
    double sum = -1;
    for (const char *p = pl_http(pl, kind, i, "/metrics", &status); p && *p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, name, n) != 0 ||
            (p[n] != ' ' && p[n] != '{')) /* a name with its labels matches as a whole */
            continue;
        const char *value = p[n] == '{' ? strstr(p, "} ") : p + n;
        if (value)
            sum = (sum < 0 ? 0 : sum) + strtod(value + (p[n] == '{' ? 2 : 1), NULL);
    }
    return sum;
}

void pl_wait_ready(struct pl *pl)
{
    for (int k = 0; k < PL_KINDS; k++)
        for (int i = 0; i < pl->n[k]; i++) {
            int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
            while (pl->procs[k][i].pid && !pl_ready(pl, (enum pl_kind)k, i)) {
                if (clock_mono_ms() > by) {
                    int status;
                    fail_msg("%s-%d is not ready: %s", pl_kind_names[k], i,
                             pl_http(pl, (enum pl_kind)k, i, "/readyz", &status));
                }
                pl_turn(pl, INT64_MAX, "", __FILE__, __LINE__);
            }
        }
}

const char *pl_log(struct pl *pl, enum pl_kind kind, int i)
{
    return pl_keep(pl, pl_read_file(pl->procs[kind][i].log));
}

bool pl_port_free(const char *address)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int one = 1;
    if (addr_parse(address, &sa, &len))
        return false;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool ok = fd >= 0 && !bind(fd, (struct sockaddr *)&sa, len) && !listen(fd, 1);
    close(fd);
    return ok;
}
