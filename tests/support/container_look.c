/* container_look.c: what a container says and does: logs, waits, commands, files. */
#include "tests/support/container_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TURN_MS   100
#define HOLDS_MS  150 /* the engine's proxy closes sooner when nobody listens */
#define TAIL_SIZE 400 /* of a log, in a message */
#define BLOCK     512 /* of tar */

static void turn(void)
{
    poll(NULL, 0, TURN_MS);
}

/* ---- logs ---- */

static int logs(struct container *c, bool since_start, struct container_bytes *out)
{
    char path[220];
    *out = (struct container_bytes){0};
    snprintf(path, sizeof path, "/containers/%s/logs?stdout=1&stderr=1%s%s", c->id,
             since_start && *c->since ? "&since=" : "", since_start ? c->since : "");
    int rc =
        engine_call(&c->run->engine, &(struct container_request){.method = "GET", .path = path, .out = out});
    if (rc)
        return rc;
    engine_unframe(out);
    if (!out->p && !(out->p = calloc(1, 1)))
        return engine_fail(&c->run->engine, -ENOMEM, "%s: out of memory", c->name);
    return 0;
}

int container_logs(struct container *c, char **text)
{
    struct container_bytes b;
    int rc = logs(c, false, &b);
    if (!rc)
        *text = b.p;
    return rc;
}

static int with_tail(struct container *c, int rc, const char *what)
{
    struct container_bytes b;
    bool told = logs(c, true, &b) == 0;
    engine_fail(&c->run->engine, rc, "%s: %s; the end of its log: %s", c->name, what,
                !told             ? "?"
                : b.n > TAIL_SIZE ? b.p + b.n - TAIL_SIZE
                                  : b.p);
    if (told)
        free(b.p);
    return rc;
}

/* Between two looks: 0, or why there will be no more. */
static int go_on(struct container *c, int64_t until, const char *what)
{
    if (!container_running(c))
        return with_tail(c, -ECHILD, "it ended");
    if (container_now_ms() > until)
        return with_tail(c, -ETIMEDOUT, what);
    turn();
    return 0;
}

/* ---- waits ---- */

int container_wait_log(struct container *c, const char *text, int ms)
{
    int64_t until = container_now_ms() + ms;
    int rc = 0;
    while (!rc) {
        struct container_bytes b;
        rc = logs(c, true, &b);
        if (rc)
            break;
        bool seen = strstr(b.p, text) != NULL;
        free(b.p);
        if (seen)
            return 0;
        rc = go_on(c, until, "the line did not come");
    }
    return rc;
}

static bool holds(int port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool ok = !connect(fd, (struct sockaddr *)&sa, sizeof sa);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (ok && poll(&p, 1, HOLDS_MS) > 0)
        ok = recv(fd, &byte, 1, MSG_DONTWAIT) > 0; /* a greeting */
    close(fd);
    return ok;
}

int container_wait_port(struct container *c, int inside, int ms)
{
    int64_t until = container_now_ms() + ms;
    int port = container_host_port(c, inside), rc = port < 0 ? port : 0;
    while (!rc && !holds(port))
        rc = go_on(c, until, "nobody listens at the port");
    return rc;
}

int container_wait_end(struct container *c, int ms, int *status)
{
    int64_t until = container_now_ms() + ms;
    for (;;) {
        json_t *answer;
        int rc = container_state(c, &answer);
        if (rc)
            return rc;
        json_t *s = json_object_get(answer, "State");
        bool runs = json_is_true(json_object_get(s, "Running"));
        if (!runs && status)
            *status = (int)json_integer_value(json_object_get(s, "ExitCode"));
        json_decref(answer);
        if (!runs)
            return 0;
        if (container_now_ms() > until)
            return with_tail(c, -ETIMEDOUT, "it does not end");
        turn();
    }
}

/* ---- exec ---- */

static int exec_status(struct container *c, const char *id, int *status)
{
    char path[160];
    json_t *answer;
    snprintf(path, sizeof path, "/exec/%.80s/json", id);
    int rc = engine_json(&c->run->engine, "GET", path, NULL, &answer);
    if (rc)
        return rc;
    *status = (int)json_integer_value(json_object_get(answer, "ExitCode"));
    json_decref(answer);
    return 0;
}

int container_exec(struct container *c, const char *const *argv, char **out, int *status)
{
    static const char start[] = "{\"Detach\":false,\"Tty\":false}";
    char path[160], id[100];
    json_t *answer, *args = json_array();
    struct container_bytes b = {0};
    for (; *argv; argv++)
        json_array_append_new(args, json_string(*argv));
    snprintf(path, sizeof path, "/containers/%s/exec", c->id);
    int rc = engine_json(&c->run->engine, "POST", path,
                         json_pack("{sbsbso}", "AttachStdout", 1, "AttachStderr", 1, "Cmd", args), &answer);
    if (rc)
        return rc;
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(answer, "Id")));
    json_decref(answer);
    snprintf(path, sizeof path, "/exec/%.80s/start", id);
    rc = engine_call(
        &c->run->engine,
        &(struct container_request){
            .method = "POST", .path = path, .body = start, .body_n = sizeof start - 1, .out = &b});
    if (!rc)
        rc = exec_status(c, id, status);
    if (!rc && out) {
        engine_unframe(&b);
        *out = b.p ? b.p : calloc(1, 1);
        return *out ? 0 : engine_fail(&c->run->engine, -ENOMEM, "%s: out of memory", c->name);
    }
    free(b.p);
    return rc;
}

/* ---- a file ---- */

/* One header, the bytes, zeros to a whole block, two blocks of zeros. */
static char *tar(const char *name, const void *bytes, size_t n, int mode, size_t *size)
{
    *size = BLOCK + (n + BLOCK - 1) / BLOCK * BLOCK + 2 * (size_t)BLOCK;
    char *t = calloc(1, *size);
    if (!t)
        return NULL;
    snprintf(t, 100, "%s", name);
    snprintf(t + 100, 8, "%07o", (unsigned)mode & 07777);
    snprintf(t + 108, 8, "%07o", 0U);
    snprintf(t + 116, 8, "%07o", 0U);
    snprintf(t + 124, 12, "%011llo", (unsigned long long)n);
    snprintf(t + 136, 12, "%011llo", (unsigned long long)time(NULL));
    t[156] = '0';
    memcpy(t + 257, "ustar\00000", 8);
    memset(t + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += (unsigned char)t[i];
    snprintf(t + 148, 8, "%06o", sum & 0777777);
    memcpy(t + BLOCK, bytes, n);
    return t;
}

int container_put(struct container *c, const char *file, const void *bytes, size_t n, int mode)
{
    char path[400];
    const char *slash = strrchr(file, '/');
    size_t size;
    if (!slash || !slash[1] || strlen(slash + 1) > 99)
        return engine_fail(&c->run->engine, -EINVAL, "%s: no whole path of a file", file);
    char *body = tar(slash + 1, bytes, n, mode, &size);
    if (!body)
        return engine_fail(&c->run->engine, -ENOMEM, "%s: out of memory", c->name);
    snprintf(path, sizeof path, "/containers/%s/archive?path=%.*s", c->id,
             slash == file ? 1 : (int)(slash - file), file);
    int rc = engine_call(
        &c->run->engine,
        &(struct container_request){
            .method = "PUT", .path = path, .body = body, .body_n = size, .type = "application/x-tar"});
    free(body);
    return rc;
}
