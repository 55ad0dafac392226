/* container.h: disposable containers for tests, by the HTTP API of a container engine on its unix socket.
 *
 *     static struct container_run *run;                  // one for each test program
 *     rc = container_run_new("org.example.tests", &run); // before the program has threads
 *     rc = container_start_new(run, &(struct container_conf){
 *         .image = "redis:8", .ports = (const struct container_port[]){{6379, 0}, {0}}}, &redis);
 *     rc = container_wait_port(redis, 6379, 30000);
 *     … 127.0.0.1:container_host_port(redis, 6379) …
 *     container_run_free(run);                           // removes all that it started
 *
 * To copy: container.h, container_int.h, container.c, container_look.c, container_engine.c; they need libcurl and jansson and nothing
 * else of this tree.
 *
 * Nothing stays behind. Each container has the labels PROJECT.run and PROJECT.owner. A run's end removes its
 * containers with their volumes; when the program ends without it, by SIGKILL even, a process that
 * container_run_new() forked does so: it waits on a pipe whose other end dies with the program. Containers whose
 * owner is gone (the machine was switched off) are removed by the next run of the project.
 *
 * Functions return 0 or a negative errno, and container_error() has the words:
 *   -ECONNREFUSED  no engine answers at the socket        -ENOENT     no such image, container or path
 *   -EADDRINUSE    a host port is taken                   -EBUSY      not in this state: it does not run, is paused …
 *   -ETIMEDOUT     a wait was too long                    -ECHILD     the container ended while it was waited for
 *   -EINVAL        the engine refuses the configuration   -EIO        anything else it said; -ENOMEM
 * No image is ever fetched. One thread. Times in milliseconds. */
#ifndef PARLEY_SUPPORT_CONTAINER_H
#define PARLEY_SUPPORT_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>

#define CONTAINER_REAP_MS 10000 /* at most this long after the program's death its containers are gone */

struct container_run;
struct container;

struct container_port {
    int inside;
    int host; /* on 127.0.0.1; 0: a free one, which stays over stop and start */
};

/* Lists end with NULL (ports: with {0}); a list that is NULL is empty, or as the image says. Borrowed for the call. */
struct container_conf {
    const char *image;
    const char *name; /* in messages; NULL: the image */
    const char *const *entrypoint, *const *command;
    const char *const *env;    /* "NAME=value" */
    const char *const *labels; /* "name=value", besides the run's own */
    const char *const *mounts; /* "/on/the/host:/inside:ro", "volume:/inside" */
    const char *const *tmpfs;  /* "/tmp", "/data:size=16m" */
    const struct container_port *ports;
    long long memory, shm; /* bytes; 0: no limit, the engine's default */
};

/* socket: DOCKER_HOST when it is unix://…, else /var/run/docker.sock. On failure *run is there all the same, for
 * container_error(), unless it is NULL (-ENOMEM); free it. */
int container_run_new(const char *project, struct container_run **run);
void container_run_free(struct container_run *);                /* NULL is fine */
const char *container_error(const struct container_run *);      /* of the last failure; until the next call */
int container_image(struct container_run *, const char *image); /* 0: it is there; -ENOENT */

/* A port of 127.0.0.1 that nobody has now, below those that the kernel gives to outgoing connections; another one at each
 * call. For a server that must know its own address before it starts: Kafka. Negative: -EADDRINUSE. */
int container_free_port(void);

/* The container belongs to the run and is valid until container_remove() or the run's end. */
int container_create(struct container_run *, const struct container_conf *, struct container **);
int container_start(struct container *); /* again too, after a stop or a kill: same data, same ports */
int container_start_new(struct container_run *, const struct container_conf *,
                        struct container **); /* both; none on failure */
int container_stop(struct container *,
                   int wait_s);          /* its stop signal, then SIGKILL; 0 when it does not run */
int container_kill(struct container *);  /* SIGKILL to all it has; returns when it is dead */
int container_pause(struct container *); /* as SIGSTOP */
int container_resume(struct container *);
int container_remove(struct container *); /* in any state, with its volumes; frees it when the answer is 0 */

const char *container_id(const struct container *);
int container_host_port(const struct container *, int inside); /* -ENOENT: not published */
bool container_running(struct container *);                    /* paused counts */

/* A line that contains text, in what was logged since the last start. */
int container_wait_log(struct container *, const char *text, int ms);
/* Somebody listens inside: the connection holds. (The engine's proxy accepts before, and closes.) */
int container_wait_port(struct container *, int inside, int ms);
int container_wait_end(struct container *, int ms,
                       int *status); /* exit status, 128 + signal; status may be NULL */

/* stdout and stderr since it was made, each NUL-terminated for free(). */
int container_logs(struct container *, char **text);
/* Runs argv inside and waits. *out may be asked for, as above; *status is the command's exit status. */
int container_exec(struct container *, const char *const *argv, char **out, int *status);
/* Writes one file; its folder must be there. Works before the start too. */
int container_put(struct container *, const char *path, const void *bytes, size_t n, int mode);

#endif
