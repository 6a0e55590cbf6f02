/* What printer and reader of aggregate reports share. */
#pragma once

#include "base/slice.h"

#define DMARC_REPORT_NAMESPACE "urn:ietf:params:xml:ns:dmarc-2.0" /* RFC 9990 */

bool dmarc_report_is_ip(struct slice text);
