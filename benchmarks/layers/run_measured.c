/* Runs a command and tells what it cost: run_measured REPORT COMMAND...

   The report is one line: seconds, seconds of CPU, KiB at most, and the wait status. A process starts with its
   parent's peak memory, so the parent has to be as small as this. */

#define _GNU_SOURCE
#include <err.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    struct timespec began, ended;
    struct rusage usage;
    int status;
    if (argc < 3)
        errx(2, "REPORT COMMAND...");
    clock_gettime(CLOCK_MONOTONIC, &began);
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        err(127, "%s", argv[2]);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) < 0)
        err(1, "%s", argv[2]);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    FILE *report = fopen(argv[1], "w");
    if (!report)
        err(1, "%s", argv[1]);
    fprintf(report, "%.6f %.6f %ld %d\n",
            (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9,
            seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss, status);
    return 0;
}
