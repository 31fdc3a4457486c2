/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How does the table of returns look?
 *
 * A view of report.c. No perf in here, only struct returns.
 */
#ifndef __PERF_RETURNS_TABLE_H
#define __PERF_RETURNS_TABLE_H

#include <stdio.h>

struct returns;

int returns_table__fprintf(const struct returns *returns, FILE *fp);

#endif /* __PERF_RETURNS_TABLE_H */
