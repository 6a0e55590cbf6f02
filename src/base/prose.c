/* Wrapping and escaping of text for people. */
#include "base/prose.h"

void prose_wrap(struct slice text, unsigned indent, unsigned width, struct buf *out)
{
	size_t column = 0;
	while (text.n > 0) {
		struct slice word;
		(void)slice_cut(text, ' ', &word, &text);
		if (column > 0 && column + 1 + word.n > width) {
			buf_add_byte(out, '\n');
			column = 0;
		}
		if (column == 0) {
			buf_printf(out, "%*s", (int)indent, "");
			column = indent;
		} else {
			buf_add_byte(out, ' ');
			column++;
		}
		buf_add(out, word);
		column += word.n;
	}
	buf_add_byte(out, '\n');
}

void prose_roff(const char *text, struct buf *out)
{
	bool at_start = true;
	for (; *text; text++) {
		if (at_start && (*text == '.' || *text == '\''))
			buf_add_str(out, "\\&");
		if (*text == '\\')
			buf_add_str(out, "\\e");
		else if (*text == '-')
			buf_add_str(out, "\\-");
		else
			buf_add_byte(out, (uint8_t)*text);
		at_start = *text == '\n';
	}
}
