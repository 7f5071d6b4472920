/* SPDX-License-Identifier: MIT */
#include "help.h"

#include <string.h>

#include "../event/event.h"
#include "../rules/operators.h"
#include "../rules/ruleset.h"
#include "switches.h"

/* Where help texts begin, and where their lines end. */
#define HELP_COLUMN 24
#define HELP_WIDTH  100

/* Prints text from the help column on, broken at blanks. */
static void put_wrapped(const char *text, size_t column, FILE *to)
{
	while (*text) {
		size_t n = strcspn(text, " ");

		if (column + 1 + n > HELP_WIDTH) {
			fprintf(to, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		}
		column += (size_t)fprintf(to, "%s%.*s", column > HELP_COLUMN ? " " : "", (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

/* "  left      help", the left part padded, or on a line of its own when it is long. */
static void put_row(const char *left, const char *help, FILE *to)
{
	int n = fprintf(to, "  %s", left);

	if (n >= HELP_COLUMN)
		fprintf(to, "\n%*s", HELP_COLUMN, "");
	else
		fprintf(to, "%*s", HELP_COLUMN - n, "");
	put_wrapped(help, HELP_COLUMN, to);
}

void help_banner(FILE *to)
{
	fputs("konseki v" KONSEKI_VERSION " - watches a Linux machine and logs what happens on it, as Sysmon does\n"
	      "By the konseki authors\n"
	      "Copyright (c) 2026 the konseki authors; MIT licence\n"
	      "Uses libbpf, expat, OpenSSL, libseccomp and zlib\n\n",
	      to);
}

static void put_usages(FILE *to)
{
	fputs("Install:                konseki -accepteula -i [FILE]\n"
	      "Change or print rules:  konseki -c [FILE | -- | SETTINGS]\n"
	      "Event manifest:         konseki -m\n"
	      "Print the schema:       konseki -s [VERSION | all]\n"
	      "Uninstall:              konseki -u [force]\n\n",
	      to);
}

void help_switches(FILE *to)
{
	put_usages(to);
	for (int i = 0; i < SWITCH_COUNT; i++) {
		const struct switch_row *row = &switch_rows[i];
		char left[40];

		snprintf(left, sizeof(left), row->value == VALUE_OPTIONAL ? "-%s [%s]" :
			 row->value == VALUE_REQUIRED ? "-%s %s" : "-%s", row->text, row->value_name);
		put_row(left, row->help, to);
	}
	fputs("\nLists are separated by commas; two commas stand for one that belongs to an item.\n"
	      "Events go to /var/log/konseki/Linux-Sysmon%4Operational.evtx; 'konseki view' shows them.\n"
	      "'konseki -? config' explains the configuration, 'konseki help' the verbs run, view, status ...\n",
	      to);
}

static const char sample[] =
	"  <Sysmon schemaversion=\"" RULESET_SCHEMA_VERSION "\">\n"
	"    <HashAlgorithms>SHA256</HashAlgorithms>\n"
	"    <EventFiltering>\n"
	"      <!-- every new process but those of one program -->\n"
	"      <ProcessCreate onmatch=\"exclude\">\n"
	"        <Image condition=\"is\">/usr/bin/uptime</Image>\n"
	"      </ProcessCreate>\n"
	"      <!-- connections to two ports -->\n"
	"      <NetworkConnect onmatch=\"include\">\n"
	"        <DestinationPort>22</DestinationPort>\n"
	"        <DestinationPort>443</DestinationPort>\n"
	"      </NetworkConnect>\n"
	"    </EventFiltering>\n"
	"  </Sysmon>\n";

static const char examples[] =
	"Sections of a RuleGroup combine their filters as it says:\n\n"
	"  <RuleGroup name=\"keys\" groupRelation=\"or\">\n"
	"    <FileCreate onmatch=\"include\">\n"
	"      <TargetFilename condition=\"end with\">/authorized_keys</TargetFilename>\n"
	"      <TargetFilename condition=\"begin with\">/etc/ssh/</TargetFilename>\n"
	"    </FileCreate>\n"
	"  </RuleGroup>\n\n"
	"A Rule counts as one member of its section; its filters combine as it says itself:\n\n"
	"  <ProcessCreate onmatch=\"include\">\n"
	"    <Rule name=\"shell of a web server\" groupRelation=\"and\">\n"
	"      <Image condition=\"image\">sh</Image>\n"
	"      <ParentImage condition=\"contains any\">nginx;apache2</ParentImage>\n"
	"    </Rule>\n"
	"  </ProcessCreate>\n\n"
	"The name of the filter that matched, else of its Rule, else of its RuleGroup, stands in RuleName:\n\n"
	"  <Image name=\"technique_id=T1059.004,technique_name=Unix Shell\" condition=\"image\">bash</Image>\n";

static const struct { const char *element, *help; } elements[] = {
	{ "HashAlgorithms", "digests of images: SHA1, MD5, SHA256, IMPHASH, separated by commas, or *" },
	{ "CheckRevocation", "ask whether signers were revoked: true or false" },
	{ "DnsLookup", "look up host names of addresses: true or false" },
	{ "ArchiveDirectory", "directory at the root of each file system that keeps deleted files" },
	{ "CaptureClipboard", "see the clipboard; an empty element" },
	{ "FieldSizes", "longest output of fields: CommandLine:500,Image:200" },
	{ "DriverName", "no effect here" },
	{ "DriverQueueSize", "no effect here, as SigningQueueSize" },
	{ "CopyOnDeletePE", "no effect here, as CopyOnDeleteSIDs, CopyOnDeleteExtensions and CopyOnDeleteProcesses" },
	{ "PipeMonitoringConfig", "no effect here, as ProcessAccessConfig" },
};

static void put_conditions(FILE *to)
{
	char names[400] = "";
	size_t n = 0;

	for (size_t i = 0; i < OPERATOR_COUNT && n < sizeof(names); i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", operators[i].name);
	put_row("condition=", names, to);
}

void help_config(FILE *to)
{
	fputs("The configuration is Sysmon's. Schema version: " RULESET_SCHEMA_VERSION "\n\n", to);
	fputs(sample, to);
	fputs("\nOption elements:\n", to);
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		put_row(elements[i].element, elements[i].help, to);
	fputs("\nEvents (id, tag of its sections, title); those without a tag are always kept:\n", to);
	for (size_t i = 0; i < EVENT_TYPE_COUNT; i++)
		fprintf(to, "  %3u  %-24s%s\n", event_types[i].id, event_types[i].tag, event_types[i].title);
	fputs("\nConditions; without one it is 'is'. Case does not matter:\n", to);
	put_conditions(to);
	fputc('\n', to);
	fputs(examples, to);
	fputs("\n'konseki check FILE' checks a configuration. 'konseki -s' prints all fields.\n", to);
}

void help_verbs(FILE *to)
{
	fputs("konseki " KONSEKI_VERSION " - watches a Linux machine and logs what happens on it, as Sysmon does\n\n", to);
	for (size_t i = 0; i < VERB_COUNT; i++) {
		char left[60];

		snprintf(left, sizeof(left), "konseki %s %s", verbs[i].name, verbs[i].words);
		put_row(left, verbs[i].help, to);
	}
	fputs("\n'konseki help VERB' shows the options of a verb.\n"
	      "Sysmon's switches work too: -i installs the service, -c changes its rules, -u removes it, -s prints\n"
	      "the schema; 'konseki -?' shows all of them.\n",
	      to);
}

static void put_option(const struct option_row *row, FILE *to)
{
	char left[60];
	char *name = left;

	if (row->letter)
		name += snprintf(left, sizeof(left), "-%c, ", row->letter);
	snprintf(name, sizeof(left) - (size_t)(name - left), "--%s%s%s", row->name, row->value ? " " : "",
		 row->value ? row->value : "");
	for (char *p = name; *p && *p != ' '; p++)
		if (*p == '_')
			*p = '-';
	put_row(left, row->help, to);
}

void help_verb(const struct verb *v, FILE *to)
{
	fprintf(to, "konseki %s%s%s%s: %s\n", v->name, v->option_count ? " [OPTIONS]" : "", v->words[0] ? " " : "",
		v->words, v->help);
	if (v->option_count)
		fputc('\n', to);
	for (unsigned i = 0; i < v->option_count; i++)
		put_option(&v->options[i], to);
}
