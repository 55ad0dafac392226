#include "common/base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct queue {
    struct pool_job *first, **end;
};

struct pool {
    struct loop *loop;
    struct loop_waker finished;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t more;
    struct queue waiting, done;
    unsigned n_waiting, max_waiting;
    bool stop;
    unsigned n_threads;
    pthread_t threads[];
};

static void push(struct queue *q, struct pool_job *j)
{
    j->next = NULL;
    *q->end = j;
    q->end = &j->next;
}

static struct pool_job *pop(struct queue *q)
{
    struct pool_job *j = q->first;
    if (j) {
        q->first = j->next;
        if (!q->first)
            q->end = &q->first;
    }
    return j;
}

static void *thread_main(void *arg)
{
    struct pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stop && !p->waiting.first)
            pthread_cond_wait(&p->more, &p->lock);
        if (p->stop)
            break;
        struct pool_job *j = pop(&p->waiting);
        p->n_waiting--;
        pthread_mutex_unlock(&p->lock);
        j->work(j);
        pthread_mutex_lock(&p->lock);
        push(&p->done, j);
        loop_wake(&p->finished);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void report(struct pool *p)
{
    for (;;) {
        pthread_mutex_lock(&p->lock);
        struct pool_job *j = pop(&p->done);
        pthread_mutex_unlock(&p->lock);
        if (!j)
            return;
        j->done(j);
    }
}

static void on_finished(struct loop_waker *w)
{
    report(container_of(w, struct pool, finished));
}

/* Signals belong to the loop thread: the threads start with all of them blocked. */
static int start_threads(struct pool *p, unsigned threads)
{
    sigset_t all, before;
    int rc = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!rc && p->n_threads < threads) {
        rc = pthread_create(&p->threads[p->n_threads], NULL, thread_main, p);
        if (!rc)
            p->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

int pool_new(struct pool **out, struct loop *loop, unsigned threads, unsigned max_waiting)
{
    struct pool *p = calloc(1, sizeof *p + threads * sizeof p->threads[0]);
    if (!p)
        return -ENOMEM;
    p->loop = loop;
    p->max_waiting = max_waiting;
    p->waiting.end = &p->waiting.first;
    p->done.end = &p->done.first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    int rc = loop_waker_init(loop, &p->finished, on_finished);
    if (!rc)
        rc = start_threads(p, threads);
    if (rc) {
        pool_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);

    report(p);
    for (struct pool_job *j; (j = pop(&p->waiting));) {
        j->cancelled = true;
        j->done(j);
    }
    loop_waker_release(p->loop, &p->finished);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int pool_submit(struct pool *p, struct pool_job *j)
{
    int rc = -EAGAIN;
    pthread_mutex_lock(&p->lock);
    if (p->n_waiting < p->max_waiting && !p->stop) {
        j->cancelled = false;
        push(&p->waiting, j);
        p->n_waiting++;
        pthread_cond_signal(&p->more);
        rc = 0;
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}
