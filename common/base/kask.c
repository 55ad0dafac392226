#include "common/base/kask.h"

#include <errno.h>
#include <signal.h>

void kask_init(struct kask *q, rd_kafka_t *rk, struct loop_waker *waker, void (*work)(struct kask *),
               void (*release)(struct kask *))
{
    *q = (struct kask){.rk = rk, .work = work, .release = release, .waker = waker};
    pthread_mutex_init(&q->lock, NULL);
}

static void end(struct kask *q, int destroy_flags)
{
    if (q->rk)
        rd_kafka_destroy_flags(q->rk, destroy_flags);
    pthread_mutex_destroy(&q->lock);
    q->release(q);
}

static void *thread_main(void *arg)
{
    struct kask *q = arg;
    q->work(q);
    pthread_mutex_lock(&q->lock);
    bool orphan = q->orphan;
    q->running = false;
    q->answered = true;
    if (!orphan)
        loop_wake(q->waker);
    pthread_mutex_unlock(&q->lock);
    if (orphan)
        end(q, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); /* callbacks would find nobody */
    return NULL;
}

/* Signals belong to the loop thread. */
static int start_thread(struct kask *q)
{
    sigset_t all, before;
    pthread_t id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&id, NULL, thread_main, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_detach(id);
    return -rc;
}

int kask_start(struct kask *q)
{
    if (kask_busy(q))
        return -EBUSY;
    q->running = true; /* no thread yet */
    int rc = start_thread(q);
    if (rc)
        q->running = false;
    return rc ? -EAGAIN : 0;
}

bool kask_take(struct kask *q)
{
    pthread_mutex_lock(&q->lock);
    bool answered = q->answered;
    q->answered = false;
    pthread_mutex_unlock(&q->lock);
    return answered;
}

bool kask_busy(struct kask *q)
{
    pthread_mutex_lock(&q->lock);
    bool busy = q->running || q->answered;
    pthread_mutex_unlock(&q->lock);
    return busy;
}

void kask_drop(struct kask *q, int destroy_flags)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    bool running = q->orphan = q->running;
    pthread_mutex_unlock(&q->lock);
    if (!running)
        end(q, destroy_flags);
}
