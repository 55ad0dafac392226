/* kfloor.h: bare librdkafka as the floors use it: the settings of the product, no wrapper, no group, no commit.
 *
 * A client wakes its process through one eventfd. Functions end the process (exit status 1) with a message when
 * Kafka does not do what they ask: a floor has nothing to fall back on. */
#ifndef PARLEY_BENCH_KFLOOR_H
#define PARLEY_BENCH_KFLOOR_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>
#include <stdint.h>

#define KFLOOR_PARTS 2 /* as the product's topics have on one box */

struct kfloor_client {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topic;   /* producers */
    int wake;                  /* eventfd */
    uint64_t reported, failed; /* delivery reports so far */
};

void kfloor_topics(const char *kafka, const char *const *names, size_t n); /* made when they are not there */
void kfloor_producer(struct kfloor_client *, const char *kafka, const char *topic, uint64_t linger_ms);
/* Reads every partition from its present end on. */
void kfloor_consumer(struct kfloor_client *, const char *kafka, const char *topic);
void kfloor_release(struct kfloor_client *);

/* False: the queue is full. The partition follows the key. */
int kfloor_produce(struct kfloor_client *, const void *key, size_t key_n, const void *value, size_t n);
void kfloor_reports(struct kfloor_client *);             /* serves what is there; exits on a failed record */
rd_kafka_message_t *kfloor_next(struct kfloor_client *); /* NULL: nothing there */

/* Sleeps until one of two clients has something, at most ms. b may be NULL. Clears the wakes. */
void kfloor_wait(struct kfloor_client *a, struct kfloor_client *b, int ms);

void kfloor_die(const char *what, const char *why) __attribute__((noreturn));

#endif
