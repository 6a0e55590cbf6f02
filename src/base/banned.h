/* Force-included into every file: functions that cannot be used safely fail the build.
 * (Calls that only os/ may make - open, socket, accept, fork - are found by tools/check.) */
#pragma once

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* OpenSSL's headers use some of these names for parameters ("rand"), so targets that link it have
 * them read before the names are poisoned. Set by tls_key_dep and tls_dep. */
#ifdef WITH_OPENSSL_HEADERS
#include <openssl/core_dispatch.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#endif

#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strncpy
#undef isalpha
#undef isdigit
#undef isspace
#undef isalnum
#undef toupper
#undef tolower
#undef strncat
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok strtok_r gets
#pragma GCC poison atoi atol atoll strtol strtoul strtoll strtoull strtod scanf sscanf fscanf
#pragma GCC poison gmtime gmtime_r localtime localtime_r ctime ctime_r asctime asctime_r mktime
#pragma GCC poison system popen rand srand tmpnam tempnam mktemp
#pragma GCC poison setlocale strerror isalpha isdigit isspace isalnum toupper tolower strcasecmp   \
        strncasecmp
