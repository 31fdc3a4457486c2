// SPDX-License-Identifier: GPL-2.0
/* Something for a debugger to walk through: three functions deep, five times. */
#include <stdio.h>

volatile int noted;

__attribute__((noipa)) int inner(int x)
{
	noted = x;
	noted = x + 1;	/* where the debugger stops */
	return x * 2;
}

__attribute__((noipa)) int middle(int x)
{
	return inner(x + 1) + 1;
}

__attribute__((noipa)) int outer(int x)
{
	return middle(x + 1) + 1;
}

int main(void)
{
	int i, sum = 0;

	for (i = 0; i < 5; i++)
		sum += outer(i);
	printf("%d\n", sum);
	return 0;
}
