#include <kernel_stubs.h>
#include_next <linux/limits.h>
