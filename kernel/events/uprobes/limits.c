// SPDX-License-Identifier: GPL-2.0
/*
 * How much may one program take?
 *
 * Protections of the kernel's memory, not presets that honest programs meet: a
 * call takes some hundred bytes, a return site a slot. What would exceed them
 * is missed, and counted (depth, no-site).
 *
 *	kernel.uprobe_max_depth		calls open at once in one thread
 *	kernel.uprobe_max_return_sites	places in one process where calls return
 *
 * What is open, and what there is, stays when a limit is lowered.
 */

#include <linux/init.h>
#include <linux/sysctl.h>

#include "internal.h"

/* 8 MB of stack end before that */
unsigned int uprobe_max_depth __read_mostly = 65536;

/* the largest programs call one function, such as malloc(), from so many places */
unsigned int uprobe_max_return_sites __read_mostly = 65536;

static struct ctl_table uprobe_limits[] = {
	{
		.procname	= "uprobe_max_depth",
		.data		= &uprobe_max_depth,
		.maxlen		= sizeof(unsigned int),
		.mode		= 0644,
		.proc_handler	= proc_douintvec,
	},
	{
		.procname	= "uprobe_max_return_sites",
		.data		= &uprobe_max_return_sites,
		.maxlen		= sizeof(unsigned int),
		.mode		= 0644,
		.proc_handler	= proc_douintvec,
	},
};

static int __init register_limits(void)
{
	register_sysctl_init("kernel", uprobe_limits);
	return 0;
}
late_initcall(register_limits);
