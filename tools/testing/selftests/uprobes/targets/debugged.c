// SPDX-License-Identifier: GPL-2.0
/*
 * A program to be debugged, probed or not: gdb_sees_the_real_program.
 *
 *	debugged CALLS		calls as many times, and prints the sum
 */
#include <stdio.h>
#include <stdlib.h>

#define FUNCTION __attribute__((noipa))

/* An instruction of each class at a label: emulated, relocated, stepped. */
long classes(long x);
asm(".text\n"
    ".globl classes\n"
    ".type classes, @function\n"
    ".balign 16\n"
    "classes:\n"
    "	.cfi_startproc\n"
    "in_nop:	nop\n"
    "in_lea:	lea	1(%rdi,%rdi,2), %rax\n"
    "	pushf\n"
    "	.cfi_adjust_cfa_offset 8\n"
    "in_popf:	popf\n"
    "	.cfi_adjust_cfa_offset -8\n"
    "in_ret:	ret\n"
    "	.cfi_endproc\n"
    ".size classes, . - classes\n");

FUNCTION long leaf(long x)
{
	return 3 * x + 1;
}

FUNCTION long middle(long x)
{
	long y = leaf(x);

	y += classes(x);
	return y;
}

FUNCTION long outer(long x)
{
	return middle(x) - 2;
}

int main(int argc, char **argv)
{
	long i, n = argc > 1 ? atol(argv[1]) : 3, sum = 0;

	for (i = 0; i < n; i++)
		sum += outer(i);
	printf("sum %ld\n", sum);
	return 0;
}
