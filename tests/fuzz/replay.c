/* Runs a fuzz target once over each file of the folders and files named: the kept corpus and the
 * regressions, in every build, without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static unsigned long replayed;

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (f == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        return 1;
    }
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    uint8_t *p = malloc(size > 0 ? (size_t)size : 1);
    size_t n = p == NULL ? 0 : fread(p, 1, (size_t)size, f);
    fclose(f);
    LLVMFuzzerTestOneInput(p, n);
    free(p);
    replayed++;
    return 0;
}

static int replay(const char *path)
{
    char child[4096];
    struct stat st;
    int bad = 0;

    if (stat(path, &st) != 0) {
        return 0; /* a target without kept inputs yet */
    }
    if (!S_ISDIR(st.st_mode)) {
        return replay_file(path);
    }
    DIR *d = opendir(path);
    if (d == NULL) {
        return 1;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') {
            snprintf(child, sizeof child, "%s/%s", path, e->d_name);
            bad |= replay(child);
        }
    }
    closedir(d);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = LLVMFuzzerTestOneInput((const uint8_t *)"", 0);

    for (int i = 1; i < argc; i++) {
        bad |= replay(argv[i]);
    }
    printf("%lu inputs replayed\n", replayed);
    return bad;
}
