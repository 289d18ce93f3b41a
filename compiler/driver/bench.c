#include "driver/commands.h"
int command_bench(const Request *c) { (void)c; return 70; }
