/* SPDX-License-Identifier: MIT */
#include "schema.h"

#include <string.h>
#include <strings.h>

#include "../event/event.h"
#include "../hunt/escape.h"
#include "../rules/operators.h"
#include "../rules/ruleset.h"
#include "switches.h"

/* Version of the compiled rules that goes with this schema in Sysmon 15.2. */
#define BINARY_VERSION "18"

static const char *const arguments[] = {
	[VALUE_NONE] = "none", [VALUE_OPTIONAL] = "optional", [VALUE_REQUIRED] = "required"
};

static void put_switch(const struct switch_row *row, FILE *to)
{
	static const char *const attributes[] = {
		[ROLE_COMMAND] = " noconfig=\"true\" exclusive=\"true\"",
		[ROLE_PLAIN] = " noconfig=\"true\"",
		[ROLE_OPTION] = "",
		[ROLE_RULE] = " rule=\"true\"",
		[ROLE_FORCED] = " rule=\"true\" forceconfig=\"true\"",
	};

	if (row->role == ROLE_OWN)
		return;
	fprintf(to, "      <option switch=\"%s\" name=\"%s\" argument=\"%s\"%s />\n", row->text, row->name,
		arguments[row->value], attributes[row->role]);
}

static void put_options(FILE *to)
{
	fputs("    <options>\n", to);
#define SWITCH(symbol, ...)  put_switch(&switch_rows[SWITCH_##symbol], to);
#define ELEMENT(name, value) fprintf(to, "      <option name=\"%s\" argument=\"%s\" />\n", name, arguments[VALUE_##value]);
#include "switches.def"
	fputs("    </options>\n", to);
}

static void put_conditions(FILE *to)
{
	fputs("    <filters default=\"is\">", to);
	for (size_t i = 0; i < OPERATOR_COUNT; i++)
		fprintf(to, "%s%s", i ? "," : "", operators[i].name);
	fputs("</filters>\n", to);
}

static void put_field(const struct field *field, FILE *to)
{
	const char *out = field_type_outtype(field->type);

	fprintf(to, "      <data name=\"%s\" inType=\"%s\"", field->name, field_type_name(field->type));
	if (out)
		fprintf(to, " outType=\"%s\"", out);
	fputs(" />\n", to);
}

static void put_event(const struct event_type *type, FILE *to)
{
	fprintf(to, "    <event name=\"%s\" value=\"%u\" level=\"%s\" template=\"%s\"", type->schema_name, type->id,
		type->level == LEVEL_ERROR ? "Error" : "Informational", type->title);
	if (type->tag[0])
		fprintf(to, " rulename=\"%s\"", type->tag);
	if (type->kept == DEFAULT_ON)
		fputs(" ruledefault=\"include\"", to);
	fprintf(to, " version=\"%u\">\n", type->version);
	for (unsigned i = 0; i < type->field_count; i++)
		put_field(&type->fields[i], to);
	fputs("    </event>\n", to);
}

int schema_print(const char *wanted, FILE *to)
{
	if (wanted && strcasecmp(wanted, "all") != 0 &&
	    strncmp(RULESET_SCHEMA_VERSION, wanted, strlen(wanted)) != 0)
		return 0;
	fputs("<manifest schemaversion=\"" RULESET_SCHEMA_VERSION "\" binaryversion=\"" BINARY_VERSION "\">\n"
	      "  <configuration>\n", to);
	put_options(to);
	put_conditions(to);
	fputs("  </configuration>\n  <events>\n", to);
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++)
		put_event(&event_types[i], to);
	fputs("  </events>\n</manifest>\n", to);
	return 1;
}
