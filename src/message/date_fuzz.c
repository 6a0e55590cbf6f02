/* Dates: what was read is written and reads as the same instant. */
#include "message/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_date date, again;
	if (!is_ok(message_date_parse(slice_of(data, size), &date)))
		return 0;
	char text[MESSAGE_DATE_SIZE];
	message_date_format(date.unix_s, date.zone_minutes, text);
	ASSERT(is_ok(message_date_parse(slice_str(text), &again)));
	/* The first and last days of the range are cut. */
	ASSERT(again.unix_s - date.unix_s <= 86400 * 6 && date.unix_s - again.unix_s <= 86400 * 6);
	if (date.day > -25000 && date.day < 2900000)
		ASSERT(again.unix_s == date.unix_s);
	return 0;
}
