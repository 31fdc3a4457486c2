// SPDX-License-Identifier: GPL-2.0
/*
 * Who may say that a function has returned?
 *
 * Stock's return probes put the address of a trampoline in place of the return
 * address, and the trampoline makes a system call of its own. Here the trampoline, if
 * there is one, makes none (kernel/events/uprobes/trampoline.c), and so whoever makes
 * that call has no business to: it gets what stock gives to all but the trampoline.
 */
#include <linux/sched/signal.h>
#include <linux/syscalls.h>

SYSCALL_DEFINE0(uretprobe)
{
	force_sig(SIGILL);
	return -1;
}
