#include <kernel_stubs.h>
