#include "common/base/err.h"

#include <errno.h>
#include <string.h>

enum err_class err_class(int rc)
{
    if (rc >= 0)
        return ERR_NONE;
    switch (-rc) {
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ENOBUFS:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case EPIPE:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
        return ERR_RETRY;
    case EINVAL:
    case EBADMSG:
    case EMSGSIZE:
    case EILSEQ:
    case EPROTO:
    case ERANGE:
    case ENAMETOOLONG:
        return ERR_INPUT;
    default: /* ENOMEM too: what it tore cannot be known */
        return ERR_FATAL;
    }
}

const char *err_text(int rc)
{
    const char *text = strerrordesc_np(rc < 0 ? -rc : rc);
    return text ? text : "Unknown error";
}
