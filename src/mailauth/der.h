/* The little of DER (ITU-T X.690) that public RSA keys are made of:
 *
 *	SubjectPublicKeyInfo = SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING }  RFC 5280
 *	RSAPublicKey         = SEQUENCE { modulus INTEGER, publicExponent INTEGER }       RFC 8017
 *
 * The bit string holds an RSAPublicKey. Lengths must be in their shortest form, numbers positive
 * and without needless zeros, nothing may follow: each key has one encoding.
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"

/* Both forms. The numbers, big-endian without leading zeros, lie within der. */
struct status der_rsa_parse(struct slice der, struct slice *ret_modulus,
                            struct slice *ret_exponent);
/* SubjectPublicKeyInfo. */
void der_rsa_print(struct slice modulus, struct slice exponent, struct buf *out);
