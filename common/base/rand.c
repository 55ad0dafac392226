#include "common/base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

uint64_t rng_next(struct rng *r) /* splitmix64 */
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t skip = -n % n, v; /* the first 2^64 mod n values would favour small results */
    do {
        v = rng_next(r);
    } while (v < skip);
    return v % n;
}

void rand_bytes(void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)p + done, n - done, 0);
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            abort();
    }
}

uint64_t rand_u64(void)
{
    uint64_t v;
    rand_bytes(&v, sizeof v);
    return v;
}
