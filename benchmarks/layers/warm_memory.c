/* Takes memory and gives it back: warm_memory MIB

   The host of a virtual machine takes back what this one has freed for a few seconds (free page reporting), and gives it
   again, at a price, to whoever uses it next: without this, to the tool that happens to be measured. */

#include <err.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    size_t size = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) << 20 : 0;
    if (!size)
        errx(2, "MIB");
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        err(1, "%s MiB", argv[1]);
    for (size_t at = 0; at < size; at += 4096)
        memory[at] = 1;
    return 0;
}
