/* DER by recursive descent; the depth is that of the format. */
#include "mailauth/der.h"

#include "base/cursor.h"

enum tag {
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_SEQUENCE = 0x30,
};

/* 1.2.840.113549.1.1.1 */
static const uint8_t rsa_encryption[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};

/* One to three octets: enough for 16 MB. */
static size_t take_length(struct cursor *c)
{
	uint8_t first = cursor_byte(c);
	if (first < 0x80)
		return first;
	size_t n = first & 0x7f, length = 0;
	if (n < 1 || n > 3) {
		cursor_fail(c, "a length of DER that cannot be");
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		length = length << 8 | cursor_byte(c);
	if (length < 0x80 || length >> (8 * (n - 1)) == 0)
		cursor_fail(c, "a length of DER is not in its shortest form");
	return length;
}

static struct slice take(struct cursor *c, enum tag tag)
{
	cursor_expect(c, (uint8_t)tag, "not the DER of an RSA key");
	return cursor_take(c, take_length(c));
}

static struct slice take_number(struct cursor *c)
{
	struct slice bytes = take(c, DER_INTEGER);
	if (bytes.n == 0 || bytes.p[0] >= 0x80)
		cursor_fail(c, "a number of an RSA key is not positive");
	else if (bytes.n > 1 && bytes.p[0] == 0 && bytes.p[1] < 0x80)
		cursor_fail(c, "a number of an RSA key is not in its shortest form");
	if (cursor_ok(c) && bytes.p[0] == 0)
		bytes = slice_from(bytes, 1);
	return bytes;
}

static void expect_end(struct cursor *outer, const struct cursor *inner)
{
	if (!cursor_ok(inner))
		cursor_fail(outer, inner->why);
	else if (!cursor_at_end(inner))
		cursor_fail(outer, "something follows in the DER of an RSA key");
}

/* AlgorithmIdentifier and BIT STRING; the parameters are NULL, which some leave out. */
static void public_key_info(struct cursor *c, struct slice *ret_key)
{
	struct cursor algorithm = cursor_of(take(c, DER_SEQUENCE));
	struct slice oid = take(&algorithm, DER_OID);
	if (cursor_ok(&algorithm) && !cursor_at_end(&algorithm) && take(&algorithm, DER_NULL).n > 0)
		cursor_fail(&algorithm, "not the DER of an RSA key");
	expect_end(c, &algorithm);
	if (!slice_eq(oid, slice_of(rsa_encryption, sizeof(rsa_encryption))))
		cursor_fail(c, "a key of another algorithm");
	struct slice bits = take(c, DER_BIT_STRING);
	if (bits.n == 0 || bits.p[0] != 0)
		cursor_fail(c, "not the DER of an RSA key");
	*ret_key = slice_from(bits, 1);
}

struct status der_rsa_parse(struct slice der, struct slice *ret_modulus, struct slice *ret_exponent)
{
	struct cursor outer = cursor_of(der);
	struct cursor key = cursor_of(take(&outer, DER_SEQUENCE));
	cursor_expect_end(&outer, "something follows in the DER of an RSA key");
	if (cursor_peek(&key) == DER_SEQUENCE) {
		struct cursor info = key, string;
		struct slice bits = slice_empty();
		public_key_info(&info, &bits);
		expect_end(&outer, &info);
		string = cursor_of(bits);
		key = cursor_of(take(&string, DER_SEQUENCE));
		expect_end(&outer, &string);
	}
	struct slice modulus = take_number(&key);
	struct slice exponent = take_number(&key);
	expect_end(&outer, &key);
	TRY(cursor_status(&outer));
	*ret_modulus = modulus;
	*ret_exponent = exponent;
	return ok();
}

/* --- printing --- */

static size_t length_size(size_t n)
{
	return n < 0x80 ? 1 : n < 0x100 ? 2 : n < 0x10000 ? 3 : 4;
}

static size_t whole_size(size_t n)
{
	return 1 + length_size(n) + n;
}

static void add_head(enum tag tag, size_t n, struct buf *out)
{
	size_t size = length_size(n);
	buf_add_byte(out, (uint8_t)tag);
	if (size > 1)
		buf_add_byte(out, (uint8_t)(0x80 | (size - 1)));
	for (size_t i = MAX(size, (size_t)2) - 1; i-- > 0;)
		buf_add_byte(out, (uint8_t)(n >> (8 * i)));
}

/* A zero goes before a number whose first bit is set. */
static size_t number_size(struct slice number)
{
	return number.n + (number.n > 0 && number.p[0] >= 0x80);
}

static void add_number(struct slice number, struct buf *out)
{
	add_head(DER_INTEGER, number_size(number), out);
	if (number_size(number) > number.n)
		buf_add_byte(out, 0);
	buf_add(out, number);
}

void der_rsa_print(struct slice modulus, struct slice exponent, struct buf *out)
{
	size_t oid = whole_size(sizeof(rsa_encryption));
	size_t numbers = whole_size(number_size(modulus)) + whole_size(number_size(exponent));
	size_t bits = 1 + whole_size(numbers);
	add_head(DER_SEQUENCE, whole_size(oid + 2) + whole_size(bits), out);
	add_head(DER_SEQUENCE, oid + 2, out);
	add_head(DER_OID, sizeof(rsa_encryption), out);
	buf_add(out, slice_of(rsa_encryption, sizeof(rsa_encryption)));
	add_head(DER_NULL, 0, out);
	add_head(DER_BIT_STRING, bits, out);
	buf_add_byte(out, 0);
	add_head(DER_SEQUENCE, numbers, out);
	add_number(modulus, out);
	add_number(exponent, out);
}
