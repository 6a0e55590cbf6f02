/* The Extended DNS Error (RFC 8914) behind libunbound's words for a validation that failed.
 *
 * libunbound (1.17) keeps the code to itself and tells a sentence:
 *	validation failure <www.example. A IN>: signature expired from 192.0.2.1 for key example.
 * possibly several, each the cause of the one before; the last names the reason.
 */
#pragma once

#include "base/slice.h"

/* A code of DNSSEC: 6 (DNSSEC Bogus) where the words tell no more. Names within the words, which a
 * stranger may have chosen, decide nothing. */
uint32_t dns_reason_ede(struct slice words);
/* Whether a resolver that sends this code with SERVFAIL says that validation failed. */
bool dns_ede_is_bogus(uint32_t code);
