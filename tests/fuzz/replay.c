/*
 * tests/fuzz/replay.c - runs a fuzz target over saved inputs: files, or every file of directories.
 * The target crashes or aborts on a bug; a process that gets to the end has passed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_run, n_unreadable;

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        n_unreadable++;
        fprintf(stderr, "not ok: cannot read %s\n", path);
        return;
    }
    struct stat sb;
    size_t cap = fstat(fileno(f), &sb) == 0 && sb.st_size > 0 ? (size_t)sb.st_size : 1;
    uint8_t *bytes = malloc(cap); /* exactly the size, so that ASan sees a read past the end */
    size_t n = bytes ? fread(bytes, 1, cap, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    n_run++;
}

static void run_directory(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && (d = readdir(dir));) {
        char name[4096];
        if (d->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, d->d_name);
        run_file(name);
    }
    if (dir)
        closedir(dir);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat sb;
        if (stat(argv[i], &sb) == 0 && S_ISDIR(sb.st_mode))
            run_directory(argv[i]);
        else
            run_file(argv[i]);
    }
    printf("%d passed, %d failed\n", n_run, n_unreadable);
    return n_unreadable || !n_run;
}
