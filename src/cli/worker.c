/* cli/worker.c - `maas worker`: started by the server for each job, never by hand. */
#include <stdio.h>

#include "base/num.h"
#include "cli/cli.h"
#include "jobs/jobs.h"
#include "base/ban.h"

int maas_cmd_worker(int argc, char **argv)
{
    int64_t fd = -1;
    if (argc == 3 && maas_parse_i64(argv[2], &fd) && fd >= 3 && fd < 1024)
        return maas_worker_main((int)fd);
    fputs("maas: a worker is started by the server (maas worker --fd N)\n", stderr);
    return MAAS_EXIT_USAGE;
}
