#include "bench/procs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct stat_line {
    int pid, parent;
    int64_t us;
};

/* utime, stime, and those of children that ended and were waited for. */
static bool read_stat(int pid, struct stat_line *out)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = 0;
    char *p = strrchr(line, ')'); /* the name may hold anything */
    long long u, s, cu, cs;
    int parent;
    if (!p || sscanf(p + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld", &parent, &u,
                     &s, &cu, &cs) != 5)
        return false;
    *out = (struct stat_line){pid, parent, (u + s + cu + cs) * (1000000 / sysconf(_SC_CLK_TCK))};
    return true;
}

static size_t read_all(struct stat_line **out)
{
    size_t n = 0, cap = 0;
    struct stat_line *all = NULL;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 256;
            struct stat_line *more = realloc(all, cap * sizeof *all);
            if (!more)
                break;
            all = more;
        }
        n += read_stat((int)strtol(e->d_name, NULL, 10), &all[n]);
    }
    if (d)
        closedir(d);
    *out = all;
    return n;
}

static int64_t tree_us(const struct stat_line *all, size_t n, int pid)
{
    int64_t us = 0;
    for (size_t i = 0; i < n; i++)
        if (all[i].pid == pid)
            us += all[i].us;
        else if (all[i].parent == pid)
            us += tree_us(all, n, all[i].pid);
    return us;
}

static void sample(struct procs *p, bool end)
{
    struct stat_line *all;
    size_t n = read_all(&all);
    for (size_t i = 0; i < p->n; i++) {
        int64_t us = tree_us(all, n, p->v[i].pid);
        if (end)
            p->v[i].used_us = us - p->v[i].before_us;
        else
            p->v[i].before_us = us;
    }
    free(all);
}

int procs_init(struct procs *p, const struct arg_list *list)
{
    p->n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const char *eq = strchr(list->v[i], '=');
        int pid = eq ? (int)strtol(eq + 1, NULL, 10) : 0;
        struct stat_line s;
        if (pid <= 0 || !read_stat(pid, &s)) {
            fprintf(stderr, "parley-bench: --process %s: not name=pid of a running process\n", list->v[i]);
            return -EINVAL;
        }
        struct procs_one *o = &p->v[p->n++];
        snprintf(o->name, sizeof o->name, "%.*s", (int)(eq - list->v[i]), list->v[i]);
        o->pid = pid;
    }
    return 0;
}

void procs_begin(struct procs *p)
{
    sample(p, false);
}

void procs_end(struct procs *p)
{
    sample(p, true);
}

int64_t procs_total_us(const struct procs *p)
{
    int64_t us = 0;
    for (size_t i = 0; i < p->n; i++)
        us += p->v[i].used_us;
    return us;
}

json_t *procs_json(const struct procs *p, uint64_t messages)
{
    json_t *o = json_object();
    double per = messages ? (double)messages : 1;
    for (size_t i = 0; i < p->n; i++)
        json_object_set_new(o, p->v[i].name, json_real((double)p->v[i].used_us / per));
    json_object_set_new(o, "total", json_real((double)procs_total_us(p) / per));
    return o;
}

int64_t procs_self_us(void)
{
    struct rusage a, b;
    getrusage(RUSAGE_SELF, &a);
    getrusage(RUSAGE_CHILDREN, &b);
    return (a.ru_utime.tv_sec + a.ru_stime.tv_sec + b.ru_utime.tv_sec + b.ru_stime.tv_sec) *
               INT64_C(1000000) +
           a.ru_utime.tv_usec + a.ru_stime.tv_usec + b.ru_utime.tv_usec + b.ru_stime.tv_usec;
}
