/* The calls that count: which system calls can change a file system, and whether a given one would. */
#ifndef KILLPOINT_CALLS_H
#define KILLPOINT_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

enum { TARGET_BYTES = 1024 };
enum kind {
    PATH,   /* argument `target` is a path */
    AT,     /* the same, relative to the folder descriptor in the argument before it */
    OPEN,   /* PATH, and the next argument holds flags: counted only when it creates or empties */
    OPENAT, /* AT, with flags like OPEN */
    HOW,    /* AT, with the flags in a struct open_how */
    FILED,  /* argument `target` is a descriptor: counted only for regular files and folders */
    CLONE,  /* an ioctl on a descriptor: counted only when it shares blocks or sets attributes */
    ALL,    /* no target: always counted */
};
struct call {
    unsigned number;
    const char *name;
    enum kind kind;
    int target;
};

#define CALL(name, kind, target) {SYS_##name, #name, kind, target}
static const struct call TABLE[] = {
    CALL(write, FILED, 0), CALL(pwrite64, FILED, 0), CALL(writev, FILED, 0), CALL(pwritev, FILED, 0),
    CALL(pwritev2, FILED, 0), CALL(sendfile, FILED, 0), CALL(copy_file_range, FILED, 2), CALL(splice, FILED, 2),
    CALL(ftruncate, FILED, 0), CALL(truncate, PATH, 0), CALL(fallocate, FILED, 0), CALL(ioctl, CLONE, 0),
    CALL(openat, OPENAT, 1), CALL(openat2, HOW, 1), CALL(mkdirat, AT, 1), CALL(mknodat, AT, 1),
    CALL(renameat, AT, 3), CALL(renameat2, AT, 3), CALL(linkat, AT, 3), CALL(symlinkat, AT, 2),
    CALL(unlinkat, AT, 1), CALL(fchmod, FILED, 0), CALL(fchmodat, AT, 1), CALL(fchmodat2, AT, 1),
    CALL(fchown, FILED, 0), CALL(fchownat, AT, 1), CALL(utimensat, AT, 1), CALL(setxattr, PATH, 0),
    CALL(lsetxattr, PATH, 0), CALL(fsetxattr, FILED, 0), CALL(removexattr, PATH, 0), CALL(lremovexattr, PATH, 0),
    CALL(fremovexattr, FILED, 0), CALL(fsync, FILED, 0), CALL(fdatasync, FILED, 0), CALL(sync_file_range, FILED, 0),
    CALL(syncfs, FILED, 0), CALL(sync, ALL, 0), CALL(msync, ALL, 0),
#ifdef __x86_64__ /* the older names, which newer architectures do not have */
    CALL(open, OPEN, 0), CALL(creat, PATH, 0), CALL(mkdir, PATH, 0), CALL(mknod, PATH, 0), CALL(rename, PATH, 1),
    CALL(link, PATH, 1), CALL(symlink, PATH, 1), CALL(unlink, PATH, 0), CALL(rmdir, PATH, 0), CALL(chmod, PATH, 0),
    CALL(chown, PATH, 0), CALL(lchown, PATH, 0), CALL(utime, PATH, 0), CALL(utimes, PATH, 0), CALL(futimesat, AT, 1),
#endif
};
enum { TABLE_SIZE = sizeof TABLE / sizeof *TABLE };

static void read_memory(pid_t pid, uint64_t address, void *into, size_t size) {
    /* Word by word, since a string may end just before an unmapped page. */
    for (size_t done = 0; done < size; done += sizeof(long)) {
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, pid, address + done, 0);
        if (errno) word = 0;
        memcpy((char *)into + done, &word, sizeof word);
        if (memchr(&word, 0, sizeof word)) return;
    }
}

static int name_descriptor(pid_t pid, int descriptor, char *target) {
    /* Write the descriptor's path to `target`; tell whether it is a file or folder on a real file system. */
    char link[64];
    struct stat about;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, descriptor);
    ssize_t length = readlink(link, target, TARGET_BYTES - 1);
    target[length > 0 ? length : 0] = 0;
    if (stat(link, &about) || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))) return 0;
    return strncmp(target, "/memfd:", 7) && strncmp(target, "/proc/", 6) && strncmp(target, "/sys/", 5);
}

static void name_path(pid_t pid, const char *path, int folder, char *target) {
    /* Write the absolute form of `path` to `target`. */
    char link[64];
    ssize_t length = 0;
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/%d/cwd", pid);
    else snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, folder);
    if (*path != '/') length = readlink(link, target, TARGET_BYTES / 2);
    if (length < 0) length = 0;
    snprintf(target + length, TARGET_BYTES - length, "%s%s", *path == '/' ? "" : "/", path);
}

static int is_real_path(pid_t pid, const struct call *call, const uint64_t *arguments, char *target) {
    char path[TARGET_BYTES] = "";
    int folder = AT_FDCWD, at = call->target;
    if (call->kind == AT || call->kind == OPENAT || call->kind == HOW) folder = (int)arguments[at - 1];
    if (!arguments[at]) return name_descriptor(pid, folder, target); /* futimens() and its kind */
    read_memory(pid, arguments[at], path, TARGET_BYTES - sizeof(long));
    name_path(pid, path, folder, target);
    return strcmp(target, "/dev/null") && strncmp(target, "/proc/", 6);
}

static int creates(uint64_t flags) {
    return (flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE;
}

static int changes_attributes(uint64_t request) {
    return request == FICLONE || request == FICLONERANGE || request == FS_IOC_SETFLAGS;
}

static uint64_t open_flags(pid_t pid, const struct call *call, const uint64_t *arguments) {
    uint64_t flags = 0;
    if (call->kind != HOW) return arguments[call->target + 1];
    read_memory(pid, arguments[2], &flags, sizeof flags); /* struct open_how begins with its flags */
    return flags;
}

static int is_mutating(pid_t pid, const struct call *call, const uint64_t *arguments, char *target) {
    memset(target, 0, TARGET_BYTES);
    switch (call->kind) {
    case FILED: return name_descriptor(pid, (int)arguments[call->target], target);
    case CLONE: return changes_attributes(arguments[1]) && name_descriptor(pid, (int)arguments[0], target);
    case OPEN:
    case OPENAT:
    case HOW: return creates(open_flags(pid, call, arguments)) && is_real_path(pid, call, arguments, target);
    case PATH:
    case AT: return is_real_path(pid, call, arguments, target);
    case ALL: return 1;
    }
    return 0;
}

static int only_syncs(const struct call *call) {
    /* What a killed process has written stays written: only a power cut can tell whether it was synced. */
    switch (call->number) {
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_sync_file_range:
    case SYS_syncfs:
    case SYS_sync:
    case SYS_msync: return 1;
    }
    return 0;
}

static int opens_existing(pid_t pid, const struct call *call, const uint64_t *arguments, const char *target) {
    /* Tell whether the call only opens what is there, although it would create it. */
    struct stat about;
    if (call->kind != OPEN && call->kind != OPENAT && call->kind != HOW) return 0;
    uint64_t flags = open_flags(pid, call, arguments);
    return !(flags & O_TRUNC) && (flags & O_TMPFILE) != O_TMPFILE && !stat(target, &about);
}

#endif
