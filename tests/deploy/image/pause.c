// SPDX-License-Identifier: Apache-2.0
// The process that holds a pod's namespaces.   gcc -O2 -static -o pause pause.c
#include <signal.h>
#include <unistd.h>

static void end(int number) {
  (void)number;
  _exit(0);
}

int main(void) {
  signal(SIGINT, end);
  signal(SIGTERM, end);
  for (;;) pause();
}
