/* SPDX-License-Identifier: MIT */
#include "xml.h"

#include <errno.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "../base/own.h"

/* A document as bytes: where its markup begins, and what is in front of it. */
struct document {
	const uint8_t *bytes; /* from the first '<' on */
	size_t n;
	const char *encoding; /* NULL: as declared in the document, else UTF-8 */
	unsigned unit;        /* bytes of a character of markup */
	unsigned low;         /* which of them holds it */
	struct position start;
};

struct reading {
	const struct xml_reader *reader;
	struct rule_problems *problems;
	const struct document *document;
	XML_Parser expat;
	unsigned depth;
	bool too_deep;
	struct position too_deep_at;
	bool doctype;
	size_t doctype_from, doctype_to; /* bytes of the document */
};

static bool begins_with(const uint8_t *bytes, size_t n, const char *mark, size_t mark_size)
{
	return n >= mark_size && memcmp(bytes, mark, mark_size) == 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool begins_like_markup(uint8_t c)
{
	return c == '<' || is_blank(c);
}

static size_t skip_mark(struct document *d, size_t mark_size, const char *encoding, unsigned unit,
			unsigned low)
{
	d->encoding = encoding;
	d->unit = unit;
	d->low = low;
	return mark_size;
}

/* Two-byte encodings are seen by their mark, or by the NUL beside the first character. */
static size_t detect_encoding(struct document *d, const uint8_t *bytes, size_t n)
{
	if (begins_with(bytes, n, "\xef\xbb\xbf", 3))
		return skip_mark(d, 3, "UTF-8", 1, 0);
	if (begins_with(bytes, n, "\xff\xfe", 2))
		return skip_mark(d, 2, "UTF-16LE", 2, 0);
	if (begins_with(bytes, n, "\xfe\xff", 2))
		return skip_mark(d, 2, "UTF-16BE", 2, 1);
	if (n >= 2 && bytes[1] == 0 && begins_like_markup(bytes[0]))
		return skip_mark(d, 0, "UTF-16LE", 2, 0);
	if (n >= 2 && bytes[0] == 0 && begins_like_markup(bytes[1]))
		return skip_mark(d, 0, "UTF-16BE", 2, 1);
	return skip_mark(d, 0, NULL, 1, 0);
}

/* The character of markup at this place, or 0 if what stands there is none. */
static uint8_t markup_at(const struct document *d, const uint8_t *p)
{
	return d->unit == 2 && p[1 - d->low] != 0 ? 0 : p[d->low];
}

/* XML wants its declaration at the very beginning; files with blanks before it exist. */
static struct document document_of(const uint8_t *bytes, size_t n)
{
	struct document d = { .start = { 1, 1 } };
	size_t at = detect_encoding(&d, bytes, n);

	while (n - at >= d.unit && is_blank(markup_at(&d, bytes + at))) {
		if (markup_at(&d, bytes + at) == '\n')
			d.start = (struct position){ d.start.line + 1, 1 };
		else
			d.start.column++;
		at += d.unit;
	}
	d.bytes = bytes + at;
	d.n = n - at;
	return d;
}

static struct position position_now(const struct reading *r)
{
	unsigned line = (unsigned)XML_GetCurrentLineNumber(r->expat);
	unsigned column = (unsigned)XML_GetCurrentColumnNumber(r->expat);
	struct position start = r->document->start;

	return (struct position){ start.line + line - 1, line == 1 ? start.column + column : column + 1 };
}

static void XMLCALL on_open(void *data, const XML_Char *element, const XML_Char **attributes)
{
	struct reading *r = data;

	if (++r->depth > RULESET_DEPTH_MAX) {
		r->too_deep = true;
		r->too_deep_at = position_now(r);
		XML_StopParser(r->expat, XML_FALSE);
		return;
	}
	r->reader->open(r->reader->to, position_now(r), element, (const char *const *)attributes);
}

static void XMLCALL on_close(void *data, const XML_Char *element)
{
	struct reading *r = data;

	(void)element;
	if (r->too_deep) /* expat still ends an empty element after it was stopped */
		return;
	r->depth--;
	r->reader->close(r->reader->to);
}

static void XMLCALL on_text(void *data, const XML_Char *piece, int n)
{
	struct reading *r = data;

	r->reader->text(r->reader->to, position_now(r), piece, (size_t)n);
}

/* Without a handler of its own the word that opens a DOCTYPE comes here. */
static void XMLCALL on_other(void *data, const XML_Char *piece, int n)
{
	static const char word[] = "<!DOCTYPE";
	struct reading *r = data;

	if (n == (int)sizeof(word) - 1 && memcmp(piece, word, sizeof(word) - 1) == 0)
		r->doctype_from = (size_t)XML_GetCurrentByteIndex(r->expat);
}

static void XMLCALL on_doctype_end(void *data)
{
	struct reading *r = data;

	r->doctype = true;
	r->doctype_to = (size_t)XML_GetCurrentByteIndex(r->expat) +
			(size_t)XML_GetCurrentByteCount(r->expat);
	XML_StopParser(r->expat, XML_FALSE);
}

/* Puts blanks in place of the DOCTYPE, so that line and column stay what they are. */
static void blank_doctype(const struct reading *r, uint8_t *bytes)
{
	const struct document *d = r->document;

	for (size_t at = r->doctype_from; at + d->unit <= r->doctype_to; at += d->unit) {
		if (is_blank(markup_at(d, bytes + at)))
			continue;
		memset(bytes + at, 0, d->unit);
		bytes[at + d->low] = ' ';
	}
}

static int complain(const struct reading *r)
{
	enum XML_Error code = XML_GetErrorCode(r->expat);
	struct position at = position_now(r);

	if (code == XML_ERROR_NO_MEMORY)
		return -ENOMEM;
	if (r->too_deep)
		problem_add(r->problems, r->too_deep_at, "elements are nested more than %u deep",
			    RULESET_DEPTH_MAX);
	else if (code == XML_ERROR_UNDEFINED_ENTITY)
		problem_add(r->problems, at, "entities are not expanded, expected one of &lt; &gt; &amp; "
			    "&quot; &apos; or a character number such as &#228;");
	else if (code == XML_ERROR_NO_ELEMENTS && r->depth > 0)
		problem_add(r->problems, at, "the file ends inside of an element");
	else if (code == XML_ERROR_NO_ELEMENTS)
		problem_add(r->problems, at, "no XML document here, expected <Sysmon schemaversion=\"%s\">",
			    RULESET_SCHEMA_VERSION);
	else
		problem_add(r->problems, at, "not well-formed XML: %s", XML_ErrorString(code));
	return -EBADMSG;
}

static int parse(struct reading *r)
{
	enum XML_Status status;
	int ret = 0;

	r->expat = XML_ParserCreate(r->document->encoding);
	if (!r->expat)
		return -ENOMEM;

	XML_SetUserData(r->expat, r);
	XML_SetElementHandler(r->expat, on_open, on_close);
	XML_SetCharacterDataHandler(r->expat, on_text);
	XML_SetDefaultHandler(r->expat, on_other);
	XML_SetEndDoctypeDeclHandler(r->expat, on_doctype_end);
	status = XML_Parse(r->expat, (const char *)r->document->bytes, (int)r->document->n, XML_TRUE);
	if (status != XML_STATUS_OK && !r->doctype)
		ret = complain(r);
	XML_ParserFree(r->expat);
	return ret;
}

static int parse_without_doctype(struct reading *r)
{
	struct document blanked = *r->document;
	OWNED_HEAP uint8_t *copy = malloc(blanked.n);
	int ret;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, blanked.bytes, blanked.n);
	blank_doctype(r, copy);
	blanked.bytes = copy;
	r->document = &blanked;
	r->doctype = false;
	ret = parse(r);
	if (ret < 0 || !r->doctype)
		return ret;
	problem_add(r->problems, blanked.start, "more than one DOCTYPE");
	return -EBADMSG;
}

int xml_read(const void *bytes, size_t n, const struct xml_reader *reader, struct rule_problems *problems)
{
	struct document document = document_of(bytes, n);
	struct reading r = { .reader = reader, .problems = problems, .document = &document };
	int ret;

	if (n > RULESET_BYTES_MAX) {
		problem_add(problems, (struct position){ 1, 1 },
			    "the file has %zu bytes, at most %u are read", n, RULESET_BYTES_MAX);
		return -EBADMSG;
	}
	ret = parse(&r);
	if (ret == 0 && r.doctype)
		ret = parse_without_doctype(&r);
	return ret;
}
