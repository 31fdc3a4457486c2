/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where does perf probe keep the events of somebody who may not write tracefs?
 */
#ifndef __PERF_UPROBE_STORE_H
#define __PERF_UPROBE_STORE_H

#include <stdbool.h>
#include <sys/types.h>

struct strlist;

extern bool uprobe_store__persist;

int uprobe_store__open(bool readwrite, int error);
ssize_t uprobe_store__write(int fd, const char *command);
struct strlist *uprobe_store__commands(bool in_memory);
bool uprobe_store__is_used(void);
int uprobe_store__keep_in_memory(void);

#endif /* __PERF_UPROBE_STORE_H */
