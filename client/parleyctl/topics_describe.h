/* topics_describe.h: what is in the topics: first and next offset, how many records, how old the first is. */
#ifndef PARLEY_CTL_TOPICS_DESCRIBE_H
#define PARLEY_CTL_TOPICS_DESCRIBE_H

struct ctl;
int topics_describe(struct ctl *); /* after ctl_kafka(); an exit code */

#endif
