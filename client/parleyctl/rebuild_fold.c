/* rebuild_fold.c: the processes of a rebuild, seen from the one that started them. */
#include "client/parleyctl/rebuild_fold.h"

#include "client/parleyctl/progress.h"
#include "common/im/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 50

volatile bool rebuild_interrupted;

uint16_t rebuild_topic(const struct rebuild_task *t, size_t i)
{
    return !t->users ? T_CONVERSATION : i == 0 ? T_USER : T_VAULT;
}

const char *rebuild_store(const struct rebuild_task *t)
{
    return t->users ? SCHEMA_STORE_USERS : SCHEMA_STORE_CONV;
}

int rebuild_tasks_init(struct rebuild_tasks *ts, const struct ctl *c)
{
    int32_t convs = topics_get(c->deploy.topics, T_CONVERSATION)->parts;
    int32_t users = topics_get(c->deploy.topics, T_USER)->parts;
    ts->n = (size_t)(convs + users);
    ts->v = mmap(NULL, ts->n * sizeof *ts->v, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ts->v == MAP_FAILED) {
        ts->v = NULL;
        return -ENOMEM;
    }
    for (size_t i = 0; i < ts->n; i++) {
        ts->v[i].users = (int32_t)i < users;
        ts->v[i].part = (int32_t)i - (ts->v[i].users ? 0 : users);
    }
    return 0;
}

void rebuild_tasks_release(struct rebuild_tasks *ts)
{
    if (ts->v)
        munmap(ts->v, ts->n * sizeof *ts->v);
    *ts = (struct rebuild_tasks){0};
}

int rebuild_ends(struct ctl *c, struct rebuild_tasks *ts)
{
    for (size_t i = 0; i < ts->n; i++) {
        struct rebuild_task *t = &ts->v[i];
        for (size_t k = 0; k < rebuild_topics(t); k++) {
            const struct topic *topic = topics_get(c->deploy.topics, rebuild_topic(t, k));
            int64_t low;
            int rc, tries = 0;
            do {
                rc = kadmin_watermarks(c->admin, topic->name, t->part, &low, &t->to[k]);
            } while (ctl_again(rc, &tries));
            if (rc) {
                ctl_complain("%s: %s", topic->name, kadmin_error(c->admin));
                return CTL_FAILED;
            }
            if (low > t->next[k] && !topic->compact) {
                ctl_complain("%s partition %" PRId32 " begins at offset %" PRId64
                             ": what was before it cannot be made again",
                             topic->name, t->part, low);
                return CTL_FAILED;
            }
        }
    }
    return CTL_OK;
}

/* ---- processes ---- */

static void on_interrupt(int signal)
{
    (void)signal;
    rebuild_interrupted = true;
}

static int start(struct ctl *c, struct rebuild_task *t, const char *conninfo)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        ctl_complain("cannot start a process: %s", strerror(errno));
        return CTL_FAILED;
    }
    if (pid) { /* the child shares t */
        t->pid = pid;
        return CTL_OK;
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(CTL_FAILED);
    _exit(rebuild_work(c, t, conninfo) ? CTL_FAILED : CTL_OK);
}

static void told(const struct ctl *c, const struct rebuild_task *t, int status)
{
    const char *topic = topics_name(c->deploy.topics, rebuild_topic(t, 0));
    if (rebuild_interrupted)
        return;
    if (WIFSIGNALED(status))
        ctl_complain("%s partition %" PRId32 ": its process was ended by signal %d", topic, t->part,
                     WTERMSIG(status));
    else
        ctl_complain("%s partition %" PRId32 ": %s", topic, t->part, *t->why ? t->why : "failed");
}

/* How many ended badly since the last look. */
static int reap(const struct ctl *c, struct rebuild_tasks *ts, bool wait)
{
    int bad = 0;
    for (size_t i = 0; i < ts->n; i++) {
        struct rebuild_task *t = &ts->v[i];
        int status = 0;
        if (t->pid <= 0 || waitpid(t->pid, &status, wait ? 0 : WNOHANG) != t->pid)
            continue;
        t->pid = 0;
        t->ended = true;
        if (status) {
            bad++;
            told(c, t, status);
        }
    }
    return bad;
}

static void end_all(const struct ctl *c, struct rebuild_tasks *ts)
{
    for (size_t i = 0; i < ts->n; i++)
        if (ts->v[i].pid > 0)
            kill(ts->v[i].pid, SIGTERM);
    bool was = rebuild_interrupted;
    rebuild_interrupted = true; /* they end because they are told to */
    (void)reap(c, ts, true);
    rebuild_interrupted = was;
}

static void count(const struct rebuild_tasks *ts, uint64_t *first, uint64_t *now, uint64_t *all)
{
    *first = *now = *all = 0;
    for (size_t i = 0; i < ts->n; i++)
        for (size_t k = 0; k < rebuild_topics(&ts->v[i]); k++) {
            *first += (uint64_t)ts->v[i].first[k];
            *now += (uint64_t)ts->v[i].next[k];
            *all += (uint64_t)ts->v[i].to[k];
        }
}

static bool behind(const struct rebuild_task *t)
{
    for (size_t k = 0; k < rebuild_topics(t); k++)
        if (t->next[k] < t->to[k])
            return true;
    return false;
}

/* The next one that has something to do. Conversations wait for the users: taking back what an erased user said costs
 * nothing while there is no history yet. */
static struct rebuild_task *next_task(struct rebuild_tasks *ts, size_t *at)
{
    bool users = false;
    while (*at < ts->n && !behind(&ts->v[*at]))
        ++*at;
    for (size_t i = 0; i < ts->n; i++)
        users = users || (ts->v[i].users && ts->v[i].pid > 0);
    if (*at == ts->n || (!ts->v[*at].users && users))
        return NULL;
    return &ts->v[(*at)++];
}

static int run_all(struct ctl *c, struct rebuild_tasks *ts, const char *conninfo, int jobs,
                   struct progress *bar)
{
    size_t at = 0;
    int running = 0, bad = 0;
    uint64_t first, now, all;
    for (struct rebuild_task *t = NULL;;) {
        while (running < jobs && !bad && !rebuild_interrupted && (t = next_task(ts, &at))) {
            bad += start(c, t, conninfo) != CTL_OK;
            running += t->pid > 0;
        }
        int before = 0, after = 0;
        for (size_t i = 0; i < ts->n; i++)
            before += ts->v[i].pid > 0;
        bad += reap(c, ts, false);
        for (size_t i = 0; i < ts->n; i++)
            after += ts->v[i].pid > 0;
        running -= before - after;
        if (bad || rebuild_interrupted)
            end_all(c, ts);
        if (bad || rebuild_interrupted || (running == 0 && at >= ts->n))
            return bad || rebuild_interrupted ? CTL_FAILED : CTL_OK;
        count(ts, &first, &now, &all);
        progress_show(bar, now, all);
        poll(NULL, 0, LOOK_MS);
    }
}

int rebuild_fold(struct ctl *c, struct rebuild_tasks *ts, const char *conninfo, int jobs, bool quiet)
{
    const struct sigaction catch = {.sa_handler = on_interrupt};
    struct sigaction interrupt, term;
    struct progress bar;
    uint64_t first, now, all;
    for (size_t i = 0; i < ts->n; i++) {
        ts->v[i].ended = false;
        ts->v[i].why[0] = '\0';
        for (size_t k = 0; k < rebuild_topics(&ts->v[i]); k++)
            ts->v[i].first[k] = ts->v[i].next[k];
    }
    count(ts, &first, &now, &all);
    progress_begin(&bar, "history", "records", first, c->quiet || quiet);
    sigaction(SIGINT, &catch, &interrupt);
    sigaction(SIGTERM, &catch, &term);
    int rc = run_all(c, ts, conninfo, jobs, &bar);
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &term, NULL);
    count(ts, &first, &now, &all);
    progress_end(&bar, now);
    return rc;
}
