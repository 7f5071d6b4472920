/* SPDX-License-Identifier: MIT */
/* One process takes hold of another and changes where it goes on and what stands there. Looking at its registers and
 * data, detaching, setting registers as they are, and writing to data is none of that; nor is what is refused.
 *
 * judges 8 10 25
 * expect 10 TargetProcessId=$target TargetImage=$image GrantedAccess=0x1fffff SourceThreadId=$self CallTrace=-
 * expect 10 TargetProcessId=$target TargetImage=$image GrantedAccess=0x1fffff
 * expect 10 TargetProcessId=$willing TargetImage=$image GrantedAccess=0x1fffff
 * expect 8 TargetProcessId=$target NewThreadId=$target StartAddress=$moved StartModule=$image StartFunction=-
 * expect 8 TargetProcessId=$target NewThreadId=$target StartAddress=$text StartModule=$image
 * expect 25 ProcessId=$target Type="Image is replaced" */
#include "behaviour.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static long data = 1;

static void wait_to_be_killed(void)
{
	for (;;)
		pause();
}

static void be_willing(void)
{
	MUST(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static void end(pid_t pid)
{
	MUST(kill(pid, SIGKILL));
	wait_for(pid);
}

void behave(int argc, char **argv)
{
	struct user_regs_struct registers;
	long text = (long)wait_to_be_killed, word;
	pid_t target = start(wait_to_be_killed);

	(void)argc, (void)argv;
	say("target", "%d", target);
	MUST(ptrace(PTRACE_ATTACH, target, NULL, NULL));
	MUST(waitpid(target, NULL, 0));
	MUST(ptrace(PTRACE_GETREGS, target, NULL, &registers));
	MUST(ptrace(PTRACE_SETREGS, target, NULL, &registers));
	registers.rip = (unsigned long long)text;
	registers.orig_rax = -1ull; /* no system call to be begun again */
	MUST(ptrace(PTRACE_SETREGS, target, NULL, &registers));
	say("moved", "0x%016llX", registers.rip);

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, target, (void *)text, NULL);
	MUST(errno ? -1 : 0);
	MUST(ptrace(PTRACE_POKETEXT, target, (void *)text, (void *)word));
	say("text", "0x%016lX", (unsigned long)text);
	MUST(ptrace(PTRACE_POKEDATA, target, &data, (void *)2L));
	MUST(ptrace(PTRACE_DETACH, target, NULL, NULL));
	MUST(ptrace(PTRACE_SEIZE, target, NULL, NULL));
	MUST(ptrace(PTRACE_ATTACH, target, NULL, NULL) < 0 ? 0 : -1); /* held already */
	end(target);
	say("willing", "%d", child(be_willing));
}
