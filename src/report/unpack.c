/* gzip and zip over zlib.
 *
 * Of a zip file (APPNOTE.TXT 6.3, sections 4.3 and 4.4) the end record must say that there is one
 * entry; sizes, method and checksum are taken from its central header, and the local header is used
 * to find where its bytes begin. Names and everything else that could lead somewhere are passed
 * over.
 *
 * Limits: those in the header. Work is linear in input and output.
 */
#include "report/unpack.h"

#include "base/cursor.h"

#include <zlib.h>

#define PIECE_SIZE   ((size_t)64 * 1024)
#define GZIP_BITS    (16 + MAX_WBITS) /* zlib reads the header and checks the trailer */
#define RAW_BITS     (-MAX_WBITS)     /* no header */
#define MEMORY_LEVEL 9

#define ZIP_LOCAL        0x04034b50u
#define ZIP_CENTRAL      0x02014b50u
#define ZIP_END          0x06054b50u
#define ZIP_LOCAL_SIZE   30u
#define ZIP_CENTRAL_SIZE 46u
#define ZIP_END_SIZE     22u
#define ZIP_COMMENT_MAX  65535u
#define ZIP_ENCRYPTED    1u /* flag */
#define ZIP_STORED       0u /* method */
#define ZIP_DEFLATED     8u

static const char damaged[] = "the compressed file is damaged";

enum unpack_form unpack_form_of(struct slice bytes)
{
	if (slice_starts(bytes, SLICE("\x1f\x8b")))
		return UNPACK_GZIP;
	return slice_starts(bytes, SLICE("PK\3\4")) ? UNPACK_ZIP : UNPACK_PLAIN;
}

/* --- inflating --- */

struct inflater {
	z_stream z;
	struct buf *out;
	size_t start; /* of the output in out */
	size_t max;
	size_t input_size;
};

static struct status check_size(const struct inflater *i)
{
	size_t n = i->out->n - i->start;
	if (buf_failed(i->out) || n > i->max)
		return fail(ERR_LIMIT, "the compressed file is too large");
	if (n > UNPACK_RATIO_FREE && n / UNPACK_RATIO_MAX > i->input_size)
		return fail(ERR_LIMIT, "the compressed file unpacks to far more than it should");
	return ok();
}

/* Room for a piece of output, never for much more than is allowed. */
static struct status inflate_piece(struct inflater *i, int *ret_code)
{
	size_t left = i->max - (i->out->n - i->start);
	size_t size = MIN(MIN(left + 1, PIECE_SIZE), i->out->max - i->out->n);
	uint8_t *room = size > 0 ? buf_reserve(i->out, size) : NULL;
	if (!room)
		return fail(ERR_LIMIT, "the compressed file is too large");
	i->z.next_out = room;
	i->z.avail_out = (uInt)size;
	*ret_code = inflate(&i->z, Z_NO_FLUSH);
	buf_commit(i->out, size - i->z.avail_out);
	return check_size(i);
}

/* One stream to its end; what is left of the input stays in z. */
static struct status inflate_stream(struct inflater *i)
{
	int code = Z_OK;
	while (code != Z_STREAM_END) {
		TRY(inflate_piece(i, &code));
		/* Z_BUF_ERROR: no more input, and no end. */
		if (code != Z_OK && code != Z_STREAM_END)
			return fail(ERR_SYNTAX, damaged);
	}
	return ok();
}

static void end_inflate(struct inflater *i)
{
	(void)inflateEnd(&i->z);
}

static struct status begin_inflate(struct inflater *i, struct slice bytes, int bits, size_t max,
                                   struct buf *out)
{
	*i = (struct inflater){.out = out, .start = out->n, .max = max, .input_size = bytes.n};
	if (bytes.n > UINT32_MAX)
		return fail(ERR_LIMIT, "the compressed file is too large");
	if (inflateInit2(&i->z, bits) != Z_OK)
		return fail(ERR_LIMIT, "no room to unpack a file");
	/* zlib reads through this pointer only. */
	i->z.next_in = (Bytef *)(uintptr_t)bytes.p;
	i->z.avail_in = (uInt)bytes.n;
	return ok();
}

/* --- gzip --- */

/* RFC 1952 section 2.2: members follow each other; padding with zeros is seen in the wild. */
static bool is_padding(const z_stream *z)
{
	for (uInt k = 0; k < z->avail_in; k++)
		if (z->next_in[k] != 0)
			return false;
	return true;
}

static struct status unpack_members(struct inflater *i)
{
	for (unsigned n = 0; n < UNPACK_MEMBERS_MAX; n++) {
		TRY(inflate_stream(i));
		if (is_padding(&i->z))
			return ok();
		if (inflateReset(&i->z) != Z_OK)
			return fail(ERR_SYNTAX, damaged);
	}
	return fail(ERR_LIMIT, "the compressed file has too many members");
}

static struct status unpack_gzip(struct slice bytes, size_t max, struct buf *out)
{
	struct inflater i;
	TRY(begin_inflate(&i, bytes, GZIP_BITS, max, out));
	struct status status = unpack_members(&i);
	end_inflate(&i);
	return status;
}

/* --- zip --- */

static uint16_t read_u16(struct cursor *c)
{
	struct slice s = cursor_take(c, 2);
	unsigned value = s.n == 2 ? s.p[0] | (unsigned)s.p[1] << 8 : 0;
	return (uint16_t)value;
}

static uint32_t read_u32(struct cursor *c)
{
	uint32_t low = read_u16(c);
	return low | (uint32_t)read_u16(c) << 16;
}

struct zip_entry {
	uint16_t flags, method;
	uint32_t crc, packed_size, size, local_at;
};

/* The end record, behind which only its comment stands. */
static bool find_end(struct slice bytes, size_t *ret_at)
{
	if (bytes.n < ZIP_END_SIZE)
		return false;
	size_t last = bytes.n - ZIP_END_SIZE;
	size_t first = last - MIN(last, (size_t)ZIP_COMMENT_MAX);
	for (size_t at = last + 1; at-- > first;) {
		struct cursor c = cursor_of(slice_from(bytes, at));
		if (read_u32(&c) != ZIP_END)
			continue;
		(void)cursor_take(&c, ZIP_END_SIZE - 6);
		if (read_u16(&c) == last - at) {
			*ret_at = at;
			return true;
		}
	}
	return false;
}

/* end of central directory record (4.3.16) */
static struct status read_end(struct slice bytes, uint32_t *ret_central_at)
{
	size_t at;
	if (!find_end(bytes, &at))
		return fail(ERR_SYNTAX, damaged);
	struct cursor c = cursor_of(slice_from(bytes, at + 4));
	uint16_t disk = read_u16(&c), first_disk = read_u16(&c);
	uint16_t n_here = read_u16(&c), n = read_u16(&c);
	(void)read_u32(&c); /* size of the central directory */
	*ret_central_at = read_u32(&c);
	if (disk != 0 || first_disk != 0 || n_here != 1 || n != 1)
		return fail(ERR_UNSUPPORTED, "the zip file has not exactly one entry");
	return cursor_status(&c);
}

/* central file header (4.3.12) */
static struct status read_central(struct slice bytes, uint32_t at, struct zip_entry *entry)
{
	struct cursor c = cursor_of(slice_from(bytes, at));
	if (at > bytes.n || read_u32(&c) != ZIP_CENTRAL)
		return fail(ERR_SYNTAX, damaged);
	(void)cursor_take(&c, 4); /* versions */
	entry->flags = read_u16(&c);
	entry->method = read_u16(&c);
	(void)cursor_take(&c, 4); /* time and date */
	entry->crc = read_u32(&c);
	entry->packed_size = read_u32(&c);
	entry->size = read_u32(&c);
	(void)cursor_take(&c, 14); /* lengths, disk, attributes */
	entry->local_at = read_u32(&c);
	if (!cursor_ok(&c))
		return fail(ERR_SYNTAX, damaged);
	if (entry->flags & ZIP_ENCRYPTED)
		return fail(ERR_UNSUPPORTED, "the zip file is encrypted");
	if (entry->method != ZIP_STORED && entry->method != ZIP_DEFLATED)
		return fail(ERR_UNSUPPORTED, "the zip file is compressed by another method");
	return ok();
}

/* local file header (4.3.7); the entry's bytes are behind it */
static struct status read_local(struct slice bytes, const struct zip_entry *entry,
                                struct slice *ret_packed)
{
	struct cursor c = cursor_of(slice_from(bytes, entry->local_at));
	if (entry->local_at > bytes.n || read_u32(&c) != ZIP_LOCAL)
		return fail(ERR_SYNTAX, damaged);
	(void)cursor_take(&c, ZIP_LOCAL_SIZE - 8);
	size_t name_size = read_u16(&c), extra_size = read_u16(&c);
	(void)cursor_take(&c, name_size + extra_size);
	*ret_packed = cursor_take(&c, entry->packed_size);
	return cursor_ok(&c) ? ok() : fail(ERR_SYNTAX, damaged);
}

static struct status unpack_entry(const struct zip_entry *entry, struct slice packed, size_t max,
                                  struct buf *out)
{
	struct inflater i;
	if (entry->size > max)
		return fail(ERR_LIMIT, "the compressed file is too large");
	if (entry->method == ZIP_STORED) {
		buf_add(out, packed);
		return buf_failed(out) ? fail(ERR_LIMIT, "the compressed file is too large") : ok();
	}
	TRY(begin_inflate(&i, packed, RAW_BITS, max, out));
	struct status status = inflate_stream(&i);
	if (is_ok(status) && i.z.avail_in > 0)
		status = fail(ERR_SYNTAX, damaged);
	end_inflate(&i);
	return status;
}

static struct status unpack_zip(struct slice bytes, size_t max, struct buf *out)
{
	struct zip_entry entry;
	struct slice packed;
	uint32_t central_at;
	size_t start = out->n;
	TRY(read_end(bytes, &central_at));
	TRY(read_central(bytes, central_at, &entry));
	TRY(read_local(bytes, &entry, &packed));
	TRY(unpack_entry(&entry, packed, max, out));
	struct slice written = slice_from(buf_slice(out), start);
	if (written.n != entry.size || crc32_z(0, written.p, written.n) != entry.crc)
		return fail(ERR_SYNTAX, damaged);
	return ok();
}

/* --- doors --- */

struct status unpack(struct slice bytes, size_t max, struct buf *out)
{
	switch (unpack_form_of(bytes)) {
	case UNPACK_GZIP:
		return unpack_gzip(bytes, max, out);
	case UNPACK_ZIP:
		return unpack_zip(bytes, max, out);
	case UNPACK_PLAIN:
		break;
	}
	if (bytes.n > max)
		return fail(ERR_LIMIT, "the file is too large");
	buf_add(out, bytes);
	return buf_failed(out) ? fail(ERR_LIMIT, "the file is too large") : ok();
}

static struct status deflate_all(z_stream *z, struct buf *out)
{
	int code = Z_OK;
	while (code != Z_STREAM_END) {
		size_t size = MIN(PIECE_SIZE, out->max - out->n);
		uint8_t *room = size > 0 ? buf_reserve(out, size) : NULL;
		if (!room)
			return fail(ERR_LIMIT, "the compressed file is too large");
		z->next_out = room;
		z->avail_out = (uInt)size;
		code = deflate(z, Z_FINISH);
		buf_commit(out, size - z->avail_out);
		if (code != Z_OK && code != Z_BUF_ERROR && code != Z_STREAM_END)
			return fail(ERR_LIMIT, "a file cannot be compressed");
	}
	return ok();
}

struct status pack_gzip(struct slice bytes, struct buf *out)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes.p, .avail_in = (uInt)bytes.n};
	if (bytes.n > UINT32_MAX)
		return fail(ERR_LIMIT, "a file is too large to be compressed");
	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_BITS, MEMORY_LEVEL,
	                 Z_DEFAULT_STRATEGY) != Z_OK)
		return fail(ERR_LIMIT, "no room to compress a file");
	struct status status = deflate_all(&z, out);
	(void)deflateEnd(&z);
	return status;
}
