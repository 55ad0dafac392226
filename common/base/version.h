/* version.h: the release, as --version and the build_info metric tell it. */
#ifndef PARLEY_BASE_VERSION_H
#define PARLEY_BASE_VERSION_H

#define PARLEY_VERSION "0.1.0"

#endif
