#include "tests/support/container_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT_FIRST 16000 /* up to PORT_LAST nothing else of this tree takes one */
#define PORT_LAST  19999

int64_t container_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static unsigned number(void)
{
    unsigned n = 0;
    if (getrandom(&n, sizeof n, 0) != (ssize_t)sizeof n)
        n = (unsigned)container_now_ms();
    return n;
}

/* ---- a run ---- */

int container_run_new(const char *project, struct container_run **out)
{
    char label[120];
    struct container_run *run = *out = calloc(1, sizeof *run);
    if (!run)
        return -ENOMEM;
    run->pipe = -1;
    snprintf(run->project, sizeof run->project, "%s", project);
    snprintf(run->label, sizeof run->label, "%.60s.run=%08x%08x", project, number(), number());
    engine_owner(run->owner, sizeof run->owner);
    int rc = engine_open(&run->engine);
    if (!rc)
        rc = engine_json(&run->engine, "GET", "/_ping", NULL, NULL);
    if (rc)
        return rc;
    rc = engine_reaper(&run->engine, run->label, &run->pipe);
    if (rc < 0)
        return rc;
    run->reaper = rc;
    snprintf(label, sizeof label, "%.60s.owner", project);
    return engine_remove_leavings(&run->engine, label);
}

void container_run_free(struct container_run *run)
{
    if (!run)
        return;
    while (run->all) {
        struct container *c = run->all;
        run->all = c->next;
        free(c);
    }
    /* The reaper has another try at what could not be removed. */
    if (run->reaper && engine_remove_labelled(&run->engine, run->label) >= 0 && write(run->pipe, "", 1) == 1)
        waitpid(run->reaper, NULL, 0);
    if (run->pipe >= 0)
        close(run->pipe);
    if (run->engine.curl)
        engine_close(&run->engine);
    free(run);
}

const char *container_error(const struct container_run *run)
{
    return run->engine.error;
}

int container_image(struct container_run *run, const char *image)
{
    char path[300];
    snprintf(path, sizeof path, "/images/%.200s/json", image);
    return engine_json(&run->engine, "GET", path, NULL, NULL);
}

int container_free_port(void)
{
    static int last;
    for (int tries = 0; tries <= PORT_LAST - PORT_FIRST; tries++) {
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        last = last ? last + 1 : PORT_FIRST + (int)(number() % (PORT_LAST - PORT_FIRST));
        last = last > PORT_LAST ? PORT_FIRST : last;
        sa.sin_port = htons((uint16_t)last);
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        bool is_free = fd >= 0 && !bind(fd, (struct sockaddr *)&sa, sizeof sa);
        if (fd >= 0)
            close(fd);
        if (is_free)
            return last;
    }
    return -EADDRINUSE;
}

/* ---- create ---- */

static json_t *words(const char *const *list)
{
    json_t *all = json_array();
    for (; list && *list; list++)
        json_array_append_new(all, json_string(*list));
    return all;
}

/* "name=value" or "name:value" to {name: value} */
static void pairs(json_t *to, const char *const *list, char between)
{
    for (; list && *list; list++) {
        const char *mark = strchr(*list, between);
        char name[200];
        snprintf(name, sizeof name, "%.*s", mark ? (int)(mark - *list) : 199, *list);
        json_object_set_new(to, name, json_string(mark ? mark + 1 : ""));
    }
}

static int choose_ports(struct container *c, const struct container_port *ports)
{
    for (int i = 0; ports && ports[i].inside; i++) {
        if (i == CONTAINER_PORTS_MAX)
            return engine_fail(&c->run->engine, -EINVAL, "%s: more than %d ports", c->name,
                               CONTAINER_PORTS_MAX);
        c->ports[i] = ports[i];
        if (!ports[i].host)
            c->ports[i].host = container_free_port();
        if (c->ports[i].host < 0)
            return engine_fail(&c->run->engine, -EADDRINUSE, "no free port");
    }
    return 0;
}

static json_t *description(const struct container *c, const struct container_conf *conf)
{
    json_t *labels = json_object(), *exposed = json_object(), *bound = json_object(), *tmpfs = json_object();
    char key[120], port[16];
    const char *const ours[] = {c->run->label, NULL};
    pairs(labels, conf->labels, '=');
    pairs(labels, ours, '=');
    snprintf(key, sizeof key, "%s.owner", c->run->project);
    json_object_set_new(labels, key, json_string(c->run->owner));
    pairs(tmpfs, conf->tmpfs, ':');
    for (const struct container_port *p = c->ports; p->inside; p++) {
        snprintf(key, sizeof key, "%d/tcp", p->inside);
        snprintf(port, sizeof port, "%d", p->host);
        json_object_set_new(exposed, key, json_object());
        json_object_set_new(bound, key, json_pack("[{ssss}]", "HostIp", "127.0.0.1", "HostPort", port));
    }
    json_t *host = json_pack("{sosososIsI}", "PortBindings", bound, "Binds", words(conf->mounts), "Tmpfs",
                             tmpfs, "Memory", (json_int_t)conf->memory, "ShmSize", (json_int_t)conf->shm);
    json_t *all = json_pack("{sssosososo}", "Image", conf->image, "Env", words(conf->env), "Labels", labels,
                            "ExposedPorts", exposed, "HostConfig", host);
    if (conf->command)
        json_object_set_new(all, "Cmd", words(conf->command));
    if (conf->entrypoint)
        json_object_set_new(all, "Entrypoint", words(conf->entrypoint));
    return all;
}

int container_create(struct container_run *run, const struct container_conf *conf, struct container **out)
{
    json_t *answer = NULL;
    struct container *c = calloc(1, sizeof *c);
    if (!c)
        return engine_fail(&run->engine, -ENOMEM, "out of memory");
    c->run = run;
    snprintf(c->name, sizeof c->name, "%s", conf->name ? conf->name : conf->image);
    int rc = choose_ports(c, conf->ports);
    if (!rc)
        rc = engine_json(&run->engine, "POST", "/containers/create", description(c, conf), &answer);
    if (rc) {
        free(c);
        return rc;
    }
    snprintf(c->id, sizeof c->id, "%s", json_string_value(json_object_get(answer, "Id")));
    json_decref(answer);
    c->next = run->all;
    run->all = c;
    *out = c;
    return 0;
}

/* ---- start and end ---- */

int container_post(struct container *c, const char *what, long limit_ms)
{
    char path[160];
    snprintf(path, sizeof path, "/containers/%s/%s", c->id, what);
    return engine_call(&c->run->engine,
                       &(struct container_request){.method = "POST", .path = path, .limit_ms = limit_ms});
}

int container_state(struct container *c, json_t **answer)
{
    char path[160];
    snprintf(path, sizeof path, "/containers/%s/json", c->id);
    return engine_json(&c->run->engine, "GET", path, NULL, answer);
}

int container_start(struct container *c)
{
    struct timespec t;
    if (container_running(c))
        return 0;
    /* Not when the engine says that it started: its first lines may be older. */
    clock_gettime(CLOCK_REALTIME, &t);
    snprintf(c->since, sizeof c->since, "%lld.%09ld", (long long)t.tv_sec, t.tv_nsec);
    return container_post(c, "start", 0);
}

int container_start_new(struct container_run *run, const struct container_conf *conf, struct container **out)
{
    struct container *c;
    int rc = container_create(run, conf, &c);
    if (rc)
        return rc;
    rc = container_start(c);
    if (rc) {
        char why[sizeof run->engine.error];
        snprintf(why, sizeof why, "%s", run->engine.error);
        container_remove(c);
        return engine_fail(&run->engine, rc, "%s", why);
    }
    *out = c;
    return 0;
}

int container_stop(struct container *c, int wait_s)
{
    char what[32];
    snprintf(what, sizeof what, "stop?t=%d", wait_s);
    return container_post(c, what, (wait_s + 30) * 1000L);
}

int container_kill(struct container *c)
{
    int rc = container_post(c, "kill?signal=KILL", 0);
    return rc ? rc : container_wait_end(c, 20000, NULL);
}

int container_pause(struct container *c)
{
    return container_post(c, "pause", 0);
}

int container_resume(struct container *c)
{
    return container_post(c, "unpause", 0);
}

int container_remove(struct container *c)
{
    char path[160];
    snprintf(path, sizeof path, "/containers/%s?force=1&v=1", c->id);
    int rc = engine_json(&c->run->engine, "DELETE", path, NULL, NULL);
    if (rc && rc != -ENOENT)
        return rc;
    struct container **p = &c->run->all;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    free(c);
    return 0;
}

/* ---- look ---- */

const char *container_id(const struct container *c)
{
    return c->id;
}

int container_host_port(const struct container *c, int inside)
{
    for (const struct container_port *p = c->ports; p->inside; p++)
        if (p->inside == inside)
            return p->host;
    return engine_fail(&c->run->engine, -ENOENT, "%s: port %d is not published", c->name, inside);
}

bool container_running(struct container *c)
{
    json_t *answer;
    if (container_state(c, &answer))
        return false;
    bool runs = json_is_true(json_object_get(json_object_get(answer, "State"), "Running"));
    json_decref(answer);
    return runs;
}
