/* Key records (RFC 6376 section 3.6.1).
 *
 *	record = tag-list: [v=DKIM1] [h=] [k=] [n=] p= [s=] [t=]
 *
 * Unknown tags, hashes, services and flags are passed over. What cannot be a key that one holder
 * alone can sign with is refused: an even number, an exponent of 1.
 */
#include "mailauth/dkim_key.h"

#include "base/encode.h"
#include "mailauth/der.h"
#include "mailauth/taglist.h"

static const char *const type_names[] = {
        [DKIM_KEY_RSA] = "rsa",
        [DKIM_KEY_ED25519] = "ed25519",
};

const char *dkim_key_type_name(enum dkim_key_type type)
{
	return type_names[type];
}

static bool lists(struct slice value, const char *item, const char *other)
{
	struct mailauth_items items = mailauth_items_of(value, ':');
	struct slice found;
	while (mailauth_items_next(&items, &found))
		if (slice_eq_str(found, item) || slice_eq_str(found, other))
			return true;
	return false;
}

/* Is the item in the list of that tag, or is there no such tag? */
static bool allows(const struct mailauth_taglist *list, const char *tag_name, const char *item,
                   const char *other)
{
	const struct mailauth_tag *tag = mailauth_taglist_find(list, tag_name);
	return !tag || lists(tag->value, item, other);
}

static bool has_flag(const struct mailauth_taglist *list, const char *flag)
{
	const struct mailauth_tag *tag = mailauth_taglist_find(list, "t");
	return tag && lists(tag->value, flag, flag);
}

/* "This tag MUST be the first tag in the record." */
static struct status check_version(const struct mailauth_taglist *list)
{
	const struct mailauth_tag *v = mailauth_taglist_find(list, "v");
	if (v && v != list->v)
		return fail(ERR_SYNTAX, "v= does not stand first");
	if (v && !slice_eq_str(v->value, "DKIM1"))
		return fail(ERR_UNSUPPORTED, "unknown version");
	return ok();
}

static struct status parse_type(const struct mailauth_taglist *list, enum dkim_key_type *ret_type)
{
	const struct mailauth_tag *tag = mailauth_taglist_find(list, "k");
	*ret_type = DKIM_KEY_RSA;
	if (!tag || slice_eq_str(tag->value, "rsa"))
		return ok();
	*ret_type = DKIM_KEY_ED25519;
	return slice_eq_str(tag->value, "ed25519") ? ok()
	                                           : fail(ERR_UNSUPPORTED, "unknown type of key");
}

static unsigned count_bits(struct slice number)
{
	if (number.n == 0)
		return 0;
	unsigned first = (unsigned)(32 - __builtin_clz((unsigned)number.p[0] | 1));
	return (unsigned)(number.n - 1) * 8 + first;
}

static bool is_odd(struct slice number)
{
	return number.n > 0 && (number.p[number.n - 1] & 1);
}

static struct status read_rsa(struct slice der, struct dkim_key *key)
{
	TRY(der_rsa_parse(der, &key->modulus, &key->exponent));
	key->bits = count_bits(key->modulus);
	if (!is_odd(key->modulus) || !is_odd(key->exponent) || count_bits(key->exponent) < 2)
		return fail(ERR_INVALID, "p= holds an RSA key that anybody could sign with");
	if (count_bits(key->exponent) > DKIM_RSA_EXPONENT_BITS)
		return fail(ERR_INVALID, "p= holds an RSA key with a huge exponent");
	return ok();
}

static struct status read_key(struct slice bytes, struct dkim_key *key)
{
	if (key->type == DKIM_KEY_RSA) {
		struct status status = read_rsa(bytes, key);
		return status.code == ERR_SYNTAX ? fail(ERR_INVALID, "p= holds no RSA key")
		                                 : status;
	}
	if (bytes.n != DKIM_ED25519_KEY_SIZE)
		return fail(ERR_INVALID, "p= holds no Ed25519 key");
	key->ed25519 = bytes;
	key->bits = 256;
	return ok();
}

static struct status parse_key(const struct mailauth_taglist *list, struct arena *arena,
                               struct dkim_key *key)
{
	const struct mailauth_tag *tag = mailauth_taglist_find(list, "p");
	if (!tag)
		return fail(ERR_SYNTAX, "p= is missing");
	struct slice text = mailauth_tag_strip(tag->value, arena);
	CLEANUP(buf_done) struct buf bytes;
	buf_init(&bytes, DKIM_KEY_RECORD_MAX);
	if (!is_ok(base64_decode(text, &bytes)))
		return fail(ERR_SYNTAX, "p= is no base64");
	key->revoked = bytes.n == 0;
	return key->revoked ? ok() : read_key(arena_copy(arena, buf_slice(&bytes)), key);
}

struct status dkim_key_parse(struct slice text, struct arena *arena, struct dkim_key *ret_key)
{
	struct mailauth_taglist list;
	struct dkim_key key = {.modulus = slice_empty(),
	                       .exponent = slice_empty(),
	                       .ed25519 = slice_empty(),
	                       .notes = slice_empty()};
	if (text.n > DKIM_KEY_RECORD_MAX)
		return fail(ERR_LIMIT, "too long");
	TRY(mailauth_taglist_parse(text, arena, &list));
	TRY(check_version(&list));
	TRY(parse_type(&list, &key.type));
	struct status status = parse_key(&list, arena, &key);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for it");
	TRY(status);
	const struct mailauth_tag *notes = mailauth_taglist_find(&list, "n");
	if (notes)
		key.notes = arena_copy(arena, slice_sub(notes->value, 0, DKIM_KEY_NOTES_MAX));
	key.sha256 = allows(&list, "h", "sha256", "sha256");
	key.email = allows(&list, "s", "email", "*");
	key.testing = has_flag(&list, "y");
	key.strict_identity = has_flag(&list, "s");
	*ret_key = key;
	return ok();
}

enum mailauth_result dkim_key_judge(const struct dkim_key *key, const char **ret_why)
{
	bool is_rsa = key->type == DKIM_KEY_RSA;
	const struct {
		bool holds;
		enum mailauth_result result;
		const char *why;
	} objections[] = {
	        {key->revoked, MAILAUTH_PERMERROR, "was revoked"},
	        {!key->email, MAILAUTH_PERMERROR, "is not for mail"},
	        {!key->sha256, MAILAUTH_PERMERROR, "is not for SHA-256"},
	        {is_rsa && key->bits < DKIM_RSA_BITS_MIN, MAILAUTH_POLICY,
	         "is RSA below 1024 bits"},
	        {is_rsa && key->bits > DKIM_RSA_BITS_MAX, MAILAUTH_POLICY,
	         "is RSA above 8192 bits"},
	};
	for (size_t i = 0; i < N_ELEMENTS(objections); i++)
		if (objections[i].holds) {
			*ret_why = objections[i].why;
			return objections[i].result;
		}
	*ret_why = "";
	return MAILAUTH_PASS;
}

static struct status print_bytes(const struct dkim_key *key, struct buf *out)
{
	CLEANUP(buf_done) struct buf bytes;
	struct slice modulus, exponent;
	buf_init(&bytes, DKIM_KEY_RECORD_MAX);
	if (key->type == DKIM_KEY_RSA) {
		der_rsa_print(key->modulus, key->exponent, &bytes);
		TRY(der_rsa_parse(buf_slice(&bytes), &modulus, &exponent));
	} else {
		buf_add(&bytes, key->ed25519);
		if (bytes.n != DKIM_ED25519_KEY_SIZE)
			return fail(ERR_INVALID, "not the size of an Ed25519 key");
	}
	base64_encode(buf_slice(&bytes), out);
	return ok();
}

struct status dkim_key_print(const struct dkim_key *key, struct buf *out)
{
	buf_printf(out, "v=DKIM1; k=%s;", dkim_key_type_name(key->type));
	if (!key->sha256 || !key->email)
		return fail(ERR_INVALID, "a key that is of no use to anybody");
	if (key->testing || key->strict_identity)
		buf_printf(out, " t=%s%s%s;", key->testing ? "y" : "",
		           key->testing && key->strict_identity ? ":" : "",
		           key->strict_identity ? "s" : "");
	buf_add_str(out, " p=");
	if (!key->revoked && !is_ok(print_bytes(key, out)))
		return fail(ERR_INVALID, "not the numbers of a key");
	return buf_failed(out) ? fail(ERR_LIMIT, "no room for a key record") : ok();
}

const char *dkim_key_name(const char *selector, const char *domain, struct arena *arena)
{
	const char *name = arena_printf(arena, "%s._domainkey.%s", selector, domain);
	return name && strlen(name) <= DKIM_NAME_MAX ? name : NULL;
}
