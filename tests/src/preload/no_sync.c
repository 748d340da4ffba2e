// Stands before the system's library and syncs nothing: what an operator gets from a disk that lies.

#define _GNU_SOURCE
#include <stddef.h>
#include <sys/types.h>

int fsync(int file) {
    (void)file;
    return 0;
}

int fdatasync(int file) {
    (void)file;
    return 0;
}

int sync_file_range(int file, off_t offset, off_t length, unsigned int flags) {
    (void)file, (void)offset, (void)length, (void)flags;
    return 0;
}

int msync(void *address, size_t length, int flags) {
    (void)address, (void)length, (void)flags;
    return 0;
}
