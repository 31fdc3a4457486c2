/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which command was measured?
 *
 * report.c asks with the command line of perf record. No perf in here.
 */
#ifndef __PERF_RETURNS_COMMAND_H
#define __PERF_RETURNS_COMMAND_H

char *measured_command(char *const *argv, int argc, const char *comm);

#endif /* __PERF_RETURNS_COMMAND_H */
