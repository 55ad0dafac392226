#include "tests/support/container_int.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS     60000
#define REAP_TURN_MS 500

int engine_fail(struct container_engine *e, int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->error, sizeof e->error, fmt, ap);
    va_end(ap);
    return rc;
}

int engine_open(struct container_engine *e)
{
    const char *host = getenv("DOCKER_HOST");
    bool ours = host && strncmp(host, "unix://", 7) == 0;
    snprintf(e->socket, sizeof e->socket, "%s", ours ? host + 7 : "/var/run/docker.sock");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    e->curl = curl_easy_init();
    return e->curl ? 0 : -ENOMEM;
}

void engine_close(struct container_engine *e)
{
    curl_easy_cleanup(e->curl);
    e->curl = NULL;
}

/* ---- HTTP ---- */

static size_t take(char *p, size_t size, size_t n, void *to)
{
    struct container_bytes *b = to;
    char *more = realloc(b->p, b->n + size * n + 1);
    if (!more)
        return 0;
    memcpy(more + b->n, p, size * n);
    b->p = more;
    b->n += size * n;
    b->p[b->n] = 0;
    return size * n;
}

static int refused(struct container_engine *e, const struct container_request *q, long status,
                   const char *body)
{
    json_t *answer = json_loads(body ? body : "", 0, NULL);
    const char *text = json_string_value(json_object_get(answer, "message"));
    bool taken =
        text && (strstr(text, "address already in use") || strstr(text, "port is already allocated"));
    int rc = taken           ? -EADDRINUSE
             : status == 404 ? -ENOENT
             : status == 409 ? -EBUSY
             : status == 400 ? -EINVAL
                             : -EIO;
    engine_fail(e, rc, "%s %.60s: %ld %s", q->method, q->path, status, text ? text : "");
    json_decref(answer);
    return rc;
}

static int unreached(struct container_engine *e, const struct container_request *q, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return engine_fail(e, -ECONNREFUSED, "no container engine answers at %s", e->socket);
    case CURLE_OPERATION_TIMEDOUT:
        return engine_fail(e, -ETIMEDOUT, "%s %.60s: no answer", q->method, q->path);
    case CURLE_OUT_OF_MEMORY:
    case CURLE_WRITE_ERROR:
        return engine_fail(e, -ENOMEM, "%s %.60s: out of memory", q->method, q->path);
    default:
        return engine_fail(e, -EIO, "%s %.60s: %s", q->method, q->path, curl_easy_strerror(code));
    }
}

int engine_call(struct container_engine *e, const struct container_request *q)
{
    char url[1200], type[128];
    struct container_bytes answer = {0};
    long status = 0;
    snprintf(url, sizeof url, "http://engine%s", q->path);
    snprintf(type, sizeof type, "Content-Type: %s", q->type ? q->type : "application/json");
    struct curl_slist *headers = curl_slist_append(NULL, type);
    curl_easy_reset(e->curl);
    curl_easy_setopt(e->curl, CURLOPT_UNIX_SOCKET_PATH, e->socket);
    curl_easy_setopt(e->curl, CURLOPT_URL, url);
    curl_easy_setopt(e->curl, CURLOPT_CUSTOMREQUEST, q->method);
    curl_easy_setopt(e->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e->curl, CURLOPT_TIMEOUT_MS, q->limit_ms ? q->limit_ms : LIMIT_MS);
    curl_easy_setopt(e->curl, CURLOPT_HTTPHEADER, headers);
    if (q->body || strcmp(q->method, "POST") == 0) {
        curl_easy_setopt(e->curl, CURLOPT_POSTFIELDS, q->body ? q->body : "");
        curl_easy_setopt(e->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_n);
    }
    curl_easy_setopt(e->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(e->curl, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(e->curl);
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    int rc = code ? unreached(e, q, code) : status >= 400 ? refused(e, q, status, answer.p) : 0;
    if (!rc && q->out)
        *q->out = answer;
    else
        free(answer.p);
    return rc;
}

int engine_json(struct container_engine *e, const char *method, const char *path, json_t *body,
                json_t **answer)
{
    char *text = body ? json_dumps(body, 0) : NULL;
    bool lost = body && !text;
    json_decref(body);
    if (lost)
        return engine_fail(e, -ENOMEM, "%s %.60s: out of memory", method, path);
    struct container_bytes out = {0};
    int rc = engine_call(
        e, &(struct container_request){
               .method = method, .path = path, .body = text, .body_n = text ? strlen(text) : 0, .out = &out});
    free(text);
    if (!rc && answer) {
        *answer = json_loads(out.p ? out.p : "", 0, NULL);
        rc = *answer ? 0 : engine_fail(e, -EIO, "%s %.60s: the answer is not JSON", method, path);
    }
    free(out.p);
    return rc;
}

/* Frames: stream, three zeros, length in four bytes, bytes. */
void engine_unframe(struct container_bytes *b)
{
    size_t to = 0, from = 0;
    while (b->n - from >= 8) {
        const unsigned char *h = (const unsigned char *)b->p + from;
        size_t n = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
        from += 8;
        if (n > b->n - from)
            n = b->n - from;
        memmove(b->p + to, b->p + from, n);
        to += n;
        from += n;
    }
    b->n = to;
    if (b->p)
        b->p[to] = 0;
}

/* ---- who owns what ---- */

static void word_of(const char *path, int field, char *to, size_t n)
{
    char line[1024] = "";
    FILE *f = fopen(path, "re");
    *to = 0;
    if (!f)
        return;
    line[fread(line, 1, sizeof line - 1, f)] = 0;
    fclose(f);
    char *p = strrchr(line, ')'), *save = NULL; /* a program's name may have blanks */
    char *word = strtok_r(p ? p + 1 : line, " \n", &save);
    for (int i = p ? 3 : 1; word && i < field; i++)
        word = strtok_r(NULL, " \n", &save);
    snprintf(to, n, "%s", word ? word : "");
}

static void started(const char *pid, char *to, size_t n)
{
    char path[64], state[8];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    word_of(path, 22, to, n);
    word_of(path, 3, state, sizeof state);
    if (*state == 'Z')
        *to = 0;
}

void engine_owner(char *text, size_t n)
{
    char boot[64], space[64] = "", pid[24], start[32];
    word_of("/proc/sys/kernel/random/boot_id", 1, boot, sizeof boot);
    if (readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0)
        *space = 0;
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    started(pid, start, sizeof start);
    snprintf(text, n, "%s/%s/%s/%s", boot, space, pid, start);
}

/* Of another pid namespace of this boot we cannot know. */
static bool owner_gone(const char *owner)
{
    char ours[256], copy[256], start[32], *word[4] = {"", "", "", ""}, *mine[4] = {"", "", "", ""},
                                          *save = NULL;
    engine_owner(ours, sizeof ours);
    snprintf(copy, sizeof copy, "%s", owner);
    for (int i = 0; i < 4; i++)
        word[i] = strtok_r(i ? NULL : copy, "/", &save);
    for (int i = 0; i < 4; i++)
        mine[i] = strtok_r(i ? NULL : ours, "/", &save);
    if (!word[3] || !mine[3])
        return false;
    if (strcmp(word[0], mine[0]) != 0)
        return true;
    if (strcmp(word[1], mine[1]) != 0)
        return false;
    started(word[2], start, sizeof start);
    return strcmp(start, word[3]) != 0;
}

static int listed(struct container_engine *e, const char *label, json_t **list)
{
    char path[900], filter[300];
    snprintf(filter, sizeof filter, "{\"label\":[\"%s\"]}", label);
    char *escaped = curl_easy_escape(e->curl, filter, 0);
    if (!escaped)
        return engine_fail(e, -ENOMEM, "out of memory");
    snprintf(path, sizeof path, "/containers/json?all=1&filters=%s", escaped);
    curl_free(escaped);
    return engine_json(e, "GET", path, NULL, list);
}

static int drop(struct container_engine *e, json_t *container)
{
    char path[160];
    snprintf(path, sizeof path, "/containers/%.80s?force=1&v=1",
             json_string_value(json_object_get(container, "Id")));
    int rc = engine_json(e, "DELETE", path, NULL, NULL);
    return rc == -ENOENT || rc == -EBUSY ? 0 : rc; /* gone, or being removed by somebody else */
}

int engine_remove_labelled(struct container_engine *e, const char *label)
{
    json_t *list, *c;
    size_t i;
    int rc = listed(e, label, &list);
    if (rc)
        return rc;
    json_array_foreach(list, i, c)
    {
        int failed = drop(e, c);
        rc = rc ? rc : failed;
    }
    rc = rc ? rc : (int)json_array_size(list);
    json_decref(list);
    return rc;
}

int engine_remove_leavings(struct container_engine *e, const char *name)
{
    json_t *list, *c;
    size_t i;
    int rc = listed(e, name, &list);
    if (rc)
        return rc;
    json_array_foreach(list, i, c)
    {
        const char *owner = json_string_value(json_object_get(json_object_get(c, "Labels"), name));
        if (owner && owner_gone(owner) && !rc)
            rc = drop(e, c);
    }
    json_decref(list);
    return rc;
}

/* ---- the reaper ---- */

/* Until two looks find nothing: a create that was on its way when its program died may still come. */
static _Noreturn void reap(const char *label, int fd)
{
    char byte;
    ssize_t n;
    const struct timespec turn = {.tv_nsec = REAP_TURN_MS * 1000000L};
    struct container_engine e = {0};
    prctl(PR_SET_NAME, "container-reap");
    setsid(); /* who kills the program's group does not mean us */
    for (int s = 1; s < 32; s++)
        if (s != SIGKILL && s != SIGSTOP && s != SIGSEGV && s != SIGABRT && s != SIGBUS && s != SIGFPE &&
            s != SIGILL)
            signal(s, SIG_IGN);
    int null = open("/dev/null", O_RDWR);
    for (int to = 0; to < 3; to++)
        dup2(null, to);
    dup2(fd, 3);
    close_range(4, ~0U, 0);
    while ((n = read(3, &byte, 1)) < 0 && errno == EINTR)
        ;
    for (int empty = 0, turns = 0; n == 0 && empty < 2 && turns < CONTAINER_REAP_MS / REAP_TURN_MS; turns++) {
        if (!e.curl && engine_open(&e))
            break;
        empty = engine_remove_labelled(&e, label) == 0 ? empty + 1 : 0;
        nanosleep(&turn, NULL);
    }
    _exit(0);
}

int engine_reaper(struct container_engine *e, const char *label, int *pipe_end)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return engine_fail(e, -errno, "the reaper's pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0) {
        int rc = -errno;
        close(ends[0]);
        close(ends[1]);
        return engine_fail(e, rc, "the reaper: %s", strerror(-rc));
    }
    if (!pid) {
        close(ends[1]);
        reap(label, ends[0]);
    }
    close(ends[0]);
    *pipe_end = ends[1];
    return pid;
}
