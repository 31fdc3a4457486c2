/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How does a program in the guest tell the meter where a section begins and ends?
 *
 * A mark is "nopl MARK_MAGIC + n(%rax)". n is the number of the section that
 * begins, or MARK_END. The number is part of the instruction, since a plugin of
 * QEMU 7.2 can't read the guest's registers.
 */
#ifndef UPROBES_MARK_H
#define UPROBES_MARK_H

#define MARK_MAGIC	0x4d657400
#define MARK_COUNT	1024
#define MARK_END	0

#endif /* UPROBES_MARK_H */
