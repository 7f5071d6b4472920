/* SPDX-License-Identifier: MIT */
/* Any byte but the slash may stand in a name: each has its one written form, and a terminal survives it.
 *
 * judges 11 26
 * expect 11 TargetFilename="$work/line\nend"
 * expect 26 TargetFilename="$work/line\nend"
 * expect 11 TargetFilename="$work/tab\there and blank "
 * expect 26 TargetFilename="$work/tab\there and blank "
 * expect 11 TargetFilename="$work/quotes\"'<&>]]>%s"
 * expect 26 TargetFilename="$work/quotes\"'<&>]]>%s"
 * expect 11 TargetFilename="$work/\\xFF\\xFEno UTF-8\\xC3"
 * expect 26 TargetFilename="$work/\\xFF\\xFEno UTF-8\\xC3"
 * expect 11 TargetFilename="$work/\\x1B[31mred\\x07\\x7F\\x01"
 * expect 26 TargetFilename="$work/\\x1B[31mred\\x07\\x7F\\x01"
 * expect 11 TargetFilename="$work/written \\x5cx41 \\n \\"
 * expect 26 TargetFilename="$work/written \\x5cx41 \\n \\"
 * expect 11 TargetFilename="$work/証跡 ü 🐧"
 * expect 26 TargetFilename="$work/証跡 ü 🐧"
 * expect 11 TargetFilename="$work/\\xEF\\xBF\\xBE\\xED\\xA0\\x80\\xC0\\xAF"
 * expect 26 TargetFilename="$work/\\xEF\\xBF\\xBE\\xED\\xA0\\x80\\xC0\\xAF" */
#include "behaviour.h"

#include <unistd.h>

static const char *const names[] = {
	"line\nend",
	"tab\there and blank ",
	"quotes\"'<&>]]>%s",
	"\xff\xfeno UTF-8\xc3",
	"\033[31mred\a\x7f\x01",
	"written \\x41 \\n \\",
	"証跡 ü 🐧",
	"\xef\xbf\xbe\xed\xa0\x80\xc0\xaf", /* U+FFFE, a surrogate, a slash in two bytes */
};

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_file(names[i]);
		MUST(unlink(names[i]));
	}
}
